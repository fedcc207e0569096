"""Samples: the same rows for the same seed however the data is cut, uniform, and fair to every stratum."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from support.small_data import make

from modelyard.errors import UsageError
from modelyard.methods.data.sampling import allot, fetch, sample


def ids(rows: list[dict[str, object]]) -> list[object]:
    return [row["row_id"] for row in rows]


def test_the_sample_belongs_to_the_seed_and_the_set_of_rows(tmp_path: Path) -> None:
    names = [f"r{i}" for i in range(20_000)]
    one = make(tmp_path / "a", {"n": ("other", "int64", range(20_000))}, names)
    back = make(tmp_path / "b", {"n": ("other", "int64", range(20_000))}, names[::-1])
    first = ids(sample(one, ["all"], 50, 7))
    assert sorted(first) == sorted(ids(sample(back, ["all"], 50, 7)))
    assert first != ids(sample(one, ["all"], 50, 8))
    assert set(first) < set(ids(sample(one, ["all"], 80, 7)))
    assert first == sorted(first, key=names.index)


def test_every_row_is_as_likely(tmp_path: Path) -> None:
    data = make(tmp_path / "a", {"n": ("other", "int64", range(40))})
    seen = Counter(name for seed in range(400) for name in ids(sample(data, ["all"], 10, seed)))
    assert len(seen) == 40
    assert 65 < min(seen.values()) <= max(seen.values()) < 140  # 100 expected, standard deviation 8.7


def test_strata_get_their_share_and_at_least_one_row(tmp_path: Path) -> None:
    labels = ["ham"] * 870 + ["spam"] * 127 + ["odd"] * 2 + [None]
    data = make(tmp_path / "a", {"label": ("label", "string", labels)})
    found = Counter(row["label"] for row in sample(data, ["all"], 20, 0, by="label"))
    assert sum(found.values()) == 20
    assert (found["odd"], found[None]) == (1, 1)
    assert found["ham"] == 16
    everything = sample(data, ["all"], 5_000, 0, by="label")
    assert len(everything) == 1_000


@pytest.mark.parametrize(("rows", "num", "expected"), [
    ({"a": 1, "b": 1, "c": 1}, 2, 2), ({"a": 100, "b": 1}, 50, 50), ({"a": 3}, 10, 3), ({}, 5, 0),
    ({str(i): 1 for i in range(30)}, 30, 30), ({"a": 97, "b": 1, "c": 1, "d": 1}, 4, 4),
])  # fmt: skip
def test_shares_add_up_and_no_stratum_gives_more_than_it_has(rows: dict[object, int], num: int, expected: int) -> None:
    given = allot(rows, num)
    assert sum(given.values()) == expected
    assert all(0 <= given[name] <= rows[name] for name in given)


def test_a_column_of_too_many_values_or_none_at_all_is_refused(tmp_path: Path) -> None:
    data = make(tmp_path / "a", {"n": ("other", "int64", range(2_000))})
    with pytest.raises(UsageError, match="more than 1,000"):
        sample(data, ["all"], 5, 0, by="n")
    with pytest.raises(UsageError, match="no column `m`"):
        sample(data, ["all"], 5, 0, by="m")


def test_rows_are_fetched_at_their_places_in_the_order_asked_for(tmp_path: Path) -> None:
    data = make(tmp_path / "a", {"n": ("other", "int64", range(100_000))})
    places = [("all", 99_999), ("all", 0), ("all", 8_192), ("all", 98_304)]
    assert [row["n"] for row in fetch(data, places)] == [99_999, 0, 8_192, 98_304]
