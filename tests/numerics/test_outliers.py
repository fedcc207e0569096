"""data.outliers: limits against published formulas and SciPy; learned on train, used on train, validation untouched."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import iqr, median_abs_deviation
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.outlying import Search, limits_of, outside
from modelyard.methods.data.roles import schema_of
from modelyard.stages.data import outliers

COLUMNS = [
    Column("row_id", "other", "string"),
    Column("text", "text", "string"),
    Column("label", "label", "string"),
    Column("amount", "feature", "double"),
    Column("age", "feature", "int64"),
    Column("w", "weight", "double"),
]


def table(split: str, amounts: list[float | None], texts: list[str] | None = None) -> pa.Table:
    n = len(amounts)
    values = [
        [f"{split}{place}" for place in range(n)],
        texts or ["a text"] * n,
        ["x", "y"] * (n // 2) + ["x"] * (n % 2),
        amounts,
        [20 + place % 7 for place in range(n)],
        [1.0] * (n - 1) + [1e9],
    ]
    return pa.table([pa.array(v, k) for v, k in zip(values, schema_of(COLUMNS).types, strict=True)], schema_of(COLUMNS))


def run(root: Path, train: pa.Table, validation: pa.Table, **config: Any) -> FakeContext:
    (root / "in").mkdir(parents=True)
    write_schema(root / "in", COLUMNS)
    write_split(root / "in", "train", [train], train.schema)
    write_split(root / "in", "validation", [validation], train.schema)
    context = FakeContext(root / "out", {"data": root / "in"}, seed=3)
    outliers.run(outliers.Config(**config), context)
    return context


VALUES = st.lists(st.integers(-1_000, 1_000) | st.floats(-1e3, 1e3), min_size=1, max_size=50)


@settings(max_examples=150, deadline=None)
@given(values=VALUES)
def test_limits_are_those_of_the_formulas(values: list[float]) -> None:
    array = np.array([*values, np.nan, np.inf], dtype=np.float64)
    given_values = np.array(values, dtype=np.float64)
    low, high = limits_of(array, Search("fences", 1.5))
    assert high - low == pytest.approx(4 * iqr(given_values))
    middle, mad = np.median(given_values), median_abs_deviation(given_values)
    low, high = limits_of(array, Search("robust_z", 3.5))
    assert (low + high) / 2 == pytest.approx(middle, abs=1e-9)
    if mad > 1e-9:
        assert (high - low) / 2 == pytest.approx(3.5 * mad / 0.6745)


def test_values_whose_modified_z_score_is_beyond_the_limit_are_outliers_and_no_others() -> None:
    values = np.array([2.1, 2.6, 2.4, 2.5, 2.3, 2.1, 2.3, 2.6, 8.2, 8.3])
    scores = 0.6745 * (values - np.median(values)) / median_abs_deviation(values)
    found, _ = outside({"x": values}, Search())
    assert found["x"].tolist() == (np.abs(scores) > 3.5).tolist() == [False] * 8 + [True] * 2


def test_a_column_where_most_values_are_equal_still_has_limits() -> None:
    values = np.array([0.0] * 80 + [1.0] * 19 + [1_000.0])
    found, _ = outside({"x": values}, Search())
    assert np.flatnonzero(found["x"]).tolist() == [99]
    constant, _ = outside({"x": np.full(10, 0.1)}, Search())
    assert not constant["x"].any()


AMOUNTS = [float(n % 10) for n in range(60)] + [500.0, None]


def test_train_is_flagged_and_validation_is_as_it_was(tmp_path: Path) -> None:
    validation = table("v", [1.0, 9_999.0])
    context = run(tmp_path, table("t", AMOUNTS), validation)
    data = Dataset.open(context.output("data"))
    flags = data.column("train", "outlier")
    assert flags == [""] * 60 + ["amount", ""]
    assert data.column("validation", "outlier") == [None, None]
    assert data.table("validation").drop_columns(["outlier"]).equals(validation)
    assert data.table("train").num_rows == 62
    assert context.value("data.outlier_rate") == pytest.approx(1 / 62)
    log = Dataset.open(context.output("removed")).table("all").to_pylist()
    assert [(row["row_id"], row["action"], row["reason"]) for row in log] == [("t60", "changed", "outlier")]
    assert log[0]["detail"].startswith("amount 500 is not between")


def test_removed_rows_are_of_train_alone_and_weights_and_labels_are_left_alone(tmp_path: Path) -> None:
    validation = table("v", [1.0, 9_999.0])
    context = run(tmp_path, table("t", AMOUNTS), validation, action="remove")
    data = Dataset.open(context.output("data"))
    assert "t60" not in data.column("train", "row_id")
    assert len(data.column("train", "row_id")) == 61
    assert data.table("validation").equals(validation)
    assert "outlier" not in [column.name for column in data.columns]
    assert any(line.startswith("64 rows in = 63 kept + 1 removed") for line in context.said)


def test_validation_does_not_move_the_limits(tmp_path: Path) -> None:
    contexts = [run(tmp_path / str(n), table("t", AMOUNTS), table("v", [float(n) * 1e6] * 50)) for n in range(2)]
    shards = [context.output("data") / "train" / "00000.parquet" for context in contexts]
    assert shards[0].read_bytes() == shards[1].read_bytes()


def test_text_length_is_compared_by_orders_of_magnitude(tmp_path: Path) -> None:
    texts = ["x" * (20 + n % 40) for n in range(60)] + ["x" * 20_000, ""]
    context = run(tmp_path, table("t", [1.0] * 62, texts), table("v", [1.0]), columns=["amount"], text_length=True)
    flags = Dataset.open(context.output("data")).column("train", "outlier")
    assert [place for place, flag in enumerate(flags) if flag] == [60, 61]
    assert flags[60] == "text length"


def test_the_forest_finds_a_row_that_no_column_alone_betrays(tmp_path: Path) -> None:
    rng = random.Random(0)
    amounts = [float(20 + place % 7) * 10 + rng.random() for place in range(300)]
    amounts[150] = 260.0 if 20 + 150 % 7 < 23 else 200.0
    config = {"columns": ["amount", "age"]}
    assert not any(
        Dataset.open(run(tmp_path / "z", table("t", amounts), table("v", [1.0]), **config).output("data")).column(
            "train", "outlier"
        )
    )
    forests = [
        run(tmp_path / f"f{n}", table("t", amounts), table("v", [1.0]), method="forest", share=0.005, **config)
        for n in range(2)
    ]
    flags = [Dataset.open(context.output("data")).column("train", "outlier") for context in forests]
    assert flags[0] == flags[1]
    assert flags[0][150] == "all columns together"
    assert sum(map(bool, flags[0])) <= 3


def test_columns_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    for number, columns in enumerate((["label"], ["nothing"], ["w"])):
        with pytest.raises(InputError, match="no column of numbers"):
            run(tmp_path / str(number), table("t", [1.0] * 4), table("v", [1.0]), columns=columns)
