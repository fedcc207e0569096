"""Who gave which item which class: the votes that agreement and adjudication are computed from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Votes:
    """The votes that count, one place an array each: `item[v]`, `annotator[v]` and `label[v]` are of vote v.

    Attributes:
        items: ids of the N items, in the order they came; some may have no vote.
        annotators: names of the A annotators; empty if votes are only counted, not named.
        classes: the K classes; in order for an ordinal scale.
        item, label: (V,) indices into `items` and `classes`.
        annotator: (V,) indices into `annotators`, or -1 where votes are only counted.
    """

    items: Sequence[str]
    annotators: Sequence[str]
    classes: Sequence[str]
    item: Ints
    annotator: Ints
    label: Ints

    @property
    def named(self) -> bool:
        """Whether it is known who gave each vote."""
        return bool(self.annotators)

    def counts(self) -> Ints:
        """(N, K): how many annotators gave item n class k."""
        num_items, num_classes = len(self.items), len(self.classes)
        flat = np.bincount(self.item * num_classes + self.label, minlength=num_items * num_classes)
        return flat.reshape(num_items, num_classes).astype(np.int64)


def ordered(labels: set[str], given: Sequence[str] | None, scale: str) -> list[str]:
    """The classes in order: as given; else by number if all are numbers; else by name.

    Args:
        labels: every class that was voted for.
        given: the order the user set, or None.
        scale: `nominal`, `ordinal` or `interval`.

    Raises:
        InputError: an ordinal scale of names without a given order, or an interval scale of what are no numbers.
    """
    if scale == "interval" and (bad := sorted(label for label in given or labels if _number(label) is None)):
        raise InputError(
            t("the label `{label}` is no number", label=bad[0]),
            expected=t("numbers, for `scale: interval`"),
            remedy=t("use `scale: ordinal` with `classes: [...]` in order, or `scale: nominal`"),
        )
    if given is not None:
        return list(given)
    if labels and all(_number(label) is not None for label in labels):
        return sorted(labels, key=lambda label: (float(label), label))
    if scale == "ordinal":
        raise InputError(
            t("the order of the classes is not known: {names}", names=", ".join(sorted(labels)[:10])),
            expected=t("numbers, or `classes: [...]` from the lowest to the highest"),
        )
    return sorted(labels)


def _number(label: str) -> float | None:
    try:
        value = float(label)
    except ValueError:
        return None
    return value if np.isfinite(value) else None
