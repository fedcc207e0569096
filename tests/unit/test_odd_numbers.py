"""NaN, infinity and weights that are none, in tables of each trainer: found before training, counted and named."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.fake_context import FakeContext
from support.small_ratings import ratings
from support.small_tables import people

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.stages.train import online, recommender, tabular

INF, NAN = math.inf, math.nan
CPU = {"device": "cpu", "threads": 1}
Change = Callable[[list[dict[str, Any]]], None]


def learn(root: Path, kind: str, change: Change, split: str = "train", label: str | None = None) -> FakeContext:
    """Trains a small model on rows that were changed in one split."""
    make = ratings if kind == "recommender" else people
    splits = {"train": make(300, 1), "validation": make(80, 2)}
    for rows in splits.values():
        for row in rows:
            row["weight"] = 1.0
            if "age" in row:
                row["age"], row["income"] = 30.0, row["income"] or 0.0
    change(splits[split])
    label = label or ("stars" if kind == "recommender" else "label")
    data = write(root / "data", splits, label)
    context = FakeContext(root, {"data": data})
    if kind == "recommender":
        recommender.run(recommender.Config(kind="factorization", epochs=1, compute=CPU), context)
    elif kind == "online":
        online.run(online.Config(learning={"bits": 12}), context)
    else:
        trees = {"rounds": 3, "min_rows": 5}
        tabular.run(tabular.Config(kind=kind, trees=trees, epochs=1, compute=CPU), context)
    return context


def write(folder: Path, splits: dict[str, list[dict[str, Any]]], label: str) -> Path:
    """A data set whose numbers are written as they are, NaN as NaN."""
    folder.mkdir(parents=True)
    roles = {label: "label", "weight": "weight"}
    names = [name for name in splits["train"][0] if name not in {"label", "value", "stars"} - {label}]
    kinds = {name: "double" if isinstance(splits["train"][-1][name], float) else
             "int64" if isinstance(splits["train"][-1][name], int) else "string" for name in names}  # fmt: skip
    columns = [Column(name, roles.get(name, "feature"), kind) for name, kind in kinds.items()]
    write_schema(folder, [Column("row_id", "other", "string"), *columns])
    types = {"double": pa.float64(), "int64": pa.int64(), "string": pa.string()}
    for split, rows in splits.items():
        arrays = {"row_id": pa.array([f"{split}-{place}" for place in range(len(rows))])}
        for name, kind in kinds.items():
            values = [row[name] for row in rows]
            arrays[name] = pa.array(np.array(values, np.float64)) if kind == "double" else pa.array(values, types[kind])
        table = pa.table(arrays)
        write_split(folder, split, [table], table.schema)
    return folder


def put(column: str, *values: Any) -> Change:
    """Puts values into a column, from row 3 on."""

    def change(rows: list[dict[str, Any]]) -> None:
        for place, value in enumerate(values, 3):
            rows[place][column] = value

    return change


KINDS = ("boosted_trees", "linear", "ft_transformer", "recommender", "online")


@pytest.mark.parametrize("kind", KINDS)
def test_features_that_are_no_numbers_are_counted_by_column_and_read_as_missing(tmp_path: Path, kind: str) -> None:
    column = "hour" if kind == "recommender" else "income"
    context = learn(tmp_path, kind, put(column, NAN, INF, -INF, NAN))
    said = [line for line in context.said if "read as missing" in line]
    assert said == [f"`{column}` of train holds 2 NaN and 2 infinite values, first in row train-3: read as missing"]
    assert runtimes.load(tmp_path / "outputs" / "model", threads=1).predict([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_validation_are_looked_at_too(tmp_path: Path, kind: str) -> None:
    column = "hour" if kind == "recommender" else "income"
    context = learn(tmp_path, kind, put(column, INF), "validation")
    assert any(f"`{column}` of validation holds 0 NaN and 1 infinite" in line for line in context.said)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [NAN, INF, -1.0])
def test_weights_that_are_none_are_refused_with_their_rows(tmp_path: Path, kind: str, value: float) -> None:
    with pytest.raises(InputError, match="the weights of 2 rows are no numbers of 0 or more: train-3, train-4"):
        learn(tmp_path, kind, put("weight", value, value))


@pytest.mark.parametrize("kind", ["boosted_trees", "recommender"])
def test_targets_that_are_no_numbers_are_refused_and_counted(tmp_path: Path, kind: str) -> None:
    label = "stars" if kind == "recommender" else "value"
    with pytest.raises(InputError, match=r"the label of row train-3 is `nan`; 2 rows in all"):
        learn(tmp_path, kind, put(label, NAN, INF), label=label)
    with pytest.raises(InputError, match=r"the label of row validation-3 is `inf`; 1 rows in all"):
        learn(tmp_path / "validation", kind, put(label, INF), "validation", label)


def test_a_class_that_is_nan_is_no_class(tmp_path: Path) -> None:
    def numbered(rows: list[dict[str, Any]]) -> None:
        for place, row in enumerate(rows):
            row["label"] = NAN if place < 7 else float(row["label"] == "yes")

    splits = {"train": people(300, 1), "validation": people(80, 2)}
    for rows in splits.values():
        for row in rows:
            row["weight"], row["age"], row["income"] = 1.0, 30.0, row["income"] or 0.0
        numbered(rows)
    data = write(tmp_path / "data", splits, "label")
    for name, stage, settings in (
        ("online", online, {"learning": {"bits": 12}}),
        ("tabular", tabular, {"target": "class", "trees": {"rounds": 3}, "compute": CPU}),
    ):
        context = FakeContext(tmp_path / name, {"data": data})
        stage.run(stage.Config(**settings), context)
        labels = runtimes.load(tmp_path / name / "outputs" / "model", threads=1).labels
        assert set(labels) == {"0.0", "1.0"}
        assert any("7 train rows without a label were left out" in line for line in context.said)
