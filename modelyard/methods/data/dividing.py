"""A data set divided: the columns that decide are read, sides are chosen (splitting.py), and the folders written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data import splitting
from modelyard.methods.data.cleaning import REMOVED as REMOVED_COLUMNS
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.profile import describe
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.splitting import NAMES, REMOVED, TEST, TRAIN, VALIDATION, Rows, Sides
from modelyard.methods.data.text import text_key

PROFILE = "profile.json"
SHOWN = 5
By = Literal["auto", "label", "time", "given"]


@dataclass
class Division:
    """Where every row goes, and what was found on the way.

    Attributes:
        sides: of each row, in the order of the data.
        reasons: place of a removed row to the reason.
        leakage_rate: after the split; see `splitting.leakage_rate`.
        overlap_found_rate: the same before rows were removed.
        duplicate_rate: share of the rows in a split that repeat the text of an earlier one in any.
        notes: lines for the user.
    """

    sides: Sides
    reasons: dict[int, str] = field(default_factory=dict)
    leakage_rate: float = 0.0
    overlap_found_rate: float = 0.0
    duplicate_rate: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows of train, validation and test."""
        found = Counter(self.sides.tolist())
        return found[TRAIN], found[VALIDATION], found[TEST]


def load_rows(data: Dataset) -> Rows:
    """The columns of the split `all` that decide where rows go; 16 bytes stand for each text.

    Without a text, rows are the same if all their columns are.
    """
    names = {role: data.role(role) for role in ("text", "label", "group", "time", "split")}
    text = names["text"]
    content = [text] if text else [c.name for c in data.columns if c.name != ROW_ID and c.role != "split"]
    keys: list[bytes] = []
    columns: dict[str, list[Any]] = {role: [] for role in names}
    needed = list(dict.fromkeys([*content, *(name for name in names.values() if name)]))
    for batch in data.batches("all", needed):
        if text:
            keys += [text_key(value or "") for value in batch.column(text).to_pylist()]
        else:
            values = [batch.column(name).to_pylist() for name in content]
            keys += [text_key(repr(row)) for row in zip(*values, strict=True)]
        for role, name in names.items():
            if name and role != "text":
                columns[role] += _moments(batch.column(name)) if role == "time" else batch.column(name).to_pylist()
    groups: list[Hashable] = columns["group"]
    return Rows(
        keys,
        [str(label) for label in columns["label"]] if names["label"] else None,
        groups if names["group"] else None,
        np.array(columns["time"], dtype=np.int64) if names["time"] else None,
        np.array([NAMES.index(name) for name in columns["split"]], dtype=np.int8) if names["split"] else None,
    )


def _moments(column: pa.Array) -> list[int]:
    moments: list[int] = pc.cast(column, pa.int64()).to_pylist()
    return moments


def divide(
    rows: Rows, data: Dataset, by: By, validation: float, test: float, seed: int, keep_overlap: bool
) -> Division:
    """Choose the side of every row.

    Raises:
        InputError: a role that `by` needs is missing, a split would be empty, or there is one class only.
    """
    if not rows.keys:
        raise InputError(t("the data set has no row"), where="data.split")
    _check_classes(rows)
    notes: list[str] = []
    chosen = by if by != "auto" else "given" if rows.given is not None else "label"
    if chosen == "given":
        sides = _given(rows, data, validation, test, seed, notes)
    elif chosen == "time":
        if rows.times is None:
            data.need("time")
            raise InputError(t("no column has the role `{role}`", role="time"), where="data.split")
        sides = splitting.split_by_time(rows.times, validation, test)
    else:
        sides = splitting.split_stratified(rows, validation, test, seed)
    return _resolved(rows, sides, chosen, (validation, test), keep_overlap, notes)


def _check_classes(rows: Rows) -> None:
    classes = set(rows.labels or ())
    if rows.labels is not None and len(classes) < 2:
        raise InputError(
            t("the data holds one class only: {label}", label=", ".join(classes)),
            where="data.split",
            expected=t("at least two classes"),
            remedy=t("is `label` the right column in data.read? did data.clean drop the other class?"),
        )


def _given(rows: Rows, data: Dataset, validation: float, test: float, seed: int, notes: list[str]) -> Sides:
    if rows.given is None:
        data.need("split")
        raise InputError(t("no column has the role `{role}`", role="split"), where="data.split")
    if not (rows.given == TRAIN).any():
        raise InputError(t("no row of the data is given as train"), where="data.split")
    sides, carved = splitting.split_given(rows, validation, test, seed)
    for side in carved:
        n = int((sides == side).sum())
        notes.append(t("the data comes without {split}: {n:,} rows carved from train", split=NAMES[side], n=n))
    if not carved:
        notes.append(t("the data comes split; `validation` and `test` are not used"))
    return sides


def _resolved(rows: Rows, sides: Sides, by: str, shares: tuple[float, float], keep: bool, notes: list[str]) -> Division:
    """Take out what stands on two sides, check, and count."""
    found = splitting.overlap(rows, sides)
    division = Division(sides.copy(), notes=notes, overlap_found_rate=splitting.leakage_rate(rows, sides))
    counts = division.counts
    for num, side, other in (
        (found.test_in_train, TEST, TRAIN),
        (found.validation_in_train, VALIDATION, TRAIN),
        (found.test_in_validation, TEST, VALIDATION),
    ):
        if num:
            notes.append(_also(num, counts[side], NAMES[side], NAMES[other]))
    if found.num_leaking and not keep:
        for place in np.flatnonzero(found.leaking != REMOVED).tolist():
            name = NAMES[division.sides[place]]
            division.reasons[place] = f"{name} row that also stands in {NAMES[found.leaking[place]]}"
            division.sides[place] = REMOVED
        notes.append(
            t("{n:,} rows are taken out of train and validation for it, kept in `removed`", n=found.num_leaking)
        )
    elif found.num_leaking:
        notes.append(t("they stay, as `overlap: keep` says: a model is tested on what it has seen"))
    wanted = [TRAIN, *(side for side, share in zip((VALIDATION, TEST), shares, strict=True) if share > 0)]
    splitting.check(rows, division.sides, wanted)
    _note_classes(rows, division, by)
    division.leakage_rate = splitting.leakage_rate(rows, division.sides)
    kept = [key for key, side in zip(rows.keys, division.sides.tolist(), strict=True) if side != REMOVED]
    division.duplicate_rate = 1 - len(set(kept)) / len(kept)
    train, validation, test = division.counts
    notes.append(
        t("by {by}: {train:,} rows to train, {validation:,} to validation, {test:,} to test", by=by, train=train,
          validation=validation, test=test)
    )  # fmt: skip
    return division


def _also(num: int, total: int, split: str, other: str) -> str:
    return t("{num:,} of {total:,} {split} rows also stand in {other}", num=num, total=total, split=split, other=other)


def _note_classes(rows: Rows, division: Division, by: str) -> None:
    single = sorted(label for label, count in Counter(rows.labels or ()).items() if count == 1)
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


def write(data: Dataset, division: Division, target: Path, removed: Path) -> None:
    """Write the three splits, each with its profile, and the rows that were removed.

    A given split's column is dropped: the folders say it now.
    """
    columns = [column for column in data.columns if column.role != "split"]
    schema, removed_schema = schema_of(columns), schema_of(REMOVED_COLUMNS)
    write_schema(target, columns)
    write_schema(removed, REMOVED_COLUMNS)
    text = data.role("text")
    start = 0
    with ExitStack() as stack:
        bad = stack.enter_context(SplitWriter(removed, "all", removed_schema))
        writers = [stack.enter_context(SplitWriter(target, name, schema)) for name in NAMES]
        for batch in data.batches("all"):
            sides = division.sides[start : start + batch.num_rows]
            for side, writer in enumerate(writers):
                writer.write(batch.filter(pa.array(sides == side)))
            gone = np.flatnonzero(sides == REMOVED)
            if gone.size:
                part = batch.take(pa.array(gone))
                reasons = [division.reasons[start + int(place)] for place in gone]
                texts = part.column(text) if text else pa.nulls(len(gone), pa.string())
                values = [
                    part.column(ROW_ID),
                    ["removed"] * len(gone),
                    reasons,
                    texts,
                    pa.nulls(len(gone), pa.string()),
                ]
                bad.write(
                    pa.table(
                        [pa.array(value) if isinstance(value, list) else value for value in values], removed_schema
                    )
                )
            start += batch.num_rows
    divided = Dataset.open(target)
    for name in NAMES:
        (target / name / PROFILE).write_bytes(canonical_json(describe(divided, name)) + b"\n")
