"""A trained model of tables as a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods import networks
from modelyard.methods.runtimes import gbdt
from modelyard.methods.runtimes.golden import NUM_RECORDS, write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import tabular_classification, tabular_regression
from modelyard.methods.training.tables.learned import Learned

_TYPES = {"number": "float32", "category": "string"}


def write_model(
    learned: Learned,
    folder: Path,
    labels: Sequence[str],
    provenance: Mapping[str, Any],
    licence: str,
    examples: pa.Table,
) -> None:
    """`model.json`, trees or weights, the columns and golden answers. Equal models are equal bytes.

    Args:
        labels: names in the order of the scores; none: a regression.
        examples: rows to make golden answers from.
    """
    if learned.module is None:
        (folder / gbdt.FILE).write_text(learned.trees, encoding="utf-8", newline="\n")
    else:
        networks.save(learned.module, folder)
    scores = {"scores": {"type": "float32", "shape": [len(labels)]}}
    card = ModelCard(
        task=tabular_classification.NAME if labels else tabular_regression.NAME,
        format="gbdt" if learned.module is None else "modelyard",
        labels=tuple(labels),
        preprocessing=learned.table.save(folder),
        network=dict(learned.network),
        inputs={column.name: {"type": _TYPES[column.kind], "shape": []} for column in learned.table.columns},
        outputs=scores if labels else {"value": {"type": "float32", "shape": []}},
        provenance=dict(provenance),
        licence=licence,
    )
    card.write(folder)
    write_golden(folder, records(learned, examples))


def records(learned: Learned, examples: pa.Table) -> list[dict[str, Any]]:
    """The first rows as records that the model can read: what it cannot, it was taught to take as missing."""
    return all_records(learned, examples.slice(0, NUM_RECORDS))


def all_records(learned: Learned, examples: pa.Table) -> list[dict[str, Any]]:
    """Every row as a record."""
    rows = examples.select([column.name for column in learned.table.columns]).to_pylist()
    return [
        {column.name: readable(learned, column, row[column.name]) for column in learned.table.columns} for row in rows
    ]


def readable(learned: Learned, column: Any, value: Any) -> Any:
    try:
        learned.table.code(column, value)
    except ValueError:
        return None
    return value if isinstance(value, str | int | float) else None
