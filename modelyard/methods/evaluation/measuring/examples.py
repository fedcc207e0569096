"""Rows of a split as a model is asked them: records and truths, whatever the task.

Records are read again when they are needed, in batches, so that a split of pictures need not fit into memory; truths
and row ids are small and kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.text import text_key
from modelyard.methods.runtimes.predictor import Predictor, Record

Row = Mapping[str, Any]
Note = Callable[[int, int], None]
Read = Callable[[str], str]
"""What a model makes of a text before it reads it."""
READ_ROWS = 1024
HIDDEN = ("label", "soft_label", "weight", "split", "image")
"""Roles whose columns are never part of a table's record."""


def as_is(text: str) -> str:
    """A model that repairs nothing."""
    return text


def quiet(done: int, total: int) -> None:
    """A `note` that tells nobody."""


@dataclass(frozen=True)
class Fields:
    """How rows become records.

    Attributes:
        kind: `text`, `image` or `table`.
        columns: what must be read.
        record: a row's record; None if the model could not read it.
        key: what two rows share if they are twins to who reads their texts so.
    """

    kind: str
    columns: tuple[str, ...]
    record: Callable[[Row], Record | None]
    key: Callable[[Row, Read], bytes]


def fields(data: Dataset, task: str) -> Fields:
    """Records of a task: pictures, columns of a table, or texts. Raises InputError if a role is missing."""
    if task.startswith("image-"):
        return _one(data.need("image"), "image", lambda value, read: _digest(value))
    if task.startswith("tabular-"):
        return _columns(data)
    return _one(data.need("text"), "text", lambda value, read: text_key(read(value)))


def _one(column: str, field: str, key: Callable[[Any, Read], bytes]) -> Fields:
    def record(row: Row) -> Record | None:
        return None if row[column] is None else {field: row[column]}

    return Fields(field, (column,), record, lambda row, read: key(row[column], read))


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()


def _columns(data: Dataset) -> Fields:
    """Every column that is no label: a model reads its own and no other. Twins share their features and their label:
    few features make equal rows without a leak."""
    names = tuple(one.name for one in data.columns if one.role not in HIDDEN and one.name != ROW_ID)
    features = [one.name for one in data.columns if one.role == "feature"]
    label = data.role("label")

    def key(row: Row, read: Read) -> bytes:
        cells = [str(row[name]) for name in [*features, *([label] if label else [])]]
        return _digest(json.dumps(cells).encode())

    wanted = (*names, label) if label else names
    return Fields("table", wanted, lambda row: {name: row[name] for name in names}, key)


@dataclass(frozen=True)
class Reader:
    """How rows of a task become what can be judged.

    Attributes:
        fields: the records.
        columns: what else must be read.
        truth: what the model should answer; None if the row does not say.
        lacks: what is missing in rows that are left out, in the user's words (`a text or a label`).
    """

    fields: Fields
    columns: tuple[str, ...]
    truth: Callable[[Row], Any]
    lacks: str


@dataclass(frozen=True)
class Examples:
    """Rows that can be judged, in the split's order.

    Attributes:
        row_ids, truths: of one length.
        left_out: row ids without a record or a truth; they cannot be judged, and are counted.
    """

    data: Dataset
    split: str
    reader: Reader
    row_ids: tuple[str, ...]
    truths: tuple[Any, ...]
    left_out: tuple[str, ...]

    @classmethod
    def read(cls, data: Dataset, split: str, reader: Reader) -> Examples:
        ids, truths, left_out = [], [], []
        for row in _rows(data, split, reader):
            truth = reader.truth(row) if reader.fields.record(row) is not None else None
            if truth is None:
                left_out.append(str(row[ROW_ID]))
            else:
                ids.append(str(row[ROW_ID]))
                truths.append(truth)
        return cls(data, split, reader, tuple(ids), tuple(truths), tuple(left_out))

    def __len__(self) -> int:
        return len(self.row_ids)

    def rows(self) -> Iterator[Row]:
        """The kept rows with the columns that were read."""
        left_out = set(self.left_out)
        return (row for row in _rows(self.data, self.split, self.reader) if str(row[ROW_ID]) not in left_out)

    def records(self) -> Iterator[Record]:
        """The records of the kept rows, in order, read anew."""
        for row in self.rows():
            record = self.reader.fields.record(row)
            if record is not None:
                yield record

    def pick(self, places: Sequence[int]) -> list[Record]:
        """The records at some places, in the order asked."""
        wanted = set(places)
        found = {place: record for place, record in enumerate(self.records()) if place in wanted}
        return [found[place] for place in places]

    def column(self, name: str) -> list[Any]:
        """A column of the kept rows. Raises InputError if there is none."""
        there = [one.name for one in self.data.columns]
        if name not in there:
            raise InputError(t("no column `{name}`", name=name), where="data", expected=", ".join(there))
        kept = set(self.row_ids)
        table = self.data.table(self.split, [ROW_ID, name])
        pairs = zip(table.column(ROW_ID).to_pylist(), table.column(name).to_pylist(), strict=True)
        return [value for row_id, value in pairs if str(row_id) in kept]


def known(
    examples: Examples, data: Dataset, split: str = "train", reader: Reader | None = None, read: Read = as_is
) -> NDArray[np.bool_]:
    """For each row [n], whether it stands in another split too: what the model may know by heart.

    Args:
        reader: of `data`, if its columns have other names than those of the examples.
        read: how the model reads a text.
    """
    reader, own = reader or examples.reader, examples.reader.fields.key
    rows = (row for row in _rows(data, split, reader) if reader.fields.record(row) is not None)
    there = {reader.fields.key(row, read) for row in rows if reader.truth(row) is not None}
    return np.fromiter((own(row, read) in there for row in examples.rows()), dtype=np.bool_, count=len(examples))


def some_records(data: Dataset, split: str, found: Fields, most: int, seed: int) -> list[Record]:
    """Records of a split, without their truths: all, or `most` at random, in the split's order."""
    total = data.num_rows(split)
    places = np.random.default_rng(seed).permutation(total)[:most] if total > most else np.arange(total)
    wanted, place, records = set(places.tolist()), 0, []
    for batch in data.batches(split, list(found.columns), READ_ROWS):
        for row in batch.to_pylist():
            record = found.record(row) if place in wanted else None
            place += 1
            if record is not None:
                records.append(record)
    return records


def asked(predictor: Predictor, examples: Examples, batch_rows: int, note: Note = quiet) -> Iterator[Any]:
    """The predictor's answers to all rows, in order; `note(done, total)` hears of each batch.

    Raises InputError if there are no rows.
    """
    if not len(examples):
        raise InputError(
            t("the split has no row with a text and a label")
            if examples.reader.fields.kind == "text"
            else t("the split has no row that can be judged"),
            expected=t("labelled rows to measure on"),
            remedy=t("give `data.split` a larger share for this split"),
        )
    done = 0
    for records in batched(examples.records(), batch_rows):
        yield from predictor.predict(records)
        done += len(records)
        note(done, len(examples))


def batched(records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    """Records in lists of `size`, the last shorter."""
    batch: list[Record] = []
    for record in records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(data: Dataset, split: str, reader: Reader) -> Iterator[Row]:
    names = list(dict.fromkeys((ROW_ID, *reader.fields.columns, *reader.columns)))
    for batch in data.batches(split, names, READ_ROWS):
        yield from batch.to_pylist()
