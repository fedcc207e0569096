"""The columns of a data set that decide where its rows go.

Memory grows with the number of rows, not with their length: 70 bytes a row at the peak, with groups or without
(measured on five million rows).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.grouping import Index, KeyArray, number, pack
from modelyard.methods.data.repeats import Codes
from modelyard.methods.data.splitting.sides import NAMES, NO_GROUP, Labels, Rows, Sides
from modelyard.methods.data.text import text_key

NUMBERING = re.compile(
    r"(^|[_\W])(id|uuid|guid|key|index|no|number|file|file_name|filename|path|url)$|编号|序号|文件名", re.I
)
HELD = 1 << 20


def load_rows(data: Dataset, splits: Sequence[str] = ("all",)) -> Rows:
    """The columns of some splits, in order, that decide where rows go; 16 bytes stand for each text.

    Without a text, rows are the same if their images are, byte by byte; of tables, if all columns are, without those
    that only number the rows (`_numbering`). A row without text or image is like no other. A label that is a quantity
    has no classes to divide alike: rows go to their sides at random.
    """
    names = {role: data.role(role) for role in ("text", "label", "group", "time", "split")}
    if any(column.role == "label" and column.type == "double" for column in data.columns):
        names["label"] = None
    content = _content(data, splits)
    columns = _Columns(sum(data.num_rows(split) for split in splits), names)
    start = 0
    needed = list(dict.fromkeys([ROW_ID, *content, *(name for name in names.values() if name)]))
    for batch in (batch for split in splits for batch in data.batches(split, needed)):
        keys = _keys(batch, content)
        columns.put(start, batch, keys)
        start += batch.num_rows
    return columns.rows()


def _content(data: Dataset, splits: Sequence[str]) -> list[str]:
    """Columns in which two rows must agree to be the same."""
    one = data.role("text") or data.role("image")
    if one:
        return [one]
    features = [column.name for column in data.columns if column.role != "split" and column.name != ROW_ID]
    numbering = [name for name in features if NUMBERING.search(name) and _numbering(data, splits, name)]
    return [name for name in features if name not in numbering] or features


def _numbering(data: Dataset, splits: Sequence[str], name: str) -> bool:
    """Whether a column that is called like a number of the row has another value in every row."""
    seen: set[Any] = set()
    num = 0
    for split in splits:
        for batch in data.batches(split, [name]):
            seen.update(batch.column(0).to_pylist())
            num += batch.num_rows
            if len(seen) < num:
                return False
    return True


def _keys(batch: pa.RecordBatch, content: Sequence[str]) -> list[bytes]:
    """16 bytes for each row's content; a row without any gets its own."""
    if len(content) > 1:
        values = [batch.column(name).to_pylist() for name in content]
        return [text_key(repr(row)) for row in zip(*values, strict=True)]
    ids = batch.column(ROW_ID).to_pylist()
    return [
        _exact_key((row_id,)) if value is None else text_key(value) if isinstance(value, str) else _exact_key(value)
        for row_id, value in zip(ids, batch.column(content[0]).to_pylist(), strict=True)
    ]


class _Columns:
    """The deciding columns as arrays, filled batch by batch."""

    def __init__(self, num: int, names: dict[str, str | None]) -> None:
        self._names = names
        self._keys: KeyArray = np.zeros((num, 2), dtype=np.uint64)
        self._labels = np.zeros(num if names["label"] else 0, dtype=np.int32)
        self._codes = Codes()
        self._groups: KeyArray = np.zeros((num if names["group"] else 0, 2), dtype=np.uint64)
        self._grouped = np.zeros(len(self._groups), dtype=np.bool_)
        self._times = np.zeros(num if names["time"] else 0, dtype=np.int64)
        self._given: Sides = np.zeros(num if names["split"] else 0, dtype=np.int8)

    def put(self, start: int, batch: pa.RecordBatch, keys: list[bytes]) -> None:
        rows = slice(start, start + batch.num_rows)
        self._keys[rows] = pack(keys)
        names = self._names
        if names["label"]:
            self._labels[rows] = self._codes([str(label) for label in batch.column(names["label"]).to_pylist()])
        if names["group"]:
            groups = batch.column(names["group"]).to_pylist()
            self._groups[rows] = pack([_exact_key(group) for group in groups])
            self._grouped[rows] = [group is not None for group in groups]
        if names["time"]:
            self._times[rows] = pc.cast(batch.column(names["time"]), pa.int64()).to_numpy(zero_copy_only=False)
        if names["split"]:
            self._given[rows] = [NAMES.index(name) for name in batch.column(names["split"]).to_pylist()]

    def rows(self) -> Rows:
        """Everything, the groups as numbers; the columns are given away."""
        names = self._names
        groups = None
        if names["group"]:
            groups = _numbers(self._groups, self._grouped)
            self._groups = self._groups[:0]
        return Rows(
            self._keys,
            number(self._keys)[0],
            _in_order(self._labels, self._codes) if names["label"] else None,
            groups,
            self._times if names["time"] else None,
            self._given if names["split"] else None,
        )


def _exact_key(value: Any) -> bytes:
    """16 bytes for a group or an image: unlike texts, they are the same only if every character or byte is."""
    exact = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(exact, digest_size=16).digest()


def _numbers(keys: KeyArray, there: NDArray[np.bool_]) -> Index:
    """Number of each row's group, NO_GROUP where there is none."""
    numbers, _ = number(keys)
    numbers[~there] = NO_GROUP
    return numbers


def _in_order(codes: NDArray[np.int32], met: Codes) -> Labels:
    """Codes by order of name instead of order met."""
    names = [str(name) for name in met.names]
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    for start in range(0, len(codes), HELD):
        codes[start : start + HELD] = place[codes[start : start + HELD]]
    return Labels(codes, tuple(names[code] for code in order))
