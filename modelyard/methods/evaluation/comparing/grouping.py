"""All groups of a split's rows that a comparison looks at, from what its data set holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.evaluation.comparing import slicing
from modelyard.methods.evaluation.comparing.slicing import Slice
from modelyard.methods.evaluation.measuring.examples import Examples

NEVER = ("text", "image", "soft_label", "weight", "split", "subject")
"""Roles whose columns are no groups: texts are cut by length, language and cluster."""


@dataclass(frozen=True)
class Looking:
    """What to look at.

    Attributes:
        columns: of the data set; none: every one that may be a group.
        least: rows of a group.
        clusters: of texts; 0 for none.
        pairs: whether two columns are crossed.
        most: groups in all.
    """

    columns: tuple[str, ...] = ()
    least: int = 30
    clusters: int = 8
    pairs: bool = True
    most: int = 2_000


def groups(data: Dataset, examples: Examples, look: Looking, seed: int) -> tuple[list[Slice], int]:
    """The groups, and how many pairs were left out because they are too many.

    Raises InputError if a column that was named is not there.
    """
    found: list[Slice] = []
    for name in _columns(data, look.columns):
        found += slicing.of_column(name, examples.column(name), look.least)
    if examples.reader.fields.kind == "text":
        found += _of_texts([str(record.get("text") or record.get("prompt") or "") for record in examples.records()],
                           look, seed)  # fmt: skip
    single = slicing.distinct(found, len(examples))
    if not look.pairs:
        return single, 0
    every = list(slicing.pairs(single, look.least, 10 * look.most))
    room = max(0, look.most - len(single))
    return slicing.distinct([*single, *every[:room]], len(examples)), max(0, len(every) - room)


def _columns(data: Dataset, named: Sequence[str]) -> list[str]:
    there = {column.name: column for column in data.columns}
    for name in named:
        if name not in there:
            raise InputError(t("no column `{name}`", name=name), where="columns", expected=", ".join(there))
    if named:
        return list(named)
    return [name for name, column in there.items() if column.role not in NEVER and name != ROW_ID]


def _of_texts(texts: Sequence[str], look: Looking, seed: int) -> list[Slice]:
    lengths = np.array([len(text) for text in texts], dtype=np.float64)
    found = slicing.of_numbers("characters", lengths, look.least) if len(set(lengths.tolist())) > 1 else []
    found += slicing.of_languages(texts, look.least)
    return found + (slicing.of_clusters(texts, look.clusters, look.least, seed) if look.clusters else [])


def told(part: Any) -> str:
    """A group in one line: `topic = food, label = bad`."""
    return ", ".join(f"{name} = {value}" for name, value in part.items())
