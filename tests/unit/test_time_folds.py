"""Folds by time: what is learned from is older, by a gap if wanted, no older than the window, and shares no text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_stages import PROJECT, write_project
from test_folds import ROWS, write_toy

import modelyard
from modelyard.app import show
from modelyard.engine.bind import load_project
from modelyard.errors import InputError
from modelyard.methods.data.splitting.sides import REMOVED, TRAIN, VALIDATION, Rows
from modelyard.methods.data.splitting.time_folds import TimeFolds, cut_by_time, newest
from modelyard.methods.data.text import text_key

pytest_plugins = ("support.quick_disk",)

DAY = 86_400
MICRO = 1_000_000


def rows(seconds, texts=None, labels=None, groups=None):
    texts = texts or [f"text {place}" for place in range(len(seconds))]
    times = np.array(seconds, dtype=np.int64) * MICRO
    return Rows.of([text_key(text) for text in texts], labels, groups, times)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 400), min_size=30, max_size=120),
    st.integers(2, 4),
    st.integers(0, 40),
    st.one_of(st.none(), st.integers(40, 300)),
)
def test_no_row_is_learned_from_that_is_not_older_by_the_gap(seconds, k, gap, window):
    of = rows(seconds)
    times = of.times // MICRO
    held_before = np.zeros(len(times), dtype=bool)
    for fold in range(k):
        try:
            cut = cut_by_time(of, TimeFolds(k, gap, window), fold)
        except InputError:
            return
        train, held = times[cut.sides == TRAIN], times[cut.sides == VALIDATION]
        assert train.max() < held.min()
        assert held.min() - train.max() > gap or gap == 0
        if window is not None:
            assert held.min() - train.min() <= gap + window
        older = times < held.min()
        assert len(train) + cut.num_gap + cut.num_old + cut.num_shared == older.sum()
        assert not (held_before & (cut.sides == VALIDATION)).any(), "no row is held out twice"
        held_before |= cut.sides == VALIDATION


def test_blocks_are_those_of_scikit_learn_where_times_differ():
    from sklearn.model_selection import TimeSeriesSplit

    draw = np.random.default_rng(0)
    seconds = draw.permutation(120)
    cuts = [cut_by_time(rows(seconds), TimeFolds(5, gap_s=0), fold).sides for fold in range(5)]
    for sides, (train, test) in zip(cuts, TimeSeriesSplit(5).split(np.zeros(120)), strict=True):
        assert sorted(seconds[sides == TRAIN]) == train.tolist()
        assert sorted(seconds[sides == VALIDATION]) == test.tolist()


def test_rows_of_one_moment_stay_together_and_newer_rows_are_left_out():
    seconds = [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5
    cut = cut_by_time(rows(seconds), TimeFolds(3), 1)
    assert [cut.sides[place] for place in (0, 5, 10, 15)] == [TRAIN, TRAIN, VALIDATION, REMOVED]


def test_a_text_or_group_of_held_out_rows_is_not_learned_from_unless_it_is_kept():
    seconds = list(range(12))
    texts = [f"text {place}" for place in range(12)]
    texts[0] = texts[7]
    groups = [None] * 12
    groups[2] = groups[8] = "anna"
    of = rows(seconds, texts, groups=groups)
    cut = cut_by_time(of, TimeFolds(2), 0)
    assert cut.num_shared == 1  # text 7 is in the block 4..7
    assert cut.sides[0] == REMOVED
    assert cut_by_time(of, TimeFolds(2), 1).sides[2] == REMOVED
    kept = cut_by_time(of, TimeFolds(2, keep_overlap=True), 0)
    assert kept.sides[0] == TRAIN


def test_the_newest_share_is_held_out_within_a_fold():
    cut = newest(rows(range(100)), 0.2, TimeFolds(2, gap_s=5))
    assert np.flatnonzero(cut.sides == VALIDATION).tolist() == list(range(80, 100))
    assert cut.num_gap == 5
    assert np.flatnonzero(cut.sides == TRAIN).max() == 74


def test_what_cannot_be_cut_by_time_is_told():
    with pytest.raises(InputError, match="10 rows at 1 different times cannot be cut into 4 blocks"):
        cut_by_time(rows([7] * 10), TimeFolds(3), 0)
    with pytest.raises(InputError, match="fold 1 has no row to learn from"):
        cut_by_time(rows(range(40)), TimeFolds(3, gap_s=DAY), 0)
    with pytest.raises(InputError, match="fold 1 has one class only"):
        cut_by_time(rows(range(40), labels=["a"] * 20 + ["b"] * 20), TimeFolds(3), 0)
    with pytest.raises(InputError, match="no column has the role `time`"):
        cut_by_time(Rows.of([text_key("a")]), TimeFolds(3), 0)


def test_a_gap_or_window_without_times_is_refused(tmp_path):
    line = "  cv: {folds: {steps: [classifier, int8], k: 3, gap: 7d}}\n  quality:"
    _, problems = load_project(write_project(tmp_path, PROJECT.replace("  quality:", line)))
    assert "`gap` is a time: it needs `by: time`" in problems[0].expected


TOY = """version: 1
project: later
steps:
  data: {uses: ./rows.py}
  model: {uses: ./fit.py}
  judge: {uses: ./judge.py}
  cv: {folds: {steps: [model, judge], k: 3, by: time, gap: 10s, window: 25s, predictions: false}}
"""


def test_every_block_in_time_is_a_figure_of_its_own(quick_disk):
    timed = ROWS.replace('names = ("row_id", "text", "label")', 'names = ("row_id", "text", "label", "time")')
    timed = timed.replace('[Column(name, {"row_id": "other"}.get(name, name), "string") for name in names]',
                          '[Column(name, {"row_id": "other"}.get(name, name), KIND.get(name, "string"))'
                          ' for name in names]')  # fmt: skip
    timed = timed.replace("schema = pa.schema([(name, pa.string()) for name in names])",
                          'schema = pa.schema([(name, getattr(pa, "string")() if name != "time" else'
                          ' pa.timestamp("us")) for name in names])')  # fmt: skip
    timed = timed.replace('"label": "ab"[n % 2]}', '"label": "ab"[n % 2], "time": AT[split] + n * 1_000_000}')
    head = 'KIND = {"time": "timestamp[us]"}\nAT = {"validation": 0, "train": 10_000_000, "test": 60_000_000}\n'
    timed = timed.replace("\n\nclass Config", f"\n\n{head}\n\nclass Config", 1)
    write_toy(quick_disk / "toy", text=TOY)
    (quick_disk / "toy" / "rows.py").write_text(timed.replace('("train", 20)', '("train", 70)'))
    result = modelyard.run(quick_disk / "toy")
    found = modelyard.evidence("cv.report", project=quick_disk / "toy")
    assert [item["slice"] for item in found] == [{}, {"fold": "1"}, {"fold": "2"}, {"fold": "3"}]
    values = [item["value"] for item in found]
    assert values[0] == pytest.approx(sum(values[1:]) / 3)
    value = show.folds("cv", project=quick_disk / "toy")
    assert [fold["held"] for fold in value["folds"]] == [20, 20, 20]
    assert [fold["train"] for fold in value["folds"]] == [10, 25, 25], "the gap and the window leave rows out"
    assert [fold["first"] for fold in value["folds"]] == [f"1970-01-01 00:00:{n}" for n in (20, 40)] + [
        "1970-01-01 00:01:00"
    ]
    assert result.project == "later"
