"""Out-of-fold predictions: each row answered by the model that did not see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, write_schema, write_split
from modelyard.methods.evaluation.opening import opened

COLUMNS = (
    Column(ROW_ID, "other", "string"),
    Column("label", "label", "string"),
    Column("predicted", "other", "string"),
    Column("scores", "other", "string"),
    Column("fold", "other", "int64"),
)
SCHEMA = pa.schema([(column.name, getattr(pa, column.type)()) for column in COLUMNS])
FIELDS = ("text", "image")


def write_predictions(
    folds: Sequence[tuple[Path, Path]], target: Path, batch_rows: int, note: Callable[[int, int], None]
) -> int:
    """Write the data set of predictions: `row_id`, `label`, `predicted`, `scores` (JSON) and `fold`, from 1.

    Args:
        folds: model folder and data folder of each; its split `validation` is what the model did not see.
        note: hears of rows done and in all.

    Returns:
        Rows written.
    """
    sets = [Dataset.open(data) for _, data in folds]
    total = sum(data.num_rows("validation") for data in sets)
    write_schema(target, COLUMNS)

    def tables() -> Iterator[pa.Table]:
        done = 0
        for number, ((model, _), data) in enumerate(zip(folds, sets, strict=True), 1):
            with opened(model, None) as predictor:
                for batch in data.batches("validation", rows=batch_rows):
                    yield _answered(predictor.predict, data, batch, number)
                    done += batch.num_rows
                    note(done, total)

    return write_split(target, "all", tables(), SCHEMA)


def _answered(
    predict: Callable[[list[dict[str, Any]]], list[Any]], data: Dataset, batch: pa.RecordBatch, number: int
) -> pa.Table:
    rows = batch.to_pylist()
    label = data.role("label")
    known = [row for row in rows if not _empty(row, data)]
    answers = iter([answer.to_json() for answer in predict([record(row, data) for row in known])] if known else [])
    found = []
    for row in rows:
        answer = {} if _empty(row, data) else next(answers)
        said = answer.get("label", answer.get("value"))
        scores = answer.get("scores", answer)
        found.append(
            {
                ROW_ID: row[ROW_ID],
                "label": None if label is None or row[label] is None else str(row[label]),
                "predicted": None if said is None else str(said),
                "scores": json.dumps(scores, ensure_ascii=False, sort_keys=True) if answer else None,
                "fold": number,
            }
        )
    return pa.Table.from_pylist(found, schema=SCHEMA)


def _empty(row: Mapping[str, Any], data: Dataset) -> bool:
    """Whether a row lacks the text or image a model would read."""
    names = [data.role(role) for role in FIELDS]
    return any(name is not None and row[name] is None for name in names)


def record(row: Mapping[str, Any], data: Dataset) -> dict[str, Any]:
    """A row as a model is asked: text and image under these names, features under their own."""
    found = {column.name: row[column.name] for column in data.columns if column.role == "feature"}
    for role in FIELDS:
        name = data.role(role)
        if name is not None:
            found[role] = row[name]
    return found
