"""A data set divided: the columns that decide are read, sides are chosen (splitting.py), and the folders written.

Memory grows with the number of rows, not with their length: 70 bytes a row at the peak, with groups or without
(measured on five million rows).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data import splitting
from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.grouping import Index, KeyArray, number, pack
from modelyard.methods.data.profile import describe
from modelyard.methods.data.repeats import Codes
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.splitting import CALIBRATION, NAMES, NO_GROUP, REMOVED, TEST, TRAIN, Labels, Rows, Sides
from modelyard.methods.data.text import text_key

PROFILE = "profile.json"
SHOWN = 5
NUMBERING = re.compile(
    r"(^|[_\W])(id|uuid|guid|key|index|no|number|file|file_name|filename|path|url)$|编号|序号|文件名", re.I
)
OVERLAP = "overlap"
HELD = 1 << 20
By = Literal["auto", "label", "time", "given"]


@dataclass
class Division:
    """Where every row goes, and what was found on the way.

    Attributes:
        names: splits that are written, in the order of `splitting.NAMES`; calibration only if rows were kept for it.
        sides: of each row, in the order of the data; REMOVED if it is taken out.
        came: the same before rows were taken out.
        leaking: of a removed row the side it had to make way for, of others REMOVED.
        leakage_rate: after the split; see `splitting.leakage_rate`.
        overlap_found_rate: the same before rows were removed.
        duplicate_rate: share of the rows in a split that repeat the text of an earlier one in any.
        future_rate: share of the training rows newer than the oldest test row; None without times.
        notes: lines for the user.
    """

    sides: Sides
    came: Sides
    leaking: Sides
    leakage_rate: float = 0.0
    overlap_found_rate: float = 0.0
    duplicate_rate: float = 0.0
    future_rate: float | None = None
    notes: list[str] = field(default_factory=list)
    names: tuple[str, ...] = NAMES[:CALIBRATION]

    @property
    def counts(self) -> tuple[int, ...]:
        """Rows of train, validation, test and calibration."""
        return splitting.side_counts(self.sides)


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


@dataclass(frozen=True)
class Shares:
    """Of the rows, each at least 0 and together below 1; the rest is train."""

    validation: float
    test: float
    calibration: float = 0.0


def divide(rows: Rows, data: Dataset, by: By, shares: Shares, seed: int, keep_overlap: bool) -> Division:
    """Choose the side of every row.

    Raises:
        InputError: a role that `by` needs is missing, a split would be empty, or there is one class only.
    """
    if not len(rows):
        raise InputError(t("the data set has no row"), where="data.split")
    _check_classes(rows)
    notes: list[str] = []
    chosen = by if by != "auto" else "given" if rows.given is not None else "label"
    if chosen == "given":
        sides = _given(rows, data, shares, seed, notes)
    elif chosen == "time":
        if rows.times is None:
            data.need("time")
            raise InputError(t("no column has the role `{role}`", role="time"), where="data.split")
        sides = splitting.split_by_time(rows.times, shares.validation, shares.test, shares.calibration)
    else:
        sides = splitting.split_stratified(rows, shares.validation, shares.test, seed, shares.calibration)
    return _resolved(rows, sides, chosen, shares, keep_overlap, notes)


def _check_classes(rows: Rows) -> None:
    if rows.labels is not None and len(rows.labels.names) < 2:
        raise InputError(
            t("the data holds one class only: {label}", label=", ".join(rows.labels.names)),
            where="data.split",
            expected=t("at least two classes"),
            remedy=t("is `label` the right column in data.read? did data.clean drop the other class?"),
        )


def _given(rows: Rows, data: Dataset, shares: Shares, seed: int, notes: list[str]) -> Sides:
    if rows.given is None:
        data.need("split")
        raise InputError(t("no column has the role `{role}`", role="split"), where="data.split")
    if not (rows.given == TRAIN).any():
        raise InputError(t("no row of the data is given as train"), where="data.split")
    sides, carved = splitting.split_given(rows, shares.validation, shares.test, seed, shares.calibration)
    for side in carved:
        n = int((sides == side).sum())
        notes.append(t("the data comes without {split}: {n:,} rows carved from train", split=NAMES[side], n=n))
    if not set(carved) - {CALIBRATION}:
        notes.append(t("the data comes split; `validation` and `test` are not used"))
    return sides


def _resolved(rows: Rows, sides: Sides, by: str, shares: Shares, keep: bool, notes: list[str]) -> Division:
    """Take out what stands on two sides, check, and count."""
    found = splitting.overlap(rows, sides)
    nothing = np.full(len(sides), REMOVED, dtype=np.int8)
    division = Division(sides.copy(), sides, nothing, notes=notes)
    if shares.calibration:
        division.names = NAMES
    division.overlap_found_rate = splitting.leakage_rate(rows, sides)
    counts = division.counts
    for (side, other), num in sorted(found.shared.items(), key=lambda item: (item[0][1], -item[0][0])):
        if num:
            notes.append(_also(num, counts[side], NAMES[side], NAMES[other]))
    if found.num_leaking and not keep:
        division.leaking = found.leaking
        division.sides[found.leaking != REMOVED] = REMOVED
        notes.append(
            t(
                "{n:,} rows are taken out of {splits} for it, kept in `removed`",
                n=found.num_leaking,
                splits=", ".join(name for name in division.names if name != NAMES[TEST]),
            )
        )
    elif found.num_leaking:
        notes.append(t("they stay, as `overlap: keep` says: a model is tested on what it has seen"))
    wanted = [TRAIN, *(NAMES.index(name) for name, share in vars(shares).items() if share > 0)]
    splitting.check(rows, division.sides, wanted)
    _note_classes(rows, division, by)
    division.leakage_rate = splitting.leakage_rate(rows, division.sides)
    division.duplicate_rate = _repeated(rows, division.sides)
    division.future_rate = splitting.future_rate(rows, division.sides)
    if division.future_rate:
        notes.append(
            t(
                "{share:.0%} of the training rows are newer than the oldest test row; if the model is to answer about "
                "what comes, divide with `by: time`",
                share=division.future_rate,
            )
        )
    train, validation, test, calibration = division.counts
    notes.append(
        t("by {by}: {train:,} rows to train, {validation:,} to validation, {test:,} to test", by=by, train=train,
          validation=validation, test=test)
    )  # fmt: skip
    if shares.calibration:
        notes.append(t("{n:,} rows to calibration: calibrate.* stages see them, nothing else", n=calibration))
    return division


def _repeated(rows: Rows, sides: Sides) -> float:
    """Share of the rows on a side that repeat the text of an earlier one on any."""
    kept = sides != REMOVED
    there = np.zeros(int(rows.texts.max()) + 1, dtype=np.bool_)
    there[rows.texts[kept]] = True
    return 1 - int(there.sum()) / int(kept.sum())


def _also(num: int, total: int, split: str, other: str) -> str:
    return t("{num:,} of {total:,} {split} rows also stand in {other}", num=num, total=total, split=split, other=other)


def _note_classes(rows: Rows, division: Division, by: str) -> None:
    labels = rows.labels
    single = [labels.names[code] for code in np.flatnonzero(labels.counts() == 1)] if labels is not None else []
    if single and by == "label":
        division.notes.append(
            t("{n:,} classes have a single row, which stays in train: {names}", n=len(single), names=_some(single))
        )
    for side in (TRAIN, TEST):
        missing = splitting.missing_classes(rows, division.sides, side)
        if missing and division.counts[side]:
            division.notes.append(
                t(
                    "{n:,} classes have no row in {split}: {names}",
                    n=len(missing),
                    split=NAMES[side],
                    names=_some(missing),
                )
            )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def write(data: Dataset, division: Division, target: Path, removed: Path) -> Account:
    """Write the splits, each with its profile, and the rows that were removed; every row counted.

    A given split's column is dropped: the folders say it now.
    """
    columns = [column for column in data.columns if column.role != "split"]
    schema = schema_of(columns)
    write_schema(target, columns)
    start = 0
    with ExitStack() as stack:
        log = stack.enter_context(ChangeLog(removed))
        writers = [stack.enter_context(SplitWriter(target, name, schema)) for name in division.names]
        for batch in data.batches("all"):
            rows = slice(start, start + batch.num_rows)
            sides = division.sides[rows]
            for side, writer in enumerate(writers):
                writer.write(batch.filter(pa.array(sides == side)))
            _log_removed(log, batch, sides, division.leaking[rows], division.came[rows])
            log.account.num_in += batch.num_rows
            log.kept(int((sides != REMOVED).sum()))
            start += batch.num_rows
    divided = Dataset.open(target)
    for name in division.names:
        (target / name / PROFILE).write_bytes(canonical_json(describe(divided, name)) + b"\n")
    return log.account


def _log_removed(log: ChangeLog, batch: pa.RecordBatch, sides: Sides, leaking: Sides, came: Sides) -> None:
    gone = np.flatnonzero(sides == REMOVED)
    for row, side, other in zip(batch.take(pa.array(gone)).to_pylist(), came[gone], leaking[gone], strict=True):
        detail = f"{NAMES[side]} row that also stands in {NAMES[other]}"
        log.removed(str(row[ROW_ID]), OVERLAP, detail, row)
