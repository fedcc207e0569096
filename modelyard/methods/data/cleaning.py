"""Repaired texts, no empties, no repeats, no text under two labels; every row removed or changed kept with its reason.

Two passes: the first repairs and remembers 16 bytes a row, the second writes. Memory grows with the number of rows
(about 150 bytes each), not with their length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pyarrow as pa

from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.text import Repair, text_key

Conflicts = Literal["drop", "keep", "majority"]
EMPTY, DUPLICATE, CONFLICT = "empty", "duplicate", "conflict"
REMOVED = (
    Column(ROW_ID, "other", "string"),
    Column("action", "other", "string"),
    Column("reason", "other", "string"),
    Column("before", "other", "string"),
    Column("after", "other", "string"),
)
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Cleaning:
    """What is cleaned; the settings of data.clean.

    Attributes:
        drop_empty: remove rows whose text is empty after repair.
        drop_duplicates: keep only the first row of each text.
        conflicts: for texts that stand under several labels: drop them all, keep them, or keep the label that most of
            its rows have (none if two labels tie).
    """

    repair: Repair = field(default_factory=Repair)
    drop_empty: bool = True
    drop_duplicates: bool = True
    conflicts: Conflicts = "drop"


@dataclass
class Outcome:
    """Counts of rows. `num_in = num_kept + removed[empty] + removed[duplicate] + removed[conflict]`.

    Attributes:
        num_changed: rows among the kept whose text was repaired.
        num_conflicting: rows in that share their text with a row of another label.
        num_conflicts: texts under several labels.
        num_repeated: rows out that repeat the text of an earlier row out, whatever their split.
        given: rows in by given split, empty texts aside; `also_in_train`: those of them whose text train has too.
    """

    num_in: int = 0
    num_kept: int = 0
    num_changed: int = 0
    num_conflicting: int = 0
    num_conflicts: int = 0
    num_repeated: int = 0
    removed: Counter[str] = field(default_factory=Counter)
    given: Counter[str] = field(default_factory=Counter)
    also_in_train: Counter[str] = field(default_factory=Counter)


Place = tuple[str | None, bytes]
"""Given split (or None) and text key: rows of different given splits are no repeats of each other here."""


@dataclass
class _Text:
    """One text: how often it stands under each label, and the row that is kept for each label."""

    labels: Counter[str | None] = field(default_factory=Counter)
    kept: dict[str | None, str] = field(default_factory=dict)

    def add(self, label: str | None, row_id: str) -> None:
        self.labels[label] += 1
        self.kept.setdefault(label, row_id)

    def winner(self) -> tuple[bool, str | None]:
        """Whether one label has most rows, and which."""
        (label, count), *rest = self.labels.most_common(2)
        return not rest or count > rest[0][1], label


def clean(data: Dataset, cleaning: Cleaning, kept: Path, removed: Path, progress: Progress) -> Outcome:
    """Clean the split `all` of a data set into the folder `kept`; what was removed or changed goes to `removed`.

    Args:
        progress: called with rows done and rows in all; each row counts in both passes.

    Raises:
        InputError: the data has no column with the role `text`.
    """
    job = _Job(data, cleaning, progress)
    job.survey()
    job.write(kept, removed)
    return job.outcome


class _Job:
    def __init__(self, data: Dataset, cleaning: Cleaning, progress: Progress) -> None:
        self.outcome = Outcome(num_in=data.num_rows("all"))
        self._data = data
        self._cleaning = cleaning
        self._progress = progress
        self._text = data.need("text")
        self._label = data.role("label")
        self._split = data.role("split")
        self._texts: dict[Place, _Text] = {}
        self._keys: list[bytes] = []
        self._done = 0

    def survey(self) -> None:
        """First pass: which texts there are, under which labels."""
        columns = [name for name in (ROW_ID, self._text, self._label, self._split) if name]
        for batch in self._data.batches("all", columns):
            for row_id, text, label, split in self._rows(batch):
                repaired = self._cleaning.repair(text)
                key = text_key(repaired)
                self._keys.append(key)
                if repaired.strip() or not self._cleaning.drop_empty:
                    self._texts.setdefault((split, key), _Text()).add(label, row_id)
            self._tell(batch.num_rows)
        for (split, key), found in self._texts.items():
            if split is not None:
                self.outcome.given[split] += found.labels.total()
                if split != "train" and ("train", key) in self._texts:
                    self.outcome.also_in_train[split] += found.labels.total()
            if len(found.labels) > 1:
                self.outcome.num_conflicts += 1
                self.outcome.num_conflicting += found.labels.total()

    def write(self, kept: Path, removed: Path) -> None:
        """Second pass: rows to keep, and a record of each one removed or changed."""
        schema = schema_of(self._data.columns)
        write_schema(kept, self._data.columns)
        write_schema(removed, REMOVED)
        place = schema.get_field_index(self._text)
        seen: set[bytes] = set()
        keys = iter(self._keys)
        with SplitWriter(kept, "all", schema) as good, SplitWriter(removed, "all", schema_of(REMOVED)) as bad:
            for batch in self._data.batches("all"):
                records: list[tuple[str, str, str, str, str | None]] = []
                texts: list[str] = []
                mask: list[bool] = []
                for row_id, text, label, split in self._rows(batch):
                    key = next(keys)
                    repaired = self._cleaning.repair(text)
                    verdict = self._verdict(row_id, repaired, label, (split, key))
                    mask.append(verdict is None)
                    texts.append(repaired)
                    if verdict is not None:
                        self.outcome.removed[verdict[0]] += 1
                        records.append((row_id, "removed", verdict[1], text, None))
                        continue
                    self.outcome.num_repeated += key in seen
                    seen.add(key)
                    if repaired != text:
                        self.outcome.num_changed += 1
                        records.append((row_id, "changed", "repaired", text, repaired))
                rows = pa.Table.from_batches([batch]).set_column(
                    place, schema.field(place), pa.array(texts, pa.string())
                )
                good.write(rows.filter(pa.array(mask)))
                if records:
                    bad.write(pa.table([list(column) for column in zip(*records, strict=True)], schema_of(REMOVED)))
                self._tell(batch.num_rows)
        self.outcome.num_kept = good.num_rows

    def _verdict(self, row_id: str, text: str, label: str | None, place: Place) -> tuple[str, str] | None:
        """None to keep the row, else the kind of reason and the reason."""
        if self._cleaning.drop_empty and not text.strip():
            return EMPTY, "empty text"
        found = self._texts[place]
        if len(found.labels) > 1 and self._cleaning.conflicts != "keep":
            clear, winner = found.winner()
            if self._cleaning.conflicts == "drop" or not clear or label != winner:
                counts = ", ".join(f"{name}: {count}" for name, count in sorted(found.labels.items(), key=str))
                return CONFLICT, f"the same text under several labels ({counts})"
        if self._cleaning.drop_duplicates and found.kept[label] != row_id:
            return DUPLICATE, f"the same text as {found.kept[label]}"
        return None

    def _rows(self, batch: pa.RecordBatch) -> Iterator[tuple[str, str, str | None, str | None]]:
        def values(name: str | None) -> list[str | None]:
            return batch.column(name).to_pylist() if name else [None] * batch.num_rows

        texts = [text or "" for text in values(self._text)]
        ids = [str(value) for value in values(ROW_ID)]
        return zip(ids, texts, values(self._label), values(self._split), strict=True)

    def _tell(self, num_rows: int) -> None:
        self._done += num_rows
        self._progress(self._done, 2 * self.outcome.num_in)
