"""Figures of data sets: exact while small, honest when not, the same whatever the order of the rows."""

from __future__ import annotations

import datetime
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.small_data import make

from modelyard.methods.data.statistics.describe import describe
from modelyard.methods.data.statistics.hashing import MISSING, draws, hashes, mix
from modelyard.methods.data.statistics.sketches import Distinct, Moments, Sample, Top


def test_equal_values_hash_equal_whatever_their_type_and_missing_values_apart() -> None:
    whole, floats = pa.array([0, -3, 7, None], pa.int64()), pa.array([-0.0, -3.0, 7.0, None], pa.float64())
    assert hashes(whole).tolist() == hashes(floats).tolist()
    assert hashes(whole)[3] == MISSING
    texts = hashes(pa.array(["", "a", None, "a"]))
    assert texts[1] == texts[3]
    assert MISSING not in (texts[0], texts[1])
    assert hashes(pa.array([float("nan")]))[0] == hashes(pa.array([-float("nan")]))[0]
    assert len(set(hashes(pa.array([[1], [2], [1]])).tolist())) == 2
    one, other = hashes(pa.array(["a", "b"])), hashes(pa.array(["b", "a"]))
    assert mix([one, other]).tolist() != mix([other, one]).tolist()


def test_draws_belong_to_rows_seeds_and_purposes() -> None:
    ids = ["a", "b", "c"]
    assert draws(ids, 1, "x").tolist() == draws(pa.array(ids[::-1]), 1, "x").tolist()[::-1]
    assert draws(ids, 1, "x").tolist() != draws(ids, 2, "x").tolist()
    assert draws(ids, 1, "x").tolist() != draws(ids, 1, "y").tolist()


def test_distinct_values_are_exact_then_estimated_within_three_standard_errors() -> None:
    counter = Distinct(limit=1_000)
    counter.update(hashes(pa.array(range(900))))
    counter.update(hashes(pa.array(range(500))))
    assert (counter.count, counter.exact) == (900, True)
    for start in range(0, 200_000, 10_000):
        counter.update(hashes(pa.array(range(start, start + 10_000))))
    assert not counter.exact
    assert counter.count == pytest.approx(200_000, rel=3 / math.sqrt(998))


def test_frequent_values_survive_a_flood_of_rare_ones_with_a_known_error() -> None:
    top = Top(size=100)
    generator = random.Random(0)
    truth = {"often": 0, "also": 0}
    for _ in range(50):
        values = ["often"] * 300 + ["also"] * 100 + [f"rare{generator.randrange(10**9)}" for _ in range(600)]
        truth["often"] += 300
        truth["also"] += 100
        top.update(hashes(pa.array(values)), values.__getitem__)
    assert not top.exact
    for (value, count), name in zip(top.most(2), ("often", "also"), strict=True):
        assert value == name
        assert truth[name] - top.error <= count <= truth[name]


def test_a_sample_does_not_depend_on_the_order_and_its_quantiles_keep_their_band() -> None:
    values = np.random.default_rng(0).normal(size=100_000)
    ids = draws([str(place) for place in range(100_000)], 0, "q")
    forth, back = Sample(5_000), Sample(5_000)
    for start in range(0, 100_000, 7_000):
        forth.update(ids[start : start + 7_000], values[start : start + 7_000])
    for start in range(0, 100_000, 999):
        back.update(ids[::-1][start : start + 999], values[::-1][start : start + 999])
    assert forth.values().tolist() == back.values().tolist()
    assert len(forth.values()) == 5_000
    for share, found in zip((0.1, 0.5, 0.9), forth.quantiles((0.1, 0.5, 0.9)), strict=True):
        assert float((values <= found).mean()) == pytest.approx(share, abs=forth.rank_error)
    assert 0 < forth.rank_error < 0.02


def test_moments_in_batches_are_those_of_the_whole() -> None:
    values = np.random.default_rng(1).lognormal(10, 2, 10_001)
    moments = Moments()
    for part in np.array_split(values, 13):
        moments.update(part)
    moments.update(np.zeros(0))
    figures = moments.to_json()
    assert figures["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert figures["std"] == pytest.approx(values.std(ddof=1), rel=1e-10)
    assert (figures["min"], figures["max"]) == (values.min(), values.max())


def test_every_kind_of_column_is_described(tmp_path: Path) -> None:
    data = make(
        tmp_path / "d",
        {
            "text": ("text", "string", ["好吃", "good", "good", None, ""]),
            "label": ("label", "string", ["a", "b", "b", "b", None]),
            "n": ("feature", "double", [1.0, 2.0, float("nan"), None, float("inf")]),
            "at": ("time", "timestamp[us]", [datetime.datetime(2024, 1, day + 1) for day in range(5)]),  # noqa: DTZ001
            "picture": ("image", "binary", [b"12", b"1234", None, b"", b"1"]),
        },
    )
    found = describe(data, ["all"])
    text, label, n, at, picture = found["columns"]
    assert (text["missing"], text["empty"], text["distinct"], text["top"]) == (1, 1, 3, [{"value": "good", "rows": 2}])
    assert text["length"]["max"] == 4
    assert text["scripts"] == {"Latin": 0.5, "Han": 0.25, "none": 0.25}
    assert found["labels"]["shares"] == {"b": 0.75, "a": 0.25}
    assert found["labels"]["evenness"] == pytest.approx(0.8113, abs=1e-4)
    assert (n["not_finite"], n["mean"], n["missing"]) == (2, 1.5, 1)
    assert (at["oldest"], at["newest"]) == ("2024-01-01T00:00:00", "2024-01-05T00:00:00")
    assert picture["length"]["max"] == 4.0
    assert (label["missing"], picture["missing"], found["rows"]) == (1, 1, 5)


def test_an_empty_data_set_and_an_empty_column_are_described(tmp_path: Path) -> None:
    empty = describe(make(tmp_path / "e", {"text": ("text", "string", [])}), ["all"])
    assert (empty["rows"], empty["columns"][0]["distinct"]) == (0, 0)
    hollow = describe(make(tmp_path / "h", {"n": ("feature", "double", [None, None])}), ["all"])
    assert (hollow["columns"][0]["missing"], hollow["columns"][0]["top"]) == (2, [])


MEMORY = """
import sys, resource
from pathlib import Path
sys.path.insert(0, {tests!r})
from support.small_data import make
from modelyard.methods.data.dataset import Dataset
import pyarrow as pa, random
from modelyard.methods.data.dataset import Column, write_schema, write_split
folder = Path({folder!r})
schema = pa.schema([("row_id", pa.string()), ("text", pa.string()), ("n", pa.float64())])
def batches(num, mark):
    generator = random.Random(0)
    for start in range(0, num, 4096):
        texts = [f"{{mark}} {{place}} " + "word " * 250 for place in range(start, start + 4096)]
        ids = [f"r{{place}}" for place in range(start, start + 4096)]
        yield pa.table([ids, texts, [generator.random() for _ in texts]], schema)
for name, mark in (("a", "one"), ("b", "two")):
    (folder / name).mkdir()
    write_schema(folder / name, [Column("row_id", "other", "string"), Column("text", "text", "string"),
                                 Column("n", "feature", "double")])
    write_split(folder / name, "all", batches({rows}, mark), schema)
from modelyard.methods.data.statistics.describe import describe
from modelyard.methods.data.difference import difference, marks
from modelyard.methods.data.sampling import sample
marks.PART_ROWS = 8192
a, b = Dataset.open(folder / "a"), Dataset.open(folder / "b")
small = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
describe(a, ["all"]); difference(a, b); sample(a, ["all"], 50, 0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - small)
"""


def test_figures_samples_and_differences_take_constant_memory(tmp_path: Path) -> None:
    """Some more rows may not take more than a little more: the texts alone are 10 and 36 MB, twice."""
    used = []
    for rows in (8_192, 28_672):
        folder = tmp_path / str(rows)
        folder.mkdir()
        code = MEMORY.format(tests=str(Path(__file__).parents[1]), folder=str(folder), rows=rows)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        used.append(int(done.stdout) / 1024)
    assert used[1] < used[0] + 25, used
