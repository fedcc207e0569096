"""Classes as names: numbers that are classes become strings, may be given names, and must not be a quantity.

A soft label says how much a row belongs to each class: `{"spam": 0.7, "ham": 0.3}`, as when several annotators differ.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.rows import Fault

WHOLE_FLOAT = re.compile(r"[+-]?\d+\.0*")
FRACTION = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?|[+-]?\d+[eE]-\d+")
MOST_FRACTIONS = 1_000
SHARE_TOLERANCE = 1e-6


class LabelNotes:
    """What was noticed of the labels on the way, in bounded memory: for messages and for the regression check."""

    def __init__(self) -> None:
        self.num_shortened = 0
        self.num_stripped = 0
        self.num_numbers = 0
        self.num_fractions = 0
        self.num_labels = 0
        self.num_from_shares = 0
        self._fractions: set[str] = set()

    def saw(self, label: str) -> None:
        self.num_labels += 1
        if FRACTION.fullmatch(label):
            self.num_fractions += 1
            if len(self._fractions) < MOST_FRACTIONS:
                self._fractions.add(label)

    def continuous(self) -> bool:
        """Most labels are written with decimals and few are equal: a quantity, not a class."""
        distinct = len(self._fractions)
        return distinct >= MOST_FRACTIONS or (
            self.num_fractions > self.num_labels / 2 and distinct >= max(10, self.num_labels / 5)
        )

    def check(self, column: str, where: str) -> None:
        """Raise InputError if the labels are a quantity."""
        if self.continuous():
            some = ", ".join(sorted(self._fractions)[:3])
            raise InputError(
                t("the labels look like a continuous quantity ({some}, …)", some=some),
                where=f"{where}, {t('column')} `{column}`",
                expected=t("one of a few classes in each row"),
                remedy=t("predicting a quantity is regression: name the column with `target` instead of `label`"),
            )


class LabelMaker:
    """Turns the values of a label column into names of classes.

    Args:
        names: value to name (`{"0": "negative"}`); a value that has none is a fault. Empty: values are the names.
        notes: counts what was changed; shared by all files.
    """

    def __init__(self, names: Mapping[str, str], notes: LabelNotes) -> None:
        self._names = names
        self._notes = notes

    def label(self, value: Any) -> str:
        """The class of a row. Raises Fault if there is none."""
        if missing(value):
            raise Fault("no label")
        if isinstance(value, bool):
            text = "true" if value else "false"
        elif isinstance(value, str):
            text = value.strip()
            self._notes.num_stripped += text != value
        else:
            text = repr(value)
            self._notes.num_numbers += 1
        self._notes.saw(text)
        return self._name(text)

    def label_or_none(self, value: Any) -> str | None:
        """As `label`, for a row whose shares may say what its class is."""
        return None if missing(value) else self.label(value)

    def shares(self, value: Any) -> dict[str, float]:
        """Share of each class, in the order of names. Raises Fault unless they are shares that sum to one."""
        shares: dict[str, float] = {}
        for text, share in _object(value).items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not math.isfinite(share) or share < 0:
                raise Fault("soft label has a share that is no number of at least 0", f"{text[:40]}: {share}"[:80])
            if not text.strip():
                raise Fault("soft label names a class by nothing")
            name = self._name(text.strip())
            if name in shares:
                raise Fault("soft label names a class twice", name[:40])
            shares[name] = float(share)
        if abs(math.fsum(shares.values()) - 1) > SHARE_TOLERANCE:
            raise Fault("soft label does not sum to 1", f"{math.fsum(shares.values()):g}")
        return dict(sorted(shares.items()))

    def best(self, shares: Mapping[str, float]) -> str:
        """The class with the greatest share; of several, the first by name."""
        self._notes.num_from_shares += 1
        return min(shares, key=lambda name: (-shares[name], name))

    def _name(self, text: str) -> str:
        if WHOLE_FLOAT.fullmatch(text):
            text = text.split(".", maxsplit=1)[0]
            self._notes.num_shortened += 1
        if not self._names:
            return text
        if text not in self._names:
            raise Fault("label has no name in `labels`", text[:40])
        return self._names[text]


def missing(value: Any) -> bool:
    """Whether a cell holds no label: nothing, not-a-number or white space."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def shares_json(shares: Mapping[str, float]) -> str:
    """A soft label as it is stored."""
    return json.dumps(dict(shares), ensure_ascii=False)


def _object(value: Any) -> dict[str, Any]:
    if missing(value):
        raise Fault("no soft label")
    try:
        found = json.loads(value, object_pairs_hook=_unique) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Fault("soft label is no JSON object of class to share", str(value)[:40])
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise Fault("soft label names a class twice")
    return value
