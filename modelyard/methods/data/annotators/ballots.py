"""A table of votes, long, wide or counted, taken apart into the items and the votes on them.

long    a row is one vote: item, annotator, label
wide    a row is one item, with a column for each annotator
counts  a row is one item, with a column for each class that says how many chose it
"""

from __future__ import annotations

import hashlib
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.annotators.votes import Votes, ordered
from modelyard.methods.data.dataset import ROW_ID, Dataset

Form = Literal["long", "wide", "counts"]
NO_ITEM, NO_ANNOTATOR, NO_LABEL = "no item", "no annotator", "no label"
UNKNOWN, ABSTAINED, OTHER_TEXT, REPEATED = "unknown class", "abstained", "another text", "repeated"
NO_COUNT = "no whole number"
MOST_COUNT = 10_000
WHOLE_FLOAT = re.compile(r"[+-]?\d+\.0*")


@dataclass(frozen=True)
class Layout:
    """Where the votes stand in a table.

    Attributes:
        item: column of the item's id; None: every row is an item of its own.
        annotator, label: columns of a long table.
        status: column that says why a vote does not count (of a converted export), or None.
        annotators: columns of a wide table.
        counts: class to column, of a table of counts.
        text: column that must be equal in all rows of an item, or None.
    """

    form: Form
    item: str | None = None
    annotator: str = ""
    label: str = ""
    status: str | None = None
    annotators: Sequence[str] = ()
    counts: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None

    def needs(self) -> list[str]:
        """Every column the votes are read from."""
        single = [name for name in (self.item, self.annotator, self.label, self.status) if name]
        return [*single, *self.annotators, *self.counts.values()]

    def check(self, data: Dataset, where: str) -> None:
        """Raises InputError naming every column that is not there."""
        names = [column.name for column in data.columns if column.name != ROW_ID]
        problems = [
            Problem(where, t("no column `{name}`", name=name), t("one of: {names}", names=", ".join(names[:30])))
            for name in self.needs()
            if name not in names
        ]
        if problems:
            raise InputError.of(problems)


@dataclass(frozen=True)
class Rules:
    """Which votes count.

    Attributes:
        classes: the only labels that count, in order; None: all.
        abstain: labels that say no class.
        repeats: of several votes of one annotator on one item, which count: the `last`, the `first`, or `all`.
        scale: `nominal`, `ordinal` or `interval`.
    """

    classes: Sequence[str] | None = None
    abstain: Sequence[str] = ()
    repeats: Literal["last", "first", "all"] = "last"
    scale: str = "nominal"


@dataclass
class Ballots:
    """Every vote of the tables, counted or not, one place a list each.

    Attributes:
        items: id to place, in order of first appearance.
        row: of each vote: id of the row it stands in.
        item: place of its item, -1 if it has none.
        annotator, label: as written; None where missing.
        times: how many votes it stands for.
        reason: why it does not count, `` if it does.
    """

    items: dict[str, int] = field(default_factory=dict)
    row: list[str] = field(default_factory=list)
    item: array[int] = field(default_factory=lambda: array("q"))
    annotator: list[str | None] = field(default_factory=list)
    label: list[str | None] = field(default_factory=list)
    times: array[int] = field(default_factory=lambda: array("q"))
    reason: list[str] = field(default_factory=list)

    def add(self, row: str, item: int, annotator: str | None, label: str | None, reason: str, times: int = 1) -> None:
        self.row.append(row)
        self.item.append(item)
        self.annotator.append(annotator)
        self.label.append(label)
        self.times.append(times)
        self.reason.append(reason)

    def reasons(self) -> Counter[str]:
        """Votes that do not count, by reason."""
        found: Counter[str] = Counter()
        for reason, times in zip(self.reason, self.times, strict=True):
            if reason:
                found[reason] += times
        return found


@dataclass
class Collector:
    """Reads tables of votes; `first` tells which row of the table is the first of each item.

    Attributes:
        first: place of the row (over all tables, from 0) where each item was first seen.
    """

    layout: Layout
    rules: Rules
    ballots: Ballots = field(default_factory=Ballots)
    first: list[int] = field(default_factory=list)
    _texts: list[bytes | None] = field(default_factory=list)
    _rows: int = 0

    def read(self, data: Dataset) -> None:
        """Take every row of the split `all`."""
        wanted = [*dict.fromkeys([ROW_ID, *self.layout.needs(), *([self.layout.text] if self.layout.text else [])])]
        for batch in data.batches("all", wanted):
            columns = {name: batch.column(name).to_pylist() for name in wanted}
            for place in range(batch.num_rows):
                self._row({name: values[place] for name, values in columns.items()})
                self._rows += 1

    def _row(self, row: Mapping[str, Any]) -> None:
        item = self._item(row)
        reason = NO_ITEM if item < 0 else self._conflict(item, row)
        for annotator, label, why, times, suffix in self._votes(row):
            self.ballots.add(f"{row[ROW_ID]}{suffix}", item, annotator, label, reason or why, times)

    def _item(self, row: Mapping[str, Any]) -> int:
        name = name_of(row[ROW_ID if self.layout.item is None else self.layout.item])
        if name is None:
            return -1
        items = self.ballots.items
        if name not in items:
            items[name] = len(items)
            self.first.append(self._rows)
            self._texts.append(self._mark(row))
        return items[name]

    def _mark(self, row: Mapping[str, Any]) -> bytes | None:
        text = row[self.layout.text] if self.layout.text else None
        return None if text is None else hashlib.blake2b(str(text).encode("utf-8", "replace"), digest_size=8).digest()

    def _conflict(self, item: int, row: Mapping[str, Any]) -> str:
        mark, known = self._mark(row), self._texts[item]
        if known is None:
            self._texts[item] = mark
        return OTHER_TEXT if mark is not None and known is not None and mark != known else ""

    def _votes(self, row: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None, str, int, str]]:
        """Annotator, label, why it does not count, how many votes, and what to add to the row's id."""
        layout = self.layout
        if layout.form == "long":
            yield from self._one(row)
        elif layout.form == "wide":
            for number, column in enumerate(layout.annotators, start=1):
                label = name_of(row[column])
                if label is not None:
                    yield column, label, self._why(label), 1, f".{number}"
        else:
            for number, (label, column) in enumerate(layout.counts.items(), start=1):
                times = whole(row[column])
                if times is None:
                    yield None, label, NO_COUNT, 1, f".{number}"
                elif times:
                    yield None, label, self._why(label), times, f".{number}"

    def _one(self, row: Mapping[str, Any]) -> Iterator[tuple[str | None, str | None, str, int, str]]:
        layout = self.layout
        annotator, label = name_of(row[layout.annotator]), name_of(row[layout.label])
        status = row[layout.status] if layout.status else None
        if annotator is None and label is None and status in (None, "", "no annotation"):
            return  # a row that only brings an item
        why = str(status or "") or (NO_ANNOTATOR if annotator is None else NO_LABEL if label is None else "")
        yield annotator, label, why or self._why(label or ""), 1, ""

    def _why(self, label: str) -> str:
        if label in self.rules.abstain:
            return ABSTAINED
        return UNKNOWN if self.rules.classes is not None and label not in self.rules.classes else ""

    def votes(self) -> Votes:
        """The votes that count. Repeated ones are marked in `ballots` first.

        Raises:
            InputError: not one vote counts, or the classes have no order and the scale needs one.
        """
        ballots = self.ballots
        if self.rules.repeats != "all" and self.layout.form != "counts":
            _mark_repeats(ballots, self.rules.repeats == "last")
        counted = [place for place, reason in enumerate(ballots.reason) if not reason]
        if not counted:
            kinds = ", ".join(f"{t(kind)}: {n:,}" for kind, n in ballots.reasons().most_common())
            raise InputError(t("not one vote counts ({kinds})", kinds=kinds or "-"))
        return self._votes_at(counted)

    def _votes_at(self, counted: list[int]) -> Votes:
        ballots, named = self.ballots, self.layout.form != "counts"
        labels = {str(ballots.label[place]) for place in counted}
        classes = ordered(labels, self.rules.classes, self.rules.scale)
        annotators = sorted({str(ballots.annotator[place]) for place in counted}, key=natural) if named else []
        class_at = {name: place for place, name in enumerate(classes)}
        annotator_at = {name: place for place, name in enumerate(annotators)}
        times = np.array([ballots.times[place] for place in counted], dtype=np.int64)

        def spread(values: list[int]) -> NDArray[np.int64]:
            return np.repeat(np.array(values, dtype=np.int64), times)

        return Votes(
            list(ballots.items),
            annotators,
            classes,
            spread([ballots.item[place] for place in counted]),
            spread([annotator_at[str(ballots.annotator[place])] if named else -1 for place in counted]),
            spread([class_at[str(ballots.label[place])] for place in counted]),
        )


def _mark_repeats(ballots: Ballots, last: bool) -> None:
    """Of votes of one annotator on one item all but one get the reason REPEATED."""
    kept: dict[tuple[int, str | None], int] = {}
    places = range(len(ballots.row))
    for place in reversed(places) if last else places:
        if not ballots.reason[place]:
            key = (ballots.item[place], ballots.annotator[place])
            if kept.setdefault(key, place) != place:
                ballots.reason[place] = REPEATED


def name_of(value: Any) -> str | None:
    """A cell as a name: white space taken off, `1.0` as `1`, true as `true`; None if there is nothing."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    text = ("true" if value else "false") if isinstance(value, bool) else str(value).strip()
    return text.split(".")[0] if WHOLE_FLOAT.fullmatch(text) else text or None


def whole(value: Any) -> int | None:
    """A count from 0 to MOST_COUNT; an empty cell is 0; None if it is no whole number."""
    name = name_of(value)
    if name is None:
        return 0
    return int(name) if name.isascii() and name.isdigit() and len(name) < 6 and int(name) <= MOST_COUNT else None


def natural(name: str) -> tuple[int, int, str]:
    """Order of names: numbers by value first, then the rest by name."""
    number = name.isascii() and name.isdigit() and len(name) < 19
    return (0, int(name), name) if number else (1, 0, name)
