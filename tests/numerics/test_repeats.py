"""Rows grouped by sorted arrays: the same as with dicts, however the key space is cut; and little memory a row."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.methods.data.grouping import Names, number, pack, parts, unpack
from modelyard.methods.data.repeats import CONFLICT, DUPLICATE, EMPTY, KEEP, Survey, judge
from modelyard.methods.data.text import text_key

KEYS = st.lists(st.integers(0, 40).map(lambda n: text_key(str(n))), max_size=200)


@settings(max_examples=100, deadline=None)
@given(keys=KEYS, part_rows=st.sampled_from([1, 7, 1_000]))
def test_keys_are_numbered_in_their_order(keys: list[bytes], part_rows: int) -> None:
    numbers, count = number(pack(keys), part_rows)
    place = {key: index for index, key in enumerate(sorted(set(keys)))}
    assert numbers.tolist() == [place[key] for key in keys]
    assert count == len(place)
    assert unpack(pack(keys)) == keys


def test_parts_hold_every_row_once_and_follow_each_other() -> None:
    keys = pack([text_key(str(n)) for n in range(5_000)])
    found = list(parts(keys, 10))
    assert len(found) == 256
    assert sorted(np.concatenate(found).tolist()) == list(range(5_000))
    highest = [int(keys[rows, 0].max()) for rows in found if rows.size]
    assert highest == sorted(highest)


def test_names_come_back_as_they_went_in() -> None:
    names = Names(4)
    names.extend(["a", "", "中文"])
    names.extend(["\ud800"])
    assert [names[place] for place in range(4)] == ["a", "", "中文", "\ud800"]


Row = tuple[int, str | None, str | None, bool]
ROWS = st.lists(
    st.tuples(
        st.integers(0, 12), st.sampled_from(["x", "y", "z", None]), st.sampled_from(["train", "test"]), st.booleans()
    ),
    max_size=60,
)


def reference(rows: list[Row], conflicts: str, drop: bool) -> dict[str, Any]:
    """Verdicts and counts with a dict of lists."""
    texts: dict[tuple[Any, int], list[int]] = {}
    for place, (text, _, split, empty) in enumerate(rows):
        if not empty:
            texts.setdefault((split, text), []).append(place)
    verdicts: list[tuple[int, Any]] = [(EMPTY, None) if row[3] else (KEEP, None) for row in rows]
    mixed = [places for places in texts.values() if len({rows[place][1] for place in places}) > 1]
    for places in texts.values():
        counts = Counter(rows[place][1] for place in places)
        most = [label for label, count in counts.items() if count == max(counts.values())]
        for place in places:
            label = rows[place][1]
            first = next(other for other in places if rows[other][1] == label)
            lost = conflicts == "drop" or (conflicts == "majority" and most != [label])
            if len(counts) > 1 and lost:
                verdicts[place] = (CONFLICT, sorted(counts.items(), key=str))
            elif drop and place != first:
                verdicts[place] = (DUPLICATE, first)
    kept = [row[0] for row, verdict in zip(rows, verdicts, strict=True) if verdict[0] == KEEP]
    return {
        "verdicts": verdicts,
        "conflicts": (len(mixed), sum(map(len, mixed))),
        "repeated": len(kept) - len(set(kept)),
        "given": {s: sum(len(p) for (split, _), p in texts.items() if split == s) for s in {s for s, _ in texts}},
        "in_train": sum(len(p) for (split, text), p in texts.items() if split == "test" and ("train", text) in texts),
    }


@settings(max_examples=200, deadline=None)
@given(rows=ROWS, drop=st.booleans(), part_rows=st.sampled_from([2, 1_000]))
@pytest.mark.parametrize("conflicts", ["drop", "keep", "majority"])
def test_sorted_arrays_judge_as_dicts_do(conflicts: Any, rows: list[Row], drop: bool, part_rows: int) -> None:
    survey = Survey.of(len(rows))
    survey.keys[:] = pack([text_key(str(text)) for text, *_ in rows])
    survey.labels[:] = survey.label_codes([label for _, label, _, _ in rows])
    survey.splits[:] = survey.split_codes([split for _, _, split, _ in rows])
    survey.empty[:] = [empty for *_, empty in rows]
    found = judge(survey, conflicts, drop, part_rows)

    def told(verdict: int, other: int) -> Any:
        if verdict == CONFLICT:
            names = [(None if c < 0 else survey.label_codes.names[c], n) for c, n in found.conflict(other)]
            return sorted(names, key=str)
        return other if verdict == DUPLICATE else None

    expected = reference(rows, conflicts, drop)
    pairs = zip(found.verdicts.tolist(), found.other.tolist(), strict=True)
    assert [(verdict, told(verdict, other)) for verdict, other in pairs] == expected["verdicts"]
    assert (found.num_conflicts, found.num_conflicting) == expected["conflicts"]
    assert found.num_repeated == expected["repeated"]
    assert {split: count for split, count in found.given.items() if count} == expected["given"]
    assert found.also_in_train.total() == expected["in_train"]


MEASURE = """
import resource, sys
import numpy as np
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
from modelyard.methods.data.repeats import Survey, judge
from modelyard.methods.data.splitting.choosing import split_stratified
from modelyard.methods.data.splitting.sides import Labels, Rows
from modelyard.methods.data.grouping import number
import modelyard.methods.data.splitting.writing
n, what = int(sys.argv[1]), sys.argv[2]
rng = np.random.default_rng(0)
before = peak()
keys = rng.integers(0, 1 << 63, (n, 2), dtype=np.uint64)
again = rng.integers(0, n, n // 2)
keys[again] = keys[again[0]] if what == "one text" else keys[::-1][again]
if what == "split" or what == "groups":
    labels = Labels(rng.integers(0, 20, n, dtype=np.int32), tuple(str(k) for k in range(20)))
    groups = rng.integers(0, n // 50, n, dtype=np.int32) if what == "groups" else None
    split_stratified(Rows(keys, number(keys)[0], labels, groups), 0.1, 0.2, 0)
else:
    survey = Survey.of(n)
    survey.keys = keys
    survey.labels[:] = rng.integers(0, 3, n)
    survey.label_codes([0, 1, 2])
    judge(survey, "majority", True)
print((peak() - before) / n)
"""


@pytest.mark.parametrize(("what", "most"), [("clean", 80), ("one text", 100), ("split", 90), ("groups", 90)])
def test_a_row_takes_less_than_a_hundred_bytes(what: str, most: int) -> None:
    code = [sys.executable, "-c", MEASURE, "2000000", what]
    done = subprocess.run(code, capture_output=True, text=True, check=True)
    assert float(done.stdout) < most
