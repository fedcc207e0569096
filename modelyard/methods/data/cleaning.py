"""Repaired texts, no empties, no repeats, no text under two labels; every row removed or changed kept with its reason.

Two passes: the first repairs and remembers 22 bytes a row, the second writes. Memory grows with the number of rows
and not with their length: 46 bytes a row at the peak (75 where half the rows have one text; measured on five million
rows), and the row id of each text that is repeated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.grouping import Index, Names, pack
from modelyard.methods.data.marked_spans import parse_spans
from modelyard.methods.data.repeats import CONFLICT, DUPLICATE, EMPTY, KEEP, Conflicts, Findings, Survey, judge
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.text import text_key
from modelyard.methods.text.repair import Repair
from modelyard.methods.text.travelling import added, joined

REASONS = {EMPTY: "empty", DUPLICATE: "repeat", CONFLICT: "conflict"}
REPAIRED = "repaired"
MARKING = ("string", "large_string", "list", "large_list")
"""Types, by the beginning of Arrow's name, of cells that may mark places in a text."""
MUCH = "x" * 1_000_000
"""A text that every place is inside of."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cleaning:
    """What is cleaned; the settings of data.clean.

    Attributes:
        travels: whether the column says how its texts were repaired, so that models repair in the same way.
        drop_empty: remove rows whose text is empty after repair.
        drop_duplicates: keep only the first row of each text.
        conflicts: for texts that stand under several labels: drop them all, keep them, or keep the label that most of
            its rows have (none if two labels tie).
    """

    repair: Repair = field(default_factory=Repair)
    travels: bool = True
    drop_empty: bool = True
    drop_duplicates: bool = True
    conflicts: Conflicts = "drop"


@dataclass
class Outcome:
    """What cleaning came to.

    Attributes:
        account: rows in, kept, removed and changed, by reason.
        num_conflicting: rows in that share their text with a row of another label.
        num_conflicts: texts under several labels.
        num_repeated: rows out that repeat the text of an earlier row out, whatever their split.
        repairs: rows kept by the kinds of repair they took; UNSETTLED ones were left as they came.
        given: rows in by given split, empty texts aside; `also_in_train`: those of them whose text train has too.
        marked: a column that marks places in the texts, which were therefore left as they came.
    """

    account: Account
    num_conflicting: int = 0
    num_conflicts: int = 0
    num_repeated: int = 0
    repairs: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    also_in_train: Counter[str] = field(default_factory=Counter)
    marked: str | None = None

    def num_removed(self, verdict: int) -> int:
        """Rows removed as EMPTY, DUPLICATE or CONFLICT."""
        return self.account.removed[REASONS[verdict]]


def clean(data: Dataset, cleaning: Cleaning, kept: Path, removed: Path, progress: Progress) -> Outcome:
    """Clean the split `all` of a data set into the folder `kept`; what was removed or changed goes to `removed`.

    Args:
        progress: called with rows done and rows in all; each row counts in both passes.

    Raises:
        InputError: the data has no column with the role `text`, or its texts were made of the other script before.
    """
    job = _Job(data, cleaning, progress)
    found, labels = job.judge()
    account = job.write(found, labels, kept, removed)
    return Outcome(
        account,
        found.num_conflicting,
        found.num_conflicts,
        found.num_repeated,
        job.repairs,
        found.given,
        found.also_in_train,
        job.marked,
    )


class _Job:
    def __init__(self, data: Dataset, cleaning: Cleaning, progress: Progress) -> None:
        self._num_in = data.num_rows("all")
        self._data = data
        self._cleaning = cleaning
        self._progress = progress
        self._text = data.need("text")
        self._label = data.role("label")
        self._split = data.role("split")
        self.marked = marking_column(data, self._text)
        earlier = data.repairs(self._text)
        self._repair = None if self.marked else joined(earlier, cleaning.repair)
        repairs = added(earlier, self._repair) if self._repair and cleaning.travels else earlier
        self._columns = [
            replace(column, repairs=repairs) if column.name == self._text else column for column in data.columns
        ]
        self._done = 0
        self.repairs: Counter[str] = Counter()

    def judge(self) -> tuple[Findings, list[Any]]:
        """First pass: what becomes of every row, and the names of the labels by code."""
        survey = Survey.of(self._num_in)
        columns = [name for name in (self._text, self._label, self._split) if name]
        start = 0
        for batch in self._data.batches("all", columns):
            rows = slice(start, start + batch.num_rows)
            texts = [self._explained(text)[0] for text in self._texts(batch)]
            survey.keys[rows] = pack([text_key(text) for text in texts])
            survey.labels[rows] = survey.label_codes(self._values(batch, self._label))
            survey.splits[rows] = survey.split_codes(self._values(batch, self._split))
            if self._cleaning.drop_empty:
                survey.empty[rows] = [not text or text.isspace() for text in texts]
            start += batch.num_rows
            self._tell(batch.num_rows)
        return judge(survey, self._cleaning.conflicts, self._cleaning.drop_duplicates), survey.label_codes.names

    def write(self, found: Findings, labels: list[Any], kept: Path, removed: Path) -> Account:
        """Second pass: rows to keep, and a record of each one removed or changed."""
        schema = schema_of(self._data.columns)
        write_schema(kept, self._columns)
        place = schema.get_field_index(self._text)
        reader = _Details(found, labels)
        start = 0
        with SplitWriter(kept, "all", schema) as good, ChangeLog(removed) as log:
            log.account.num_in = self._num_in
            for batch in self._data.batches("all"):
                verdicts = found.verdicts[start : start + batch.num_rows]
                ids = [str(value) for value in batch.column(ROW_ID).to_pylist()]
                reader.pass_by(start, ids)
                before = self._texts(batch)
                repaired = [self._explained(text) for text in before]
                after = [text for text, _ in repaired]
                changed = 0
                for offset in np.flatnonzero(verdicts == KEEP).tolist():
                    kinds = repaired[offset][1]
                    self.repairs.update(kinds)
                    if before[offset] != after[offset]:
                        how = ", ".join(kinds)
                        log.changed(ids[offset], REPAIRED, self._text, before[offset], after[offset], how)
                        changed += 1
                gone = np.flatnonzero(verdicts != KEEP)
                for (offset, row), detail in zip(_rows_at(batch, gone), reader.details(start + gone), strict=True):
                    log.removed(ids[offset], REASONS[int(verdicts[offset])], detail, row)
                texts = pa.array(after, pa.string())
                rows = pa.Table.from_batches([batch]).set_column(place, schema.field(place), texts)
                good.write(rows.filter(pa.array(verdicts == KEEP)))
                log.kept(int((verdicts == KEEP).sum()), changed)
                start += batch.num_rows
                self._tell(batch.num_rows)
        return log.account

    def _explained(self, text: str) -> tuple[str, tuple[str, ...]]:
        return (text, ()) if self._repair is None else self._repair.explain(text)

    def _texts(self, batch: pa.RecordBatch) -> list[str]:
        return [text or "" for text in batch.column(self._text).to_pylist()]

    def _values(self, batch: pa.RecordBatch, name: str | None) -> list[Any]:
        return batch.column(name).to_pylist() if name else [None] * batch.num_rows

    def _tell(self, num_rows: int) -> None:
        self._done += num_rows
        self._progress(self._done, 2 * self._num_in)


def marking_column(data: Dataset, text: str) -> str | None:
    """A column whose cells mark places in the texts (spans), told from the first rows; None if there is none."""
    names = [column.name for column in data.columns if column.name != text and column.type.startswith(MARKING)]
    for batch in islice(data.batches("all", names), 1) if names else ():
        for name in names:
            cells = batch.column(name).drop_null()
            if any((marked := parse_spans(cell.as_py(), MUCH)) and marked.spans for cell in cells):
                return name
    return None


def _rows_at(batch: pa.RecordBatch, offsets: NDArray[np.int64]) -> Iterator[tuple[int, dict[str, Any]]]:
    rows = batch.take(pa.array(offsets)).to_pylist() if offsets.size else []
    return zip(offsets.tolist(), rows, strict=True)


class _Details:
    """Why a row was removed, in words. Row ids of texts that are repeated are remembered as they pass by."""

    def __init__(self, found: Findings, labels: list[Any]) -> None:
        self._found = found
        self._labels = labels
        self._heads: Index = np.unique(found.other[found.verdicts == DUPLICATE])
        self._names = Names(len(self._heads))

    def pass_by(self, start: int, ids: list[str]) -> None:
        """Rows `start` and on have these ids."""
        ends = np.array((start, start + len(ids)), dtype=self._heads.dtype)
        first, last = np.searchsorted(self._heads, ends).tolist()
        self._names.extend([ids[place - start] for place in self._heads[first:last].tolist()])

    def details(self, places: NDArray[np.int64]) -> Iterator[str]:
        """In words, why the rows at these places go."""
        others = self._found.other[places]
        # Sought together and in the array's own type: one by one, each search would convert the whole array.
        heads = np.searchsorted(self._heads, others)
        verdicts = self._found.verdicts[places]
        for verdict, other, head in zip(verdicts.tolist(), others.tolist(), heads.tolist(), strict=True):
            if verdict == DUPLICATE:
                yield f"the same text as {self._names[head]}"
            elif verdict == CONFLICT:
                yield f"the same text under several labels ({self._counts(other)})"
            else:
                yield "empty text"

    def _counts(self, number: int) -> str:
        pairs = [(None if code < 0 else self._labels[code], count) for code, count in self._found.conflict(number)]
        return ", ".join(f"{name}: {count}" for name, count in sorted(pairs, key=str))
