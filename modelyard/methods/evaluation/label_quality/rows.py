"""Labelled rows of any kind, read for judging their labels: texts, images, or columns of numbers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.text import text_key
from modelyard.methods.evaluation.label_quality import folds, pictures

Kind = Literal["text", "image", "feature"]
BATCH = 512
NUMBERS = ("int", "uint", "float", "double", "halffloat", "bool")


@dataclass
class Labelled:
    """Rows that have a label and something to judge it by.

    Attributes:
        keys: what makes two rows near-equal, for folds.
        texts: of a text data set, else empty.
        x: [rows, features] of images and tables, else None. Unknown numbers are NaN.
        left_out: rows that cannot be judged, by reason.
    """

    kind: Kind
    row_ids: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    groups: list[Hashable] | None = None
    texts: list[str] = field(default_factory=list)
    x: NDArray[np.float64] | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.row_ids)

    def take(self, places: Sequence[int]) -> Labelled:
        """The rows at `places`; what was left out stays counted."""

        def some(values: Sequence[Any]) -> list[Any]:
            return [values[place] for place in places] if values else []

        groups = None if self.groups is None else some(self.groups)
        x = None if self.x is None else self.x[np.asarray(places, np.int64)]
        return Labelled(
            self.kind,
            some(self.row_ids),
            some(self.labels),
            some(self.keys),
            groups,
            some(self.texts),
            x,
            Counter(self.left_out),
        )


def kind_of(data: Dataset) -> Kind:
    """By what labels are judged. Raises InputError if there is neither text, image nor feature."""
    if data.role("text"):
        return "text"
    if data.role("image"):
        return "image"
    if any(column.role == "feature" for column in data.columns):
        return "feature"
    raise InputError(
        t("there is no text, no image and no feature to judge labels by"),
        where="data",
        expected=t("a column with one of these roles"),
    )


def read(data: Dataset, split: str) -> Labelled:
    """The rows of a split that have a label and content. Raises InputError if there is no label column."""
    kind = kind_of(data)
    label, group = data.need("label"), data.role("group")
    content = [name for name in (data.role(kind),) if name] if kind != "feature" else _features(data)
    rows = Labelled(kind, groups=[] if group else None)
    parts: list[NDArray[np.float64]] = []
    wanted = list(dict.fromkeys([ROW_ID, label, *([group] if group else []), *content]))
    for batch in data.batches(split, wanted, BATCH):
        keep, part = _content(batch, content, kind, rows)
        given = batch.column(label).to_pylist()
        for place in range(batch.num_rows):
            if keep[place] and given[place] is None:
                keep[place] = False
                rows.left_out["no label"] += 1
        places = np.flatnonzero(keep)
        rows.row_ids += batch.column(ROW_ID).take(pa.array(places)).to_pylist()
        rows.labels += [str(given[place]) for place in places.tolist()]
        if group and rows.groups is not None:
            rows.groups += batch.column(group).take(pa.array(places)).to_pylist()
        if part is None:
            texts = batch.column(content[0]).to_pylist()
            rows.texts += [texts[place] for place in places.tolist()]
            rows.keys += [folds.near_key(texts[place]) for place in places.tolist()]
        else:
            parts.append(part[places])
            rows.keys += [text_key(row.tobytes().hex()) for row in part[places]]
    if kind != "text":
        rows.x = np.vstack(parts) if parts else np.zeros((0, len(content)))
    return rows


def _content(
    batch: pa.RecordBatch, content: Sequence[str], kind: Kind, rows: Labelled
) -> tuple[NDArray[np.bool_], NDArray[np.float64] | None]:
    """Which rows of a batch can be judged, and their features [rows, features] (None for texts)."""
    if kind == "feature":
        columns = [_number(batch.column(name)) for name in content]
        return np.ones(batch.num_rows, bool), np.stack(columns, 1)
    values = batch.column(content[0]).to_pylist()
    if kind == "text":
        keep = np.array([isinstance(value, str) and bool(value.strip()) for value in values], bool)
        if not keep.all():
            rows.left_out["no text"] += int((~keep).sum())
        return keep, None
    decoded = [pictures.decode(value) if value is not None else None for value in values]
    keep = np.array([one is not None for one in decoded], bool)
    if not keep.all():
        rows.left_out["no image"] += int((~keep).sum())
    blank = np.zeros((pictures.SIDE, pictures.SIDE, 3))
    return keep, pictures.features([one if one is not None else blank for one in decoded])


def _features(data: Dataset) -> list[str]:
    """The columns of numbers. Raises InputError if there is none."""
    found = [column.name for column in data.columns if column.role == "feature" and column.type.startswith(NUMBERS)]
    if not found:
        raise InputError(
            t("no feature is a number: labels cannot be judged by text columns"),
            where="data",
            remedy=t("give probabilities of a model of your own: `probabilities: …`"),
        )
    return found


def _number(column: pa.Array) -> NDArray[np.float64]:
    values = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return np.where(np.isfinite(values), values, np.nan)


def shown(data: Dataset, split: str, row_ids: Sequence[str]) -> dict[str, tuple[str | None, bytes | None]]:
    """What a person sees of some rows: text and image by row id. A table's row is its features as JSON."""
    wanted = set(row_ids)
    text, image = data.role("text"), data.role("image")
    names = [name for name in (text, image) if name]
    if not names:
        names = [column.name for column in data.columns if column.role in ("feature", "other", "group", "time")]
    found: dict[str, tuple[str | None, bytes | None]] = {}
    for row in _rows(data, split, [ROW_ID, *(name for name in names if name != ROW_ID)]):
        row_id = row.pop(ROW_ID)
        if row_id in wanted:
            if text or image:
                found[row_id] = (row[text] if text else None, row[image] if image else None)
            else:
                found[row_id] = (json.dumps(row, ensure_ascii=False, default=str), None)
    return found


def _rows(data: Dataset, split: str, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    for batch in data.batches(split, names):
        yield from batch.to_pylist()
