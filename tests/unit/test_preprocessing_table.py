"""Preprocessing `table`: which columns are numbers, what is missing, and that records read as the training rows did."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.preprocessing import table_fitting
from modelyard.methods.preprocessing.table import FIRST, MISSING, UNKNOWN, Placed, Table


def fit(rows: dict, **settings) -> tuple[Table, tuple[str, ...]]:
    found = table_fitting.fit(pa.table(rows), list(rows), settings.pop("scaling", "none"), **settings)
    return found.table, found.notes


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", " 2.5", "-3e2", "?", ""], "number"),
        (["a", "b", "1", "2", "3"], "category"),
        (["01", "02", "13", "44", "5"], "category"),
        ([1, 2, 3, None, 5], "number"),
        ([True, False, True, None, False], "category"),
        (["1"] * 4 + ["NaN"] + ["2"], "number"),
        (["1_000", "2", "3", "4", "5"], "category"),
        (["1"] * 99 + ["2"] * 100 + ["lots"], "number"),
        (["1"] * 40 + ["2"] * 40 + ["lots"], "category"),
    ],
)
def test_a_column_is_read_as_numbers_by_the_rule(values: list, kind: str) -> None:
    table, _ = fit({"a": values}, min_rows=1)
    assert table.columns[0].kind == kind


def test_a_number_may_be_named_a_category_and_is_the_same_word_in_any_type() -> None:
    table, _ = fit({"a": [1, 2, 3, 1]}, categories=("a",), min_rows=1)
    codes = [table.encode([Placed(0, {"a": value})])["table"][0, 0] for value in (1, 1.0, "1", " 1 ", 9, None, "")]
    assert codes == [FIRST, FIRST, FIRST, FIRST, UNKNOWN, MISSING, MISSING]


def test_rare_values_are_unknown_and_constant_and_naming_columns_are_left_out() -> None:
    rows = {
        "rare": ["x"] * 250 + ["y"] * 248 + ["z"] * 2,
        "same": ["k"] * 500,
        "name": [f"n{place}" for place in range(500)],
        "day": pa.array([0] * 500, pa.timestamp("us")),
    }
    table, notes = fit(rows, min_rows=5)
    assert [(one.name, one.words) for one in table.columns] == [("rare", ("x", "y"))]
    assert [note.split("`")[1] for note in notes] == ["same", "name", "day"]
    assert table_fitting.encode(table, pa.table(rows))[-1, 0] == UNKNOWN


def test_records_read_exactly_as_training_rows_do(tmp_path: Path) -> None:
    rows = {
        "a": ["1", "2.5", "?", " 7", "many", *["3"] * 200],
        "b": ["x", " y", "", None, "x", *["y"] * 200],
        "c": [1.5, None, math.nan, -2.0, 0.0, *[4.0] * 200],
        "d": [True, False, None, True, True, *[False] * 200],
    }
    for scaling in ("none", "standard", "quantile"):
        fitted, notes = fit(rows, scaling=scaling, min_rows=1)
        assert any("many" in note for note in notes)
        folder = tmp_path / scaling
        folder.mkdir()
        loaded = preprocessing.load(folder, fitted.save(folder))
        assert loaded == fitted
        table = pa.table(rows)
        trained = fitted.arrays(table_fitting.encode(fitted, table))
        records = [{**row, "c": None if row["c"] != row["c"] else row["c"]} for row in table.to_pylist()]
        asked = loaded.encode([Placed(place, record) for place, record in enumerate(records)])
        assert set(asked) == set(loaded.input_names)
        for name, array in asked.items():
            np.testing.assert_array_equal(array, trained[name])


def test_scaling_gives_normal_scores_or_mean_0_and_variance_1_and_says_what_is_missing() -> None:
    draw = np.random.default_rng(0)
    values = np.exp(draw.normal(size=4000))
    values[:40] = np.nan
    for scaling in ("standard", "quantile"):
        fitted, _ = fit({"a": values}, scaling=scaling)
        arrays = fitted.arrays(table_fitting.encode(fitted, pa.table({"a": values})))
        numbers, flags = arrays["numbers"].T
        assert flags.sum() == 40
        assert (numbers[:40] == 0).all()
        assert abs(numbers[40:].mean()) < 0.02
        assert abs(numbers[40:].std() - 1) < 0.06
        far = fitted.arrays(np.array([[1e300], [-1e300]]))["numbers"][:, 0]
        assert np.abs(far).max() <= 10


HOSTILE = [
    ({}, "has no column `a`", "records[3]"),
    ({"a": 1}, "has no column `b`", "records[3]"),
    ({"a": "much", "b": "x"}, "`a` is 'much'", "records[3].a"),
    ({"a": math.nan, "b": "x"}, "`a` is nan", "records[3].a"),
    ({"a": math.inf, "b": "x"}, "`a` is inf", "records[3].a"),
    ({"a": 10**400, "b": "x"}, "`a` is 1000", "records[3].a"),
    ({"a": [1], "b": "x"}, r"`a` is \[1\]", "records[3].a"),
    ({"a": 1, "b": {"x": 1}}, "`b` is {'x': 1}", "records[3].b"),
    ({"a": 1, "b": math.nan}, "`b` is nan", "records[3].b"),
]


@pytest.mark.parametrize(("record", "words", "where"), HOSTILE)
def test_a_record_that_does_not_fit_is_named_with_its_column(record: dict, words: str, where: str) -> None:
    table, _ = fit({"a": [1, 2, 3], "b": ["x", "y", "x"]}, min_rows=1)
    with pytest.raises(InputError, match=words) as caught:
        table.encode([Placed(3, record)])
    assert caught.value.problems[0].where == where


@pytest.mark.parametrize(
    "change",
    [
        lambda columns: columns.clear(),
        lambda columns: columns.append(columns[0]),
        lambda columns: columns[0].update(kind="code"),
        lambda columns: columns[0].update(knots=[2.0, 1.0], heights=[0.0, 1.0]),
        lambda columns: columns[0].update(knots=[1.0]),
        lambda columns: columns[0].pop("words"),
        lambda columns: columns[0].update(knots=[1.0], heights=["NaN"]),
    ],
)
def test_a_damaged_file_of_columns_is_refused(tmp_path: Path, change) -> None:
    table, _ = fit({"a": [1, 2, 3]}, scaling="standard")
    spec = table.save(tmp_path)
    columns = json.loads((tmp_path / "table.json").read_text())
    change(columns)
    (tmp_path / "table.json").write_text(json.dumps(columns))
    with pytest.raises(InputError, match="cannot be read"):
        preprocessing.load(tmp_path, spec)
