"""Tabular classification: a record is `{column: value}`, a prediction one label with a score for each.

The columns are the model's own, so they are checked by its preprocessing (methods/preprocessing/table.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.table import Placed
from modelyard.methods.tasks.text_classification import TextClassification

NAME = "tabular-classification"


class TabularClassification(TextClassification):
    """Answers as any single-label classifier does; other records."""

    name = NAME
    inputs: Mapping[str, Any] = {}

    def values(self, records: Sequence[Mapping[str, Any]]) -> list[Any]:
        return placed(records)

    def sample(self) -> Mapping[str, Any]:
        return {}


TASK = TabularClassification()


def placed(records: Sequence[Mapping[str, Any]]) -> list[Placed]:
    """The records with their places. Raises InputError naming the first that is no object."""
    for position, record in enumerate(records):
        if not isinstance(record, Mapping):
            raise InputError(
                t("record {position} is no object of columns", position=position),
                where=f"records[{position}]",
                expected='{"column": value, …}',
            )
    return [Placed(position, record) for position, record in enumerate(records)]
