"""Which rows repeat a text, and which texts stand under several labels: by sorting keys, part by part.

Beside the arrays of the survey this takes 5 bytes a row (a verdict and a row number), and 12 for each label of a text
that stands under several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.grouping import PART_ROWS, Index, KeyArray, index_type, parts, starts

Conflicts = Literal["drop", "keep", "majority"]
KEEP, EMPTY, CONFLICT, DUPLICATE = range(4)
NO_CODE = -1


class Codes:
    """Values as numbers in the order they are met; None is NO_CODE."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {None: NO_CODE}
        self.names: list[Hashable] = []

    def __call__(self, values: list[Hashable]) -> list[int]:
        numbers = self._numbers
        for value in values:
            if value not in numbers:
                numbers[value] = len(self.names)
                self.names.append(value)
        return [numbers[value] for value in values]


@dataclass
class Survey:
    """What the first pass remembers of every row: 22 bytes.

    Attributes:
        keys: [rows, 2], of the repaired text.
        labels, splits: codes [rows]; names in `label_codes` and `split_codes`.
        empty: rows [rows] that are dropped as empty and take part in nothing else.
    """

    keys: KeyArray
    labels: NDArray[np.int32]
    splits: NDArray[np.int8]
    empty: NDArray[np.bool_]
    label_codes: Codes = field(default_factory=Codes)
    split_codes: Codes = field(default_factory=Codes)

    @classmethod
    def of(cls, num_rows: int) -> Survey:
        return cls(
            np.zeros((num_rows, 2), dtype=np.uint64),
            np.zeros(num_rows, dtype=np.int32),
            np.zeros(num_rows, dtype=np.int8),
            np.zeros(num_rows, dtype=np.bool_),
        )


@dataclass
class Findings:
    """What becomes of every row.

    Attributes:
        verdicts: KEEP, EMPTY, CONFLICT or DUPLICATE [rows].
        other: of a repeat the position of the row that stays; of a conflict the number of its text.
        num_conflicts, num_conflicting: texts under several labels, and their rows.
        num_repeated: rows kept that repeat the text of an earlier row kept, whatever their split.
        given: rows by given split, empty ones aside; `also_in_train`: those whose text train has too.
    """

    verdicts: NDArray[np.int8]
    other: Index
    num_conflicts: int = 0
    num_conflicting: int = 0
    num_repeated: int = 0
    given: Counter[str] = field(default_factory=Counter)
    also_in_train: Counter[str] = field(default_factory=Counter)
    _starts: list[NDArray[np.int64]] = field(default_factory=list)
    _labels: list[NDArray[np.int32]] = field(default_factory=list)
    _counts: list[NDArray[np.int64]] = field(default_factory=list)

    def add_conflicts(self, labels: NDArray[np.int32], counts: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
        """Labels and their rows of texts under several labels, one after the other; `sizes` labels each."""
        before = sum(len(part) for part in self._labels)
        self._starts.append(np.cumsum(sizes) - sizes + before)
        self._labels.append(labels)
        self._counts.append(counts)

    def close(self) -> None:
        """Join what came part by part."""
        end = np.array([sum(len(part) for part in self._labels)])
        self._starts = [np.concatenate([*self._starts, end])]
        self._labels = [np.concatenate([*self._labels, np.zeros(0, dtype=np.int32)])]
        self._counts = [np.concatenate([*self._counts, np.zeros(0, dtype=np.int64)])]

    def conflict(self, number: int) -> list[tuple[int, int]]:
        """Label codes of a text, and how many rows it has under each."""
        start, end = self._starts[0][number : number + 2].tolist()
        return list(zip(self._labels[0][start:end].tolist(), self._counts[0][start:end].tolist(), strict=True))


def judge(survey: Survey, conflicts: Conflicts, drop_duplicates: bool, part_rows: int = PART_ROWS) -> Findings:
    """Compare all rows. Two rows are repeats if key, split and label are equal; the first stays.

    A text (key and split) under several labels is a conflict: `drop` takes all its rows, `majority` those of every
    label but the one most rows have (all, if two tie), `keep` none.
    """
    num_rows = len(survey.keys)
    found = Findings(np.zeros(num_rows, dtype=np.int8), np.zeros(num_rows, dtype=index_type(num_rows)))
    found.verdicts[survey.empty] = EMPTY
    for part in parts(survey.keys, part_rows):
        rows = part[~survey.empty[part]]
        if len(rows):
            _judge_part(survey, rows, found, conflicts, drop_duplicates)
    found.close()
    return found


def _judge_part(
    survey: Survey, rows: NDArray[np.int64], found: Findings, conflicts: Conflicts, drop_duplicates: bool
) -> None:
    """Rows are sorted into runs of one label, inside places (one text in one split), inside texts."""
    columns = (survey.keys[rows, 0], survey.keys[rows, 1], survey.splits[rows], survey.labels[rows])
    order = np.lexsort(columns[::-1])  # stable: the first row of a run is the first of the data
    high, low, split, label = (column[order] for column in columns)
    rows = rows[order]
    new_text = starts(high, low)
    new_place = new_text | starts(split)
    new_run = new_place | starts(label)
    run_of_row = np.cumsum(new_run) - 1
    run_start = np.flatnonzero(new_run)
    run_size = np.diff(np.append(run_start, len(rows)))
    place_of_run = np.cumsum(new_place)[run_start] - 1
    place_start = np.flatnonzero(new_place[run_start])  # the first run of each place
    num_labels = np.diff(np.append(place_start, len(run_start)))

    mixed = num_labels[place_of_run] > 1
    if mixed.any():
        wins = _wins(run_size, place_of_run, place_start)
        gone = mixed & {"drop": mixed, "keep": ~mixed, "majority": ~wins}[conflicts]
        numbers = found.num_conflicts + np.cumsum(num_labels > 1) - 1
        found.verdicts[rows[gone[run_of_row]]] = CONFLICT
        found.other[rows[gone[run_of_row]]] = numbers[place_of_run][run_of_row][gone[run_of_row]]
        found.add_conflicts(label[run_start][mixed], run_size[mixed], num_labels[num_labels > 1])
        found.num_conflicts += int((num_labels > 1).sum())
        found.num_conflicting += int(run_size[mixed].sum())
    kept = found.verdicts[rows] == KEEP
    if drop_duplicates:
        again = kept & ~new_run
        found.verdicts[rows[again]] = DUPLICATE
        found.other[rows[again]] = rows[run_start][run_of_row[again]]
        kept &= new_run
    texts = int(np.logical_or.reduceat(kept, np.flatnonzero(new_text)).sum())
    found.num_repeated += int(kept.sum()) - texts
    _count_given(survey.split_codes.names, split, new_text, found)


def _wins(
    run_size: NDArray[np.int64], place_of_run: NDArray[np.int64], place_start: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether a run alone has the most rows of its place."""
    most = run_size == np.maximum.reduceat(run_size, place_start)[place_of_run]
    alone = np.add.reduceat(most.astype(np.int64), place_start) == 1
    wins: NDArray[np.bool_] = most & alone[place_of_run]
    return wins


def _count_given(names: list[Hashable], split: NDArray[Any], new_text: NDArray[np.bool_], found: Findings) -> None:
    if not names:
        return
    text = np.cumsum(new_text) - 1
    in_train = np.zeros(text[-1] + 1, dtype=np.bool_)
    if "train" in names:
        in_train[text[split == names.index("train")]] = True
    for code, name in enumerate(names):
        mine = split == code
        found.given[str(name)] += int(mine.sum())
        again = int(in_train[text[mine]].sum()) if name != "train" else 0
        if again:
            found.also_in_train[str(name)] += again
