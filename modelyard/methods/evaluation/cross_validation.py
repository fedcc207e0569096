"""Cross-validation summed up: the mean over the folds, its interval, and the folds one by one.

Folds of shuffled rows are exchangeable: each model learns from as many rows of the same kind, and the mean over them
estimates how well models made this way from (k - 1)/k of the rows do. Nadeau and Bengio's interval allows for the
training rows that folds share.

Folds in the order of time are not: their models learn from more and more rows, of other times. The mean is then that of
these blocks, not of the model made from all rows, and says nothing of times to come. Its interval is the same corrected
t with the mean sizes of the folds. For that no theorem stands; in simulations it covers the mean of the blocks in 97 to
100 % of cases where 95 % are claimed (tests/numerics/test_cross_validation_coverage.py), because the held-out blocks
share no rows and what differs between blocks widens it. Hence: approximate, on the wide side; the table of the folds
says more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import blocks
from modelyard.methods.evaluation.blocks import Block, Cell, Figures, Lines, Phrase, Series, Table, Text, Words
from modelyard.methods.statistics.repeated import nadeau_bengio

COLUMNS = 6
SHOWN = 3


@dataclass(frozen=True)
class Cut:
    """One fold: rows learned from and held out, and between which times the latter lie (ISO 8601; None without)."""

    train: int
    held: int
    first: str | None = None
    last: str | None = None


@dataclass(frozen=True)
class Score:
    """The mean over the folds of one claim.

    Attributes:
        claim, source: the mean's name, and that of what each fold measured.
        n: rows held out in all; of a task, those that say something of it.
        interval: 95 %; None if all folds are the same.
        task: of a model of several; `` of a model of one.
    """

    claim: str
    source: str
    folds: tuple[float, ...]
    mean: float
    interval: tuple[float, float] | None
    n: int
    task: str = ""


def look(folder: Path) -> Cut:
    """The sizes and times of a fold."""
    data = Dataset.open(folder)
    first, last = _times(data)
    return Cut(data.num_rows("train"), data.num_rows("validation"), first, last)


def _times(data: Dataset) -> tuple[str | None, str | None]:
    name = data.role("time")
    if name is None:
        return None, None
    ends: list[int] = []
    for batch in data.batches("validation", [name]):
        found = pc.min_max(pc.cast(batch.column(0), pa.int64()))
        ends += [end.as_py() for end in found.values() if end.is_valid]
    return (_moment(min(ends)), _moment(max(ends))) if ends else (None, None)


def _moment(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).isoformat(" ", "seconds").removesuffix("+00:00")


def summarise(
    claim: str, source: str, values: Sequence[float], cuts: Sequence[Cut], task: str = "", num_rows: int | None = None
) -> Score:
    """The plain mean of what the folds measured, with the corrected interval.

    Args:
        values: by fold; as many as there are cuts.
        task: of a model of several tasks; its rows are taken to be as frequent in what was learned from as in what was
            held out.
        num_rows: rows held out that say something of the task; None: all.
    """
    held = sum(cut.held for cut in cuts)
    interval = nadeau_bengio(values, sum(cut.train for cut in cuts) / len(cuts), held / len(cuts))
    mean, about = math.fsum(values) / len(values), f"{source} of {task}" if task else source
    return Score(claim, about, tuple(values), mean, interval, held if num_rows is None else num_rows, task)


def write(
    folder: Path,
    by: str,
    settings: Mapping[str, Any],
    cuts: Sequence[Cut],
    scores: Sequence[Score],
    chosen: Sequence[Mapping[str, Any]],
) -> None:
    """The report `folds.json`: a page of blocks, and all values for programs.

    Args:
        by: `label` or `time`.
        chosen: by fold the settings its search chose; empty without a search.
    """
    data = {
        "k": len(cuts),
        "by": by,
        "settings": settings,
        "rows": [cut.held for cut in cuts],
        "folds": [vars(cut) for cut in cuts],
        "scores": [vars(score) | {"from": score.source} for score in scores],
        "chosen": [dict(values) for values in chosen],
    }
    blocks.write(folder, "folds", "Cross-validation", _blocks(by, cuts, scores, chosen), data)


def _blocks(by: str, cuts: Sequence[Cut], scores: Sequence[Score], chosen: Sequence[Mapping[str, Any]]) -> list[Block]:
    found: list[Block] = [
        Text(_about(by, len(cuts))),
        Figures("Mean over the folds", ("folds.",), slices=any(score.task for score in scores)),
    ]
    if chosen:
        found.insert(1, Text(NESTED))
    found.append(_table(by, cuts, scores))
    if by == "time":
        points = [
            tuple((float(place), value) for place, value in enumerate(score.folds, 1)) for score in scores[:SHOWN]
        ]
        series = tuple(Series(score.source, line) for score, line in zip(scores[:SHOWN], points, strict=True))
        found.append(Lines("Over time", "fold", "value", series))
    if chosen:
        names = sorted({name for values in chosen for name in values})
        rows = tuple((number, *(_shown(values.get(name)) for name in names)) for number, values in enumerate(chosen, 1))
        found.append(Table("What each fold chose", ("fold", *names), rows))
    return found


NESTED = (
    "In every fold a search chose the settings anew, on rows of its own; the held-out rows judged what it chose. So "
    "the mean is that of making a model this way, search included, and not of one choice of settings."
)


def _about(by: str, k: int) -> Words:
    if by == "time":
        return Phrase(
            "{k} blocks in the order of time, each measured with a model that learned from older rows only. The folds "
            "are not alike: later ones may learn from more rows. The mean is that of these blocks, its interval "
            "approximate (corrected t, on the wide side); of times to come neither says anything.",
            {"k": k},
        )
    return Phrase(
        "{k} models, each measured on a part of the rows that it did not learn from. The interval allows for the rows "
        "that they share (Nadeau and Bengio).",
        {"k": k},
    )


def _table(by: str, cuts: Sequence[Cut], scores: Sequence[Score]) -> Table:
    shown = scores[:COLUMNS]
    times: tuple[Words, ...] = ("from", "to") if by == "time" else ()
    columns: tuple[Words, ...] = ("fold", "rows learned from", "rows held out", *times, *(one.source for one in shown))
    rows = []
    for place, cut in enumerate(cuts):
        when: tuple[Cell, ...] = (cut.first, cut.last) if by == "time" else ()
        rows.append((place + 1, cut.train, cut.held, *when, *(one.folds[place] for one in shown)))
    return Table("Fold by fold", columns, tuple(rows))


def _shown(value: Any) -> Cell:
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else str(value)
