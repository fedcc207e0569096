"""data.split: exact counts against a slow reference, and no text, group or later row on two sides, whatever comes."""

from __future__ import annotations

import datetime
import random
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support import split_reference
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.splitting import checking
from modelyard.methods.data.splitting import sides as places
from modelyard.methods.data.splitting.apportioning import apportion
from modelyard.methods.data.splitting.checking import overlap
from modelyard.methods.data.splitting.choosing import split_by_time, split_stratified
from modelyard.methods.data.splitting.clusters import clusters
from modelyard.methods.data.splitting.sides import TEST, Rows
from modelyard.methods.data.text import normalized, text_key
from modelyard.stages.data import split

NAMES = places.NAMES[: places.CALIBRATION]
TYPES = {"time": "timestamp[us]"}


def dataset(folder: Path, **columns: list[Any]) -> Path:
    """A data set whose columns bear the names of their roles; row ids are r0, r1, …"""
    made = [Column("row_id", "other", "string"), *(Column(r, r, TYPES.get(r, "string")) for r in columns)]
    folder.mkdir(parents=True)
    write_schema(folder, made)
    values = [[f"r{n}" for n in range(len(next(iter(columns.values()))))], *columns.values()]
    schema = schema_of(made)
    arrays = [pa.array(value, kind) for value, kind in zip(values, schema.types, strict=True)]
    write_split(folder, "all", [pa.table(arrays, schema=schema)], schema)
    return folder


def run(root: Path, config: dict[str, Any] | None = None, seed: int = 0, **columns: list[Any]) -> FakeContext:
    context = FakeContext(root / "out", {"data": dataset(root / "in", **columns)}, seed=seed)
    split.run(split.Config(**(config or {})), context)
    return context


def ids(context: FakeContext) -> dict[str, list[str]]:
    data = Dataset.open(context.output("data"))
    return {name: data.column(name, "row_id") for name in NAMES}


def column(context: FakeContext, name: str) -> dict[str, list[Any]]:
    data = Dataset.open(context.output("data"))
    return {part: data.column(part, name) for part in NAMES}


def removed(context: FakeContext) -> dict[str, str]:
    rows = Dataset.open(context.output("removed")).table("all").to_pylist()
    assert all(row["reason"] == "overlap" for row in rows)
    return {row["row_id"]: row["detail"] for row in rows}


COUNTS = st.lists(st.integers(1, 400), min_size=1, max_size=12)
SHARES = st.tuples(st.integers(0, 45), st.integers(0, 45))


@settings(max_examples=300, deadline=None)
@given(counts=COUNTS, shares=SHARES)
def test_every_class_is_within_one_row_of_its_share_and_the_totals_are_hamiltons(
    counts: list[int], shares: tuple[int, int]
) -> None:
    parts = [Fraction(100 - sum(shares), 100), Fraction(shares[0], 100), Fraction(shares[1], 100)]
    seats = apportion(np.array(counts), [float(part) for part in parts])
    assert (seats.sum(axis=1) == counts).all()
    for count, row in zip(counts, seats.tolist(), strict=True):
        for part, seat in zip(parts, row, strict=True):
            assert abs(seat - count * part) < 1
    exact = [sum(counts) * part for part in parts]
    assert all(abs(total - quota) < 1 for total, quota in zip(seats.sum(axis=0).tolist(), exact, strict=True))


@pytest.mark.parametrize("total", [3, 10, 97, 1_000])
def test_one_class_is_divided_by_largest_remainders(total: int) -> None:
    quotas = [Fraction(7, 10) * total, Fraction(1, 10) * total, Fraction(2, 10) * total]
    seats = [int(quota) for quota in quotas]
    while sum(seats) < total:
        best = max(range(3), key=lambda side: (quotas[side] - seats[side], -side))
        seats[best] += 1
    assert apportion(np.array([total]), (0.7, 0.1, 0.2)).tolist() == [seats]


def test_small_classes_do_not_all_round_the_same_way() -> None:
    seats = apportion(np.full(20, 3), (0.7, 0.1, 0.2))
    assert seats.sum(axis=0).tolist() == [42, 6, 12]


def test_classes_keep_their_shares_exactly(tmp_path: Path) -> None:
    labels = ["a"] * 500 + ["b"] * 300 + ["c"] * 200
    context = run(tmp_path, text=[f"text {n}" for n in range(1_000)], label=labels)
    found = {name: Counter(values) for name, values in column(context, "label").items()}
    assert found["train"] == {"a": 350, "b": 210, "c": 140}
    assert found["validation"] == {"a": 50, "b": 30, "c": 20}
    assert found["test"] == {"a": 100, "b": 60, "c": 40}
    values = {name: context.value(f"data.{name}_rows") for name in NAMES}
    assert values == {"train": 700, "validation": 100, "test": 200}
    assert context.value("data.leakage_rate") == 0


def test_the_order_of_the_rows_does_not_matter_and_the_seed_does(tmp_path: Path) -> None:
    rows = [(f"text {n}", "xy"[n % 2]) for n in range(300)]
    shuffled = random.Random(1).sample(rows, len(rows))
    texts = []
    for name, order, seed in (("a", rows, 0), ("b", shuffled, 0), ("c", rows, 1)):
        values, labels = [text for text, _ in order], [label for _, label in order]
        texts.append(
            {
                part: set(v)
                for part, v in column(run(tmp_path / name, None, seed, text=values, label=labels), "text").items()
            }
        )
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


def test_row_order_inside_a_split_is_that_of_the_data(tmp_path: Path) -> None:
    context = run(tmp_path, text=[f"text {n}" for n in range(100)], label=["x", "y"] * 50)
    for names in ids(context).values():
        assert names == sorted(names, key=lambda name: int(name[1:]))


TEXT = st.sampled_from(["a", "A", " a ", "ａ", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"])


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(
        st.tuples(TEXT, st.sampled_from("xyz"), st.sampled_from([None, "1", "2", "3", "4"])), min_size=1, max_size=60
    )
)
@pytest.mark.parametrize("grouped", [False, True])
def test_no_text_and_no_group_is_on_two_sides(grouped: bool, rows: list[tuple[str, str, str | None]]) -> None:
    made = Rows.of(
        [text_key(text) for text, _, _ in rows],
        [label for _, label, _ in rows],
        [group for _, _, group in rows] if grouped else None,
    )
    sides = split_stratified(made, 0.2, 0.3, 0).tolist()
    for field in (0, 2) if grouped else (0,):
        held: dict[Any, int] = {}
        for row, side in zip(rows, sides, strict=True):
            value = normalized(str(row[0])) if field == 0 else row[2]
            if value is not None:
                assert held.setdefault(value, side) == side


@settings(max_examples=100, deadline=None)
@given(pairs=st.lists(st.tuples(st.integers(0, 15), st.none() | st.integers(0, 8)), min_size=1, max_size=40))
def test_clusters_are_the_connected_components(pairs: list[tuple[int, int | None]]) -> None:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = [(text, 16 + (group if group is not None else 9 + place)) for place, (text, group) in enumerate(pairs)]
    size = 16 + 9 + len(pairs)
    graph = coo_matrix((np.ones(len(edges)), tuple(zip(*edges, strict=True))), shape=(size, size))
    reference = connected_components(graph, directed=False)[1][[text for text, _ in pairs]]
    found = clusters(Rows.of([text_key(str(text)) for text, _ in pairs], None, [group for _, group in pairs]))
    same = reference[:, None] == reference[None, :]
    assert ((found[:, None] == found[None, :]) == same).all()


def test_groups_stay_whole_and_classes_near_their_share(tmp_path: Path) -> None:
    rng = random.Random(0)
    groups = [f"g{rng.randrange(150)}" for _ in range(1_500)]
    labels = [rng.choice(["x", "x", "y"]) for _ in groups]
    context = run(tmp_path, text=[f"text {n}" for n in range(1_500)], label=labels, group=groups)
    parts = {name: set(values) for name, values in column(context, "group").items()}
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["validation"]
    assert not parts["validation"] & parts["test"]
    overall = labels.count("x") / len(labels)
    for name, share in (("train", 0.7), ("validation", 0.1), ("test", 0.2)):
        found = column(context, "label")[name]
        assert abs(len(found) - share * 1_500) <= 15
        assert abs(found.count("x") / len(found) - overall) < 0.02


def test_with_groups_too_every_class_keeps_a_row_in_train(tmp_path: Path) -> None:
    labels = ["x"] * 30 + ["y"] * 20 + ["rare"] * 2
    groups = [f"g{n // 2}" for n in range(50)] + ["only", "only"]
    config = {"validation": 0.1, "test": 0.8}
    context = run(tmp_path, config, text=[f"t{n}" for n in range(52)], label=labels, group=groups)
    assert set(column(context, "label")["train"]) == {"x", "y", "rare"}


def test_time_puts_the_newest_into_test_and_never_divides_a_moment(tmp_path: Path) -> None:
    start = datetime.datetime(2024, 1, 1)  # noqa: DTZ001
    moments = [start + datetime.timedelta(days=n // 7) for n in range(700)]
    order = random.Random(0).sample(range(700), 700)
    times = [moments[n] for n in order]
    context = run(tmp_path, {"by": "time"}, text=[f"text {n}" for n in order], label=["x", "y"] * 350, time=times)
    found = column(context, "time")
    assert max(found["train"]) < min(found["validation"])
    assert max(found["validation"]) < min(found["test"])
    assert [len(found[name]) for name in NAMES] == [490, 70, 140]


def test_by_time_a_text_that_comes_again_later_is_taken_out_of_the_past(tmp_path: Path) -> None:
    times = [datetime.datetime(2024, 1, 1 + n) for n in range(20)]  # noqa: DTZ001
    texts = [f"text {n}" for n in range(19)] + ["text 0"]
    context = run(tmp_path, {"by": "time"}, text=texts, label=["x", "y"] * 10, time=times)
    assert removed(context) == {"r0": "train row that also stands in test"}
    assert "r19" in ids(context)["test"]


def given_rows() -> dict[str, list[str]]:
    texts = (
        [f"train {n}" for n in range(20)] + ["TRAIN 1", "train 2 ", "test 3", "test 4"] + ["val 1", "test 3", "train 5"]
    )
    parts = ["train"] * 20 + ["test"] * 4 + ["validation"] * 3
    return {"text": texts, "label": ["x", "y"] * 13 + ["x"], "split": parts}


def test_rows_of_train_that_test_has_too_are_taken_out_and_said(tmp_path: Path) -> None:
    context = run(tmp_path, **given_rows())
    assert "2 of 4 test rows also stand in train" in context.said
    assert "1 of 4 test rows also stand in validation" in context.said
    assert "1 of 3 validation rows also stand in train" in context.said
    assert removed(context) == {
        "r1": "train row that also stands in test",
        "r2": "train row that also stands in test",
        "r5": "train row that also stands in validation",
        "r25": "validation row that also stands in test",
    }
    assert [len(rows) for rows in ids(context).values()] == [17, 2, 4]
    assert context.value("data.overlap_found_rate") == 0.75
    assert context.value("data.leakage_rate") == 0
    assert "split" not in [column.name for column in Dataset.open(context.output("data")).columns]


def test_an_overlap_that_is_kept_counts_as_leakage(tmp_path: Path) -> None:
    context = run(tmp_path, {"overlap": "keep"}, **given_rows())
    assert [len(rows) for rows in ids(context).values()] == [20, 3, 4]
    assert context.value("data.leakage_rate") == 0.75
    assert not removed(context)


def test_a_missing_validation_split_is_carved_from_train_and_test_stays(tmp_path: Path) -> None:
    parts = ["train"] * 100 + ["test"] * 10
    context = run(tmp_path, text=[f"t{n}" for n in range(110)], label=["x", "y"] * 55, split=parts)
    assert [len(rows) for rows in ids(context).values()] == [90, 10, 10]
    assert ids(context)["test"] == [f"r{n}" for n in range(100, 110)]
    assert any("10 rows carved from train" in line for line in context.said)


def test_a_class_with_one_row_stays_in_train_and_it_is_said(tmp_path: Path) -> None:
    context = run(tmp_path, text=[f"t{n}" for n in range(51)], label=["x", "y"] * 25 + ["rare"])
    assert "rare" in column(context, "label")["train"]
    assert any("single row" in line and "rare" in line for line in context.said)
    assert any("no row in test: rare" in line for line in context.said)


def test_every_class_keeps_a_row_in_train_even_when_most_rows_go_to_test(tmp_path: Path) -> None:
    labels = ["x", "y"] * 25 + ["rare one", "rare two", "rare three"]
    config = {"validation": 0.1, "test": 0.8}
    context = run(tmp_path, config, text=[f"t{n}" for n in range(53)], label=labels)
    assert set(column(context, "label")["train"]) == set(labels)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="one class only: x"):
        run(tmp_path, text=["a", "b", "c"], label=["x"] * 3)


def test_too_few_rows_for_the_shares_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row goes to validation"):
        run(tmp_path, text=["a", "b", "c", "d"], label=["x", "y", "x", "y"])


def test_one_group_that_holds_everything_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row goes to"):
        run(tmp_path, text=[f"t{n}" for n in range(40)], label=["x", "y"] * 20, group=["g"] * 40)


def test_shares_that_leave_nothing_to_train_are_refused() -> None:
    with pytest.raises(ValidationError, match="nothing is left to train"):
        split.Config(validation=0.5, test=0.5)


def test_time_without_a_time_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="time"):
        run(tmp_path, {"by": "time"}, text=["a", "b"], label=["x", "y"])


def test_what_train_shows_does_not_change_when_test_changes(tmp_path: Path) -> None:
    first = given_rows()
    second = {**first, "text": [text + " other" if text.startswith("test 4") else text for text in first["text"]]}
    outputs = [run(tmp_path / name, **rows).output("data") for name, rows in (("a", first), ("b", second))]
    for name in ("train/00000.parquet", "train/profile.json", "dataset.json"):
        assert (outputs[0] / name).read_bytes() == (outputs[1] / name).read_bytes()
    name = "test/00000.parquet"
    assert (outputs[0] / name).read_bytes() != (outputs[1] / name).read_bytes()


def test_a_duplicated_noise_set_does_not_leak(tmp_path: Path) -> None:
    """Labels are noise; every text stands there three times. A row-wise split would let a look-up answer test."""
    rng = random.Random(0)
    base = [(f"noise {n}", rng.choice("xy")) for n in range(300)]
    rows = [(text.upper() if copy else text, label) for copy in range(3) for text, label in base]
    context = run(tmp_path, text=[text for text, _ in rows], label=[label for _, label in rows])
    texts = {name: {normalized(text) for text in values} for name, values in column(context, "text").items()}
    assert not (texts["train"] | texts["validation"]) & texts["test"]
    assert context.value("data.leakage_rate") == 0
    assert context.value("data.duplicate_rate") == pytest.approx(2 / 3)
    assert len(ids(context)["test"]) == pytest.approx(180, abs=3)


def test_the_given_side_of_test_is_never_touched_by_the_seed(tmp_path: Path) -> None:
    parts = ["train"] * 60 + ["test"] * 20
    values = {"text": [f"t{n}" for n in range(80)], "label": ["x", "y"] * 40, "split": parts}
    sides = [ids(run(tmp_path / str(seed), None, seed, **values)) for seed in (0, 1)]
    assert sides[0]["test"] == sides[1]["test"]
    assert sides[0]["validation"] != sides[1]["validation"]
    assert NAMES[TEST] == "test"


LISTED = st.lists(
    st.tuples(st.integers(0, 30), st.sampled_from("wxyz"), st.none() | st.integers(0, 12)), min_size=1, max_size=120
)


@settings(max_examples=150, deadline=None)
@given(rows=LISTED, grouped=st.booleans(), labelled=st.booleans(), shares=SHARES, seed=st.integers(0, 3))
def test_the_arrays_divide_as_the_dicts_do(
    rows: list[tuple[int, str, int | None]], grouped: bool, labelled: bool, shares: tuple[int, int], seed: int
) -> None:
    keys = [text_key(str(text)) for text, _, _ in rows]
    labels = [label for _, label, _ in rows] if labelled else None
    groups = [group for _, _, group in rows] if grouped else None
    validation, test = (share / 100 for share in shares)
    expected = split_reference.split_stratified(
        split_reference.ListedRows(keys, labels, groups), validation, test, seed
    )
    assert split_stratified(Rows.of(keys, labels, groups), validation, test, seed).tolist() == expected.tolist()


@settings(max_examples=150, deadline=None)
@given(rows=LISTED, grouped=st.booleans(), data=st.data())
def test_the_arrays_find_the_overlap_the_sets_find(
    rows: list[tuple[int, str, int | None]], grouped: bool, data: st.DataObject
) -> None:
    keys = [text_key(str(text)) for text, _, _ in rows]
    groups = [group for _, _, group in rows] if grouped else None
    side = st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows))
    sides = np.array(data.draw(side), dtype=np.int8)
    expected = split_reference.leaking(split_reference.ListedRows(keys, None, groups), sides)
    assert overlap(Rows.of(keys, None, groups), sides).leaking.tolist() == expected


def calibrated(tmp_path, times=None, groups=None, share=0.2, **settings):
    rng = random.Random(0)
    keys = [text_key(f"text {number if groups else rng.randrange(500)}") for number in range(600)]
    made = Rows.of(keys, [str(rng.randrange(4)) for _ in keys], groups, times)
    if times is not None:
        return made, split_by_time(times, 0.1, 0.2, share)
    return made, split_stratified(made, 0.1, 0.2, 0, share)


def test_calibration_takes_its_share_and_nothing_stands_on_two_sides(tmp_path):
    for groups in (None, [number % 90 for number in range(600)]):
        made, sides = calibrated(tmp_path, groups=groups)
        counts = checking.side_counts(sides)
        assert sum(counts) == 600
        assert counts[places.CALIBRATION] == pytest.approx(120, abs=12)
        assert overlap(made, sides).num_leaking == 0


def test_without_calibration_every_row_goes_where_it_went(tmp_path):
    made, plain = calibrated(tmp_path, share=0.0)
    assert plain.tolist() == split_stratified(made, 0.1, 0.2, 0).tolist()
    assert checking.side_counts(plain)[places.CALIBRATION] == 0


def test_by_time_calibration_lies_between_validation_and_test(tmp_path):
    times = np.random.default_rng(0).permutation(600).astype(np.int64)
    _, sides = calibrated(tmp_path, times=times)
    of = {side: times[sides == side] for side in places.ORDER}
    pairs = list(zip(places.ORDER, places.ORDER[1:], strict=False))
    assert all(of[one].max() < of[other].min() for one, other in pairs)
    assert [len(of[side]) for side in places.ORDER] == [300, 60, 120, 120]


def test_a_row_of_calibration_makes_way_for_test_and_train_for_calibration():
    keys = [text_key(text) for text in ("a", "a", "b", "b", "c")]
    sides = np.array([places.CALIBRATION, TEST, places.TRAIN, places.CALIBRATION, places.TRAIN], np.int8)
    found = overlap(Rows.of(keys), sides)
    assert found.leaking.tolist() == [TEST, -1, places.CALIBRATION, -1, -1]
    assert checking.leakage_rate(Rows.of(keys), sides) == 1.0
