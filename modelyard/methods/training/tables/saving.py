"""A trained model of tables as a model folder."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from modelyard.methods import networks
from modelyard.methods.postprocessing.quantiles import KIND
from modelyard.methods.runtimes import trees_text
from modelyard.methods.runtimes.combination import Combination
from modelyard.methods.runtimes.golden import NUM_RECORDS, write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import tabular_classification, tabular_regression
from modelyard.methods.training.combining import writing
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
    """`model.json`, trees or weights, the columns and golden answers. Equal models are equal bytes. Models that answer
    together become the members of an ensemble.

    Args:
        labels: names in the order of the scores; none: a regression.
        examples: rows to make golden answers from.
    """
    if learned.members:
        _write_members(learned, folder, labels, provenance, licence, examples)
        return
    if learned.module is None:
        spec = {"quantiles": len(learned.quantile_trees)} if learned.quantile_trees else {}
        for name, text in zip(trees_text.names(spec), (learned.trees, *learned.quantile_trees), strict=True):
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    else:
        spec = dict(learned.network)
        networks.save(learned.module, folder)
    scores = {"scores": {"type": "float32", "shape": [len(labels)]}}
    card = ModelCard(
        task=tabular_classification.NAME if labels else tabular_regression.NAME,
        format="gbdt" if learned.module is None else "modelyard",
        labels=tuple(labels),
        preprocessing=learned.table.save(folder),
        network=spec,
        inputs={column.name: {"type": _TYPES[column.kind], "shape": []} for column in learned.table.columns},
        outputs=scores if labels else {"value": {"type": "float32", "shape": []}},
        provenance=dict(provenance),
        licence=licence,
        postprocessing=({"kind": KIND, "levels": list(learned.levels)},) if learned.levels else (),
    )
    card.write(folder)
    write_golden(folder, records(learned, examples))


def _write_members(
    learned: Learned,
    folder: Path,
    labels: Sequence[str],
    provenance: Mapping[str, Any],
    licence: str,
    examples: pa.Table,
) -> None:
    combine = Combination("average", weights=np.array(learned.shares))
    with tempfile.TemporaryDirectory() as scratch:
        sources = [Path(scratch) / str(place) for place in range(len(learned.members))]
        for source, member in zip(sources, learned.members, strict=True):
            source.mkdir()
            write_model(member, source, labels, {"member": dict(member.details)}, licence, examples)
        writing.write_ensemble(sources, folder, combine, provenance, licence, records(learned, examples))


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
