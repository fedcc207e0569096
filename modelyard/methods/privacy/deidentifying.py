"""De-identifies a data set in one pass: columns of text, and metadata of images. Constant memory.

`removed` tells where something was hidden and of which type, never what: neither the value nor the text it stood in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of
from modelyard.methods.privacy.actions import Actions
from modelyard.methods.privacy.hiding import hide_all
from modelyard.methods.privacy.image_metadata import BrokenImage, strip
from modelyard.methods.privacy.scanning import Scanner

BROKEN = "broken image"
METADATA = "image metadata"
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Work:
    """What is done to which columns.

    Attributes:
        texts: names of string columns that are scanned.
        images: names of binary columns whose metadata is taken out.
        keep_profile: colour profiles stay.
        keep_broken: an image whose structure cannot be followed stays as it is; else its row goes.
    """

    texts: Sequence[str]
    images: Sequence[str]
    scanner: Scanner
    actions: Actions
    keep_profile: bool = True
    keep_broken: bool = False


@dataclass
class Outcome:
    """Attributes:
    account: rows.
    found: values hidden, by type.
    rows_with: rows in which a value of a text was found.
    metadata: images, by kind of what was taken out.
    left: finds of the last scan over what went out.
    later: finds of a second and later round.
    """

    account: Account = field(default_factory=Account)
    found: Counter[str] = field(default_factory=Counter)
    rows_with: int = 0
    metadata: Counter[str] = field(default_factory=Counter)
    left: int = 0
    later: int = 0


def deidentify(data: Dataset, split: str, work: Work, kept: Path, removed: Path, progress: Progress) -> Outcome:
    """Write the split without personal data into `kept`, and the places of what was hidden into `removed`."""
    outcome = Outcome()
    schema = schema_of(data.columns)
    total = data.num_rows(split)
    write_schema(kept, data.columns)
    with SplitWriter(kept, split, schema) as good, ChangeLog(removed, outcome.account) as log:
        for batch in data.batches(split, rows=2_048):
            job = _Batch(batch, work, outcome, log)
            table = job.run()
            good.write(table)
            outcome.account.num_in += batch.num_rows
            log.kept(table.num_rows, job.num_changed)
            progress(outcome.account.num_in, total)
    return outcome


class _Batch:
    def __init__(self, batch: pa.RecordBatch, work: Work, outcome: Outcome, log: ChangeLog) -> None:
        self._batch = batch
        self._work = work
        self._outcome = outcome
        self._log = log
        self._ids = [str(value) for value in batch.column(ROW_ID).to_pylist()]
        self._changed: set[int] = set()
        self._with: set[int] = set()
        self._broken: set[int] = set()

    @property
    def num_changed(self) -> int:
        return len(self._changed - self._broken)

    def run(self) -> pa.Table:
        table = pa.Table.from_batches([self._batch])
        for name in self._work.images:
            table = self._put(table, name, [self._image(place, name, value) for place, value in self._values(name)])
        for place in sorted(self._broken):
            self._log.removed(self._ids[place], BROKEN, "", None)
        for name in self._work.texts:
            table = self._put(table, name, [self._text(place, name, value) for place, value in self._values(name)])
        self._outcome.rows_with += len(self._with)
        if self._broken:
            table = table.filter(pa.array([place not in self._broken for place in range(table.num_rows)]))
        return table

    def _values(self, name: str) -> list[tuple[int, object]]:
        return list(enumerate(self._batch.column(name).to_pylist()))

    def _put(self, table: pa.Table, name: str, values: list[object]) -> pa.Table:
        place = table.schema.get_field_index(name)
        field_ = table.schema.field(place)
        return table.set_column(place, field_, pa.array(values, field_.type))

    def _text(self, place: int, name: str, value: object) -> object:
        if not isinstance(value, str) or place in self._broken:
            return value
        hidden = hide_all(value, self._work.scanner, self._work.actions)
        if not hidden.spans:
            return value
        self._changed.add(place)
        self._with.add(place)
        self._outcome.left += hidden.num_left
        self._outcome.later += hidden.num_later
        first = len(hidden.spans) - hidden.num_later
        for count, span in enumerate(hidden.spans):
            self._outcome.found[span.type] += 1
            detail = f"{span.start}:{span.end}" + (" (second round)" if count >= first else "")
            self._log.changed(self._ids[place], span.type, name, detail=detail)
        return hidden.text

    def _image(self, place: int, name: str, value: object) -> object:
        if not isinstance(value, bytes):
            return value
        try:
            stripped = strip(value, self._work.keep_profile)
        except BrokenImage:
            if not self._work.keep_broken:
                self._broken.add(place)
            return value
        if stripped.removed:
            self._changed.add(place)
            self._outcome.metadata.update(stripped.removed)
            self._log.changed(self._ids[place], METADATA, name, detail=", ".join(stripped.removed))
        return stripped.data
