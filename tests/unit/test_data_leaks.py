"""Columns that know the answer: each kind of leak is found, honest tables raise no alarm, and nothing is dropped."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.divided import divided
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.evaluation.leaks import fitting, telling
from modelyard.methods.evaluation.leaks.rows import Column, Goal
from modelyard.stages.data import leaks

NUM = 600


def table(seed: int = 0, num: int = NUM) -> dict[str, Any]:
    """An honest table: four numbers and a city tell something of the label, a number nothing."""
    draw = np.random.default_rng(seed)
    numbers = draw.normal(size=(num, 5))
    city = draw.integers(0, 12, num)
    score = numbers[:, :4] @ np.array([1.0, 0.8, 0.6, 0.4]) + 0.3 * (city - 6) + draw.normal(size=num)
    found = {f"x{place}": numbers[:, place] for place in range(5)}
    return {**found, "city": [f"city {one}" for one in city], "label": score > 0.5, "score": score}


def looked(tmp_path: Path, rows: dict[str, Any], target: str = "label", **settings: Any) -> FakeContext:
    columns: dict[str, tuple[str, Any]] = {
        name: ("feature", pa.array(values)) for name, values in rows.items() if name not in ("label", "score")
    }
    goal = rows["score"] if target == "score" else ["yes" if one else "no" for one in rows["label"]]
    columns["goal"] = ("label", pa.array(goal))
    context = FakeContext(tmp_path, {"data": divided(tmp_path / "in", columns)})
    leaks.run(leaks.Config(**settings), context)
    return context


def signs(tmp_path: Path) -> dict[str, list[str]]:
    value = json.loads((tmp_path / "outputs" / "report" / "leaks.json").read_text(encoding="utf-8"))
    return {one["name"]: one["signs"] for one in value["data"]["columns"] if one["signs"]}


def mean_by(category: Any, label: Any, leave_one_out: bool = False) -> list[float]:
    """The popular target encoding, over all rows there are."""
    sums: dict[Any, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for one, value in zip(category, label, strict=True):
        sums[one][0] += value
        sums[one][1] += 1
    if leave_one_out:
        pairs = zip(category, label, strict=True)
        return [(sums[one][0] - value) / max(1.0, sums[one][1] - 1) for one, value in pairs]
    return [sums[one][0] / sums[one][1] for one in category]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("target", ["label", "score"])
def test_an_honest_table_raises_no_alarm(tmp_path: Path, seed: int, target: str) -> None:
    context = looked(tmp_path, table(seed), target)
    assert context.value("data.leak_columns") == 0
    assert signs(tmp_path) == {}
    unit = "auc" if target == "label" else "r2"
    alone = [one for one in context.measurements if one.claim == f"data.{unit}_alone"]
    assert {one.slice["column"] for one in alone} == {"x0", "x1", "x2", "x3", "x4", "city"}
    assert all(one.interval[0] <= one.value <= one.interval[1] for one in alone)


def test_a_copy_of_the_label_under_another_name_is_found(tmp_path: Path) -> None:
    rows = table()
    context = looked(tmp_path, {**rows, "status": [f"S{int(one)}" for one in rows["label"]]})
    assert context.value("data.leak_columns") == 1
    assert "almost the label" in signs(tmp_path)["status"]
    assert any("`status` is almost the label: alone it reaches AUC 1.000" in line for line in context.said)


def test_a_noisy_copy_is_found(tmp_path: Path) -> None:
    rows, draw = table(), np.random.default_rng(1)
    flag = np.asarray(rows["label"]) ^ (draw.random(NUM) < 0.04)
    looked(tmp_path, {**rows, "flag": flag.astype(int)})
    assert {"beats the rest", "carries the model"} & set(signs(tmp_path)["flag"])


def test_a_column_known_only_afterwards_is_found_as_duration_in_bank_data(tmp_path: Path) -> None:
    rows, draw = table(), np.random.default_rng(1)
    duration = draw.lognormal(5 + 1.8 * np.asarray(rows["label"]), 0.7).astype(int)
    context = looked(tmp_path, {**rows, "duration": duration, "minutes": duration / 60})
    assert set(signs(tmp_path)) == {"duration", "minutes"}  # twins do not hide one another
    without = {one.slice["column"] for one in context.measurements if one.claim == "data.auc_without"}
    assert "duration" in without


def test_a_date_that_only_one_outcome_has_is_found(tmp_path: Path) -> None:
    rows = table()
    date = [f"2024-0{1 + place % 9}-11" if one else None for place, one in enumerate(rows["label"])]
    looked(tmp_path, {**rows, "refunded_on": date})
    assert "almost the label" in signs(tmp_path)["refunded_on"]


def test_one_leak_does_not_hide_another(tmp_path: Path) -> None:
    rows, draw = table(), np.random.default_rng(1)
    duration = draw.lognormal(5 + 1.8 * np.asarray(rows["label"]), 0.7)
    looked(tmp_path, {**rows, "copy": np.asarray(rows["label"]).astype(int), "duration": duration})
    assert set(signs(tmp_path)) == {"copy", "duration"}


@pytest.mark.parametrize("target", ["label", "score"])
def test_means_of_the_label_by_category_over_all_rows_are_found(tmp_path: Path, target: str) -> None:
    rows = table(num=1200)
    mean = mean_by(rows["city"], np.asarray(rows[target], float))
    context = looked(tmp_path, {**rows, "city_mean": mean}, target)
    assert signs(tmp_path) == {"city_mean": ["made of the label"]}
    assert any("holds means of the label by `city`" in line for line in context.said)


def test_they_are_found_too_where_the_category_is_gone_or_the_means_are_smoothed(tmp_path: Path) -> None:
    rows = table(num=1200)
    label = np.asarray(rows["label"], float)
    counts = {one: rows["city"].count(one) for one in rows["city"]}
    pairs = zip(mean_by(rows["city"], label), rows["city"], strict=True)
    smooth = [(mean * counts[one] + 20 * label.mean()) / (counts[one] + 20) for mean, one in pairs]
    looked(tmp_path, {name: values for name, values in rows.items() if name != "city"} | {"smooth": smooth})
    assert signs(tmp_path) == {"smooth": ["made of the label"]}


def test_means_without_the_row_itself_are_found(tmp_path: Path) -> None:
    rows = table()
    draw = np.random.default_rng(2)
    shop = [f"shop {one}" for one in draw.integers(0, 30, NUM)]
    left_out = mean_by(shop, np.asarray(rows["label"], float), leave_one_out=True)
    looked(tmp_path, {**rows, "shop": shop, "shop_mean": left_out})
    assert "shop_mean" in signs(tmp_path)


def test_a_number_that_goes_with_a_category_but_is_no_mean_of_the_label_is_none(tmp_path: Path) -> None:
    rows = table(num=1200)
    share = [0.04 * int(one.split()[1]) + 0.1 for one in rows["city"]]
    looked(tmp_path, {**rows, "share_of_students": share})
    assert signs(tmp_path) == {}


def test_a_column_that_names_rows_is_told_and_tells_nothing(tmp_path: Path) -> None:
    context = looked(tmp_path, {**table(), "customer": [f"C{place}" for place in range(NUM)]})
    assert context.value("data.id_columns") == 1
    assert context.value("data.leak_columns") == 0
    assert any("`customer` names rows" in line for line in context.said)


def test_what_is_known_is_shown_and_not_counted_and_what_is_left_out_is_not_looked_at(tmp_path: Path) -> None:
    rows = table()
    rows["copy"] = np.asarray(rows["label"]).astype(int)
    context = looked(tmp_path / "known", rows, known=["copy"])
    assert context.value("data.leak_columns") == 0
    assert "copy" in signs(tmp_path / "known")
    context = looked(tmp_path / "out", rows, leave_out=["copy"])
    assert "copy" not in {one.slice.get("column") for one in context.measurements}
    with pytest.raises(InputError, match="no feature `cpy`"):
        looked(tmp_path / "typo", rows, known=["cpy"])


def test_the_label_written_into_the_text_is_found(tmp_path: Path) -> None:
    texts = [f"{'好评' if place % 3 else '差评'} the soup number {place % 50}" for place in range(600)]
    labels = ["good" if place % 3 else "bad" for place in range(600)]
    columns = {"text": ("text", pa.array(texts)), "label": ("label", pa.array(labels))}
    context = FakeContext(tmp_path, {"data": divided(tmp_path / "in", columns)})
    leaks.run(leaks.Config(), context)
    assert any("the word `好` is almost the label" in line for line in context.said)
    assert context.value("data.leak_columns") == 2


def test_several_classes_are_looked_at_each_against_the_rest(tmp_path: Path) -> None:
    rows, draw = table(), np.random.default_rng(3)
    kinds = np.digitize(rows["score"], [-1, 1])
    columns = {name: ("feature", pa.array(rows[name])) for name in ("x0", "x1", "x2", "x3")}
    columns |= {
        "code": ("feature", pa.array([f"c{one}" for one in kinds])),
        "label": ("label", pa.array([str(one) for one in kinds])),
        "noise": ("feature", pa.array(draw.normal(size=NUM))),
    }
    context = FakeContext(tmp_path, {"data": divided(tmp_path / "in", columns)})
    leaks.run(leaks.Config(), context)
    assert set(signs(tmp_path)) == {"code"}


def test_the_rows_are_drawn_by_their_ids_not_by_their_order(tmp_path: Path) -> None:
    rows = table()
    columns: dict[str, tuple[str, Any]] = {
        name: ("feature", pa.array(values)) for name, values in rows.items() if name not in ("label", "score")
    }
    columns["goal"] = ("label", pa.array([str(one) for one in rows["label"]]))
    found = []
    for name, order in (("a", range(NUM)), ("b", [*reversed(range(NUM - 5)), *range(NUM - 5, NUM)])):
        context = FakeContext(tmp_path / name, {"data": divided(tmp_path / f"in {name}", columns, order=list(order))})
        leaks.run(leaks.Config(rows=300), context)
        found.append([(one.claim, one.slice, one.value) for one in context.measurements])
    assert found[0] == found[1]


def test_a_column_of_noise_is_seldom_said_to_tell_something() -> None:
    alarms = 0
    for seed in range(400):
        draw = np.random.default_rng(seed)
        goal = Goal((draw.random((300, 1)) < 0.3).astype(float), ("yes",))
        column = Column("noise", None, draw.integers(1, 9, 300), 8)
        found = telling.measure(goal, fitting.alone(column, goal, fitting.folds(goal, 3)))
        alarms += found.interval[0] > 0.5
    assert alarms <= 20  # 2.5 % of 400 are 10; 20 is beyond the 99.5 % quantile
