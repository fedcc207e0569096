"""The tables that adjudication gives: labelled rows, rows for review, every vote, every annotator, every pair."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.annotators.adjudication import soft_label
from modelyard.methods.data.annotators.ballots import Ballots, natural
from modelyard.methods.data.annotators.pairwise import Pair, Standing
from modelyard.methods.data.annotators.resolution import NO_VOTE, Resolution
from modelyard.methods.data.annotators.votes import Votes
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of

BATCH = 4_096
ADDED = (
    Column("label", "label", "string"),
    Column("soft_label", "soft_label", "string"),
    Column("num_annotators", "other", "int64"),
    Column("agreement", "other", "double"),
)
_VOTES = (
    (ROW_ID, "string"), ("item", "string"), ("annotator", "string"), ("label", "string"), ("votes", "int64"),
    ("counted", "bool"), ("reason", "string"),
)  # fmt: skip
_ANNOTATORS = (
    (ROW_ID, "string"), ("annotator", "string"), ("num_votes", "int64"), ("num_compared", "int64"),
    ("agreement", "double"), ("low", "double"), ("high", "double"), ("estimated_accuracy", "double"),
    ("confusion", "string"),
)  # fmt: skip
_PAIRS = (
    (ROW_ID, "string"), ("first", "string"), ("second", "string"), ("num_items", "int64"), ("agreement", "double"),
    ("kappa", "double"), ("low", "double"), ("high", "double"),
)  # fmt: skip


def names_of(ballots: Ballots, number: bool) -> dict[str, str]:
    """What each annotator is called in the tables: the name, or `annotator 01` by the order of the names."""
    names = sorted({name for name in ballots.annotator if name is not None}, key=natural)
    width = len(str(len(names)))
    return {name: f"annotator {place:0{width}d}" if number else name for place, name in enumerate(names, start=1)}


def alike(names: Iterable[str]) -> list[list[str]]:
    """Groups of names that differ only in case or in white space around them: perhaps one person."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(name.strip().casefold(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def write_votes(folder: Path, ballots: Ballots, called: Mapping[str, str]) -> None:
    """Every vote, counted or not, with the reason."""
    items = list(ballots.items)
    columns = zip(
        ballots.row, ballots.item, ballots.annotator, ballots.label, ballots.times, ballots.reason, strict=True
    )
    rows = (
        (row, items[item] if item >= 0 else None, called.get(who or "", None), label, times, not reason, reason)
        for row, item, who, label, times, reason in columns
    )
    _write(folder, _VOTES, rows)


def write_annotators(
    folder: Path, votes: Votes, standings: Sequence[Standing], resolution: Resolution, called: Mapping[str, str]
) -> None:
    """One row an annotator: against the others' majority, and what Dawid and Skene's estimate says."""
    model = resolution.model
    accuracy = model.accuracy() if model else None

    def rows() -> Iterator[tuple[Any, ...]]:
        for standing in standings:
            place = standing.annotator
            estimated = None if accuracy is None else float(accuracy[place])
            confusion = None if model is None else _confusion(votes.classes, model.confusion[place])
            ends = (standing.low, standing.high) if standing.n else (None, None)
            share = None if math.isnan(standing.accuracy) else standing.accuracy
            name = called[votes.annotators[place]]
            yield f"a{place + 1}", name, standing.num_votes, standing.n, share, *ends, estimated, confusion

    _write(folder, _ANNOTATORS, rows())


def _confusion(classes: Sequence[str], matrix: Any) -> str:
    """`{true class: {given class: probability}}`."""
    return json.dumps({name: soft_label(classes, row) for name, row in zip(classes, matrix, strict=True)})


def write_pairs(folder: Path, votes: Votes, pairs: Iterable[Pair], called: Mapping[str, str]) -> None:
    """One row for every two annotators with items in common."""

    def number(value: float) -> float | None:
        return None if math.isnan(value) else value

    rows = (
        (
            f"a{pair.first + 1}-a{pair.second + 1}",
            called[votes.annotators[pair.first]],
            called[votes.annotators[pair.second]],
            pair.n,
            pair.agreement,
            number(pair.kappa),
            number(pair.low),
            number(pair.high),
        )
        for pair in pairs
    )
    _write(folder, _PAIRS, rows)


def _write(folder: Path, named: Sequence[tuple[str, str]], rows: Iterable[tuple[Any, ...]]) -> None:
    columns = [Column(name, "other", kind) for name, kind in named]
    schema = schema_of(columns)
    write_schema(folder, columns)
    remaining = iter(rows)
    with SplitWriter(folder, "all", schema) as writer:
        while part := list(islice(remaining, BATCH)):
            arrays = [pa.array(list(values), kind) for values, kind in zip(zip(*part, strict=True), schema.types)]  # noqa: B905
            writer.write(pa.Table.from_arrays(arrays, schema=schema))


Place = Callable[[Mapping[str, Any]], int | None]
"""The item's place in the votes, of a row of the items; None if nobody voted on it."""


def label_rows(
    items: Dataset,
    place: Place,
    renamed: Sequence[str] | None,
    votes: Votes,
    found: Resolution,
    out: Path,
    log: ChangeLog,
) -> None:
    """Write the items that have a label, with ADDED columns; the others go to the log with the reason.

    Args:
        renamed: row id of each place, if rows are to be called by the item's id.
        log: its account's `num_in` is counted here.

    Raises:
        InputError: the items have a column that is called like one of ADDED.
    """
    columns = _with_labels(items)
    schema = schema_of(columns)
    write_schema(out, columns)
    with SplitWriter(out, "all", schema) as writer:
        for batch in items.batches("all"):
            kept = []
            for row in batch.to_pylist():
                log.account.num_in += 1
                at = place(row)
                if at is not None and renamed is not None:
                    row[ROW_ID] = renamed[at]
                reason = NO_VOTE if at is None else found.reason[at]
                if at is None or reason:
                    log.removed(row[ROW_ID], reason, _detail(votes, found, at), row)
                else:
                    kept.append(row | _labels(votes, found, at))
            log.kept(len(kept))
            if kept:
                writer.write(pa.Table.from_pylist(kept, schema=schema))


def _with_labels(items: Dataset) -> list[Column]:
    added = {column.name for column in ADDED}
    taken = [column.name for column in items.columns if column.name in added]
    if taken:
        raise InputError(
            t("the rows have a column `{name}` already", name=taken[0]),
            where=str(items.path.name),
            remedy=t("leave it out: `keep: [...]` names the columns to keep"),
        )
    roles = ("label", "soft_label")
    kept = [replace(c, role="other" if c.role in roles else c.role) for c in items.columns]
    return [*kept, *ADDED]


def _labels(votes: Votes, found: Resolution, at: int) -> dict[str, Any]:
    agreement = float(found.agreement[at])
    return {
        "label": votes.classes[found.label[at]],
        "soft_label": shares_text(votes, found, at),
        "num_annotators": int(found.num_annotators[at]),
        "agreement": None if math.isnan(agreement) else agreement,
    }


def shares_text(votes: Votes, found: Resolution, at: int) -> str:
    """The soft label of one item as it is stored."""
    return json.dumps(soft_label(votes.classes, found.shares[at]), ensure_ascii=False)


def _detail(votes: Votes, found: Resolution, at: int | None) -> str:
    return "" if at is None or not found.num_annotators[at] else shares_text(votes, found, at)
