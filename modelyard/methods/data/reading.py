"""Files to a data set: every record ends either in the data or, with its place and the reason, beside it.

Constant memory: rows stream through in batches; only labels that look like numbers and counts are remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.base.canonical import PREFIX
from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID, Column, SplitWriter, write_schema
from modelyard.methods.data.files.pictures import DescribedReader, PictureReader
from modelyard.methods.data.labels import LabelNotes
from modelyard.methods.data.opening import Reading, open_reader
from modelyard.methods.data.roles import SPLIT_COLUMN, Converter, choose, schema_of
from modelyard.methods.data.rows import Bad, Reader, Row, printable
from modelyard.methods.data.sources import Source
from modelyard.methods.data.units import Opened, Unit, expand

__all__ = ["Outcome", "Reading", "open_reader", "read"]

BATCH_ROWS = 4_096
BATCH_BYTES = 1 << 26
EXAMPLES = 5
DIGEST_DIGITS = 12
REJECTED = (
    Column(ROW_ID, "other", "string"),
    Column("source", "other", "string"),
    Column("line", "other", "int64"),
    Column("reason", "other", "string"),
    Column("raw", "other", "string"),
)


@dataclass
class Outcome:
    """What reading came to.

    Attributes:
        reasons: rejected rows by kind of fault.
        examples: the first faults, with file:line.
        notes: lines for the user: how each file was read and what was changed.
    """

    num_rows: int = 0
    num_rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def rejected_rate(self) -> float:
        return self.num_rejected / max(1, self.num_rows + self.num_rejected)


Progress = Callable[[int, int], None]
"""Called with bytes read and bytes in all."""


def read(sources: Sequence[Source], reading: Reading, good: Path, bad: Path, progress: Progress) -> Outcome:
    """Read files into two data sets, split `all` each: the rows at `good`, the rejected ones at `bad`.

    Args:
        sources: from `sources.resolve`; files named for a split give a column with the role `split`.
        progress: told after every batch.

    Raises:
        InputError: a file cannot be read at all, columns are missing or differ between files, no row is usable, or
            more rows are bad than `max_bad_fraction` allows.
    """
    job = _Job(sources, reading, good, bad, progress)
    try:
        for unit in expand(sources, reading):
            with unit.open() as opened:
                job.read(unit, opened)
        return job.finish()
    except BaseException:
        job.abandon()
        raise


class _Job:
    """One pass over all files, with both outputs open."""

    def __init__(self, sources: Sequence[Source], reading: Reading, good: Path, bad: Path, progress: Progress) -> None:
        self._reading = reading
        self._progress = progress
        self._total = sum(source.size for source in sources)
        self._done = 0
        self._outcome = Outcome()
        self._labels = LabelNotes()
        self._good_path = good
        self._columns: list[Column] = []
        self._first = sources[0].name
        self._split_given = False
        self._seen: Counter[str] = Counter()
        self._num_same = 0
        self._writer: SplitWriter | None = None
        write_schema(bad, REJECTED)
        self._rejected = SplitWriter(bad, "all", schema_of(REJECTED))
        self._bad_rows: list[tuple[Any, ...]] = []
        self._rows: list[list[Any]] = []
        self._num_bytes = 0

    def read(self, unit: Unit, opened: Opened) -> None:
        reader = opened.reader
        converter = Converter(self._choose(reader, unit), reader, self._reading.limits, self._labels)
        before, before_bad = self._outcome.num_rows, self._outcome.num_rejected
        extra = [unit.split] if self._split_given else []
        for row_id, where, (line, values, raw) in self._records(unit, opened):
            row = values if isinstance(values, Bad) else converter.convert(values, raw)
            if isinstance(row, Bad):
                self._reject(row_id, where, line, row)
            else:
                self._rows.append([row_id, *row, *extra])
                self._num_bytes += sum(len(value) for value in row if isinstance(value, bytes))
                if len(self._rows) == BATCH_ROWS or self._num_bytes > BATCH_BYTES:
                    self._flush()
                    self._progress(self._done + getattr(reader, "num_bytes_read", 0), self._total)
        self._flush()
        self._done = min(self._total, self._done + unit.size)
        self._progress(self._done, self._total)
        self._describe(unit, opened, self._outcome.num_rows - before, self._outcome.num_rejected - before_bad)

    def _records(self, unit: Unit, opened: Opened) -> Iterator[tuple[str, str, Row]]:
        """Rows with their ids and the file they stand in. Ids are a digest and a number, so that they stay."""
        if isinstance(opened.reader, PictureReader | DescribedReader):
            for digest, where, row in opened.reader.keyed_rows():
                yield f"{self._prefix(digest)}-1", where, row
            return
        num_same = self._num_same
        prefix = self._prefix(opened.digest)
        if self._num_same > num_same:
            self._outcome.notes.append(t("{file}: the same bytes as a file before it", file=unit.name))
        for number, row in enumerate(opened.reader.rows(), start=1):
            yield f"{prefix}-{number}", unit.name, row

    def finish(self) -> Outcome:
        if self._writer is not None:
            self._writer.close()
        self._rejected.close()
        outcome, limit = self._outcome, self._reading.max_bad_fraction
        if outcome.rejected_rate > limit or (outcome.num_rejected and not outcome.num_rows):
            raise InputError.of([self._too_many(limit), *outcome.examples])
        if not outcome.num_rows:
            raise InputError(t("there is a header but no row"), where=self._first)
        label = next((column.name for column in self._columns if column.role == "label"), None)
        if label is not None:
            self._labels.check(label, self._first)
        self._note_labels()
        if self._num_same and any(column.role == "image" for column in self._columns):
            outcome.notes.append(t("{n:,} files hold the same bytes as one before them", n=self._num_same))
        return outcome

    def abandon(self) -> None:
        """Close both outputs after a failure."""
        for writer in (self._writer, self._rejected):
            if writer is not None:
                writer.abandon()

    def _choose(self, reader: Reader, unit: Unit) -> list[Column]:
        """The data set's columns, from the first file; every other file must have the same of the same type."""
        mine = choose(reader, self._reading.roles, self._reading.keep, unit.name)
        if not self._columns:
            self._columns = mine
            self._start(unit)
        elif (unit.split is not None) != self._split_given:
            raise InputError(
                t("some of what is read says its split, and some does not"),
                where=unit.name,
                remedy=t("name the paths by split: `{example}`", example="path: {train: …, test: …}"),
            )
        elif set(mine) != set(self._columns):
            theirs = ", ".join(f"{column.name} ({column.type})" for column in self._columns)
            raise InputError(
                t("its columns are {names}", names=", ".join(f"{column.name} ({column.type})" for column in mine)),
                where=unit.name,
                expected=t("those of {first}: {names}", first=self._first, names=theirs),
                remedy=t("keep only what all files have: `keep: [...]`"),
            )
        return self._columns

    def _start(self, unit: Unit) -> None:
        self._split_given = unit.split is not None
        self._first = unit.name
        columns = [Column(ROW_ID, "other", "string"), *self._columns]
        if self._split_given:
            if any(column.name == SPLIT_COLUMN or column.role == "split" for column in self._columns):
                raise InputError(
                    t("a column `{name}`, although the path names the split of each file", name=SPLIT_COLUMN),
                    where=unit.name,
                    remedy=t("leave it out: `keep: [...]`, or name one path and `split: {name}`", name=SPLIT_COLUMN),
                )
            columns.append(Column(SPLIT_COLUMN, "split", "string"))
        self._schema = schema_of(columns)
        write_schema(self._good_path, columns)
        self._writer = SplitWriter(self._good_path, "all", self._schema)

    def _prefix(self, digest: str) -> str:
        """Digest prefix of a file's row ids; a second file of the same bytes gets a number behind it."""
        digits = digest.removeprefix(PREFIX)[:DIGEST_DIGITS]
        self._seen[digits] += 1
        if self._seen[digits] == 1:
            return digits
        self._num_same += 1
        return f"{digits}.{self._seen[digits]}"

    def _reject(self, row_id: str, where: str, line: int, bad: Bad) -> None:
        outcome = self._outcome
        outcome.num_rejected += 1
        outcome.reasons[bad.kind] += 1
        if len(outcome.examples) < EXAMPLES:
            outcome.examples.append(Problem(f"{where}:{line}", bad.told))
        reason = printable(bad.reason)
        self._bad_rows.append((row_id, where, line, reason, printable(bad.raw)))
        if len(self._bad_rows) == BATCH_ROWS:
            self._flush_bad()

    def _flush(self) -> None:
        if self._rows and self._writer is not None:
            columns = [list(column) for column in zip(*self._rows, strict=True)]
            arrays = [pa.array(values, kind) for values, kind in zip(columns, self._schema.types, strict=True)]
            self._writer.write(pa.Table.from_arrays(arrays, schema=self._schema))
            self._outcome.num_rows += len(self._rows)
            self._rows, self._num_bytes = [], 0
        self._flush_bad()

    def _flush_bad(self) -> None:
        if self._bad_rows:
            columns = [list(column) for column in zip(*self._bad_rows, strict=True)]
            self._rejected.write(pa.table(columns, schema=schema_of(REJECTED)))
            self._bad_rows = []

    def _describe(self, unit: Unit, opened: Opened, num_rows: int, num_bad: int) -> None:
        notes = self._outcome.notes
        described = opened.reader.described
        text = t(
            "{file}: {how}, {reader}: {rows:,} rows", file=unit.name, how=opened.how, reader=described, rows=num_rows
        )
        notes.append(text + (t(", {bad:,} rejected", bad=num_bad) if num_bad else ""))
        notes.extend([*unit.notes, *getattr(opened.reader, "notes", [])])

    def _note_labels(self) -> None:
        labels, notes = self._labels, self._outcome.notes
        if labels.num_shortened:
            notes.append(t("{n:,} labels like 1.0 are written as 1", n=labels.num_shortened))
        elif labels.num_numbers:
            notes.append(t("the labels are numbers; they are kept as names, as strings"))
        if labels.num_stripped:
            notes.append(t("{n:,} labels had spaces around them, which are taken off", n=labels.num_stripped))
        if labels.num_from_shares:
            notes.append(t("{n:,} labels are the class of the greatest share", n=labels.num_from_shares))
        if self._outcome.num_rejected:
            kinds = ", ".join(f"{t(kind)}: {count:,}" for kind, count in self._outcome.reasons.most_common())
            notes.append(
                t("{n:,} rows rejected, kept in `rejected`: {kinds}", n=self._outcome.num_rejected, kinds=kinds)
            )

    def _too_many(self, limit: float) -> Problem:
        outcome = self._outcome
        kinds = ", ".join(f"{t(kind)}: {count:,}" for kind, count in outcome.reasons.most_common())
        total = outcome.num_rows + outcome.num_rejected
        return Problem(
            self._first,
            t("{bad:,} of {total:,} rows cannot be used ({kinds})", bad=outcome.num_rejected, total=total, kinds=kinds),
            t("at most {limit:.1%} (setting `max_bad_fraction`)", limit=limit),
            t("mend the file, or check `delimiter`, `quote` and `encoding`; the first bad rows follow"),
        )
