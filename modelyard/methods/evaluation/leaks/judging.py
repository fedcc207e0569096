"""Which columns tell more than a column can, and what speaks against each.

Four signs, none of them proof; a person must say whether the column is known when the model answers (Kaufman, Rosset,
Perlich and Stitelman 2012, "Leakage in data mining: formulation, detection, and avoidance": leaks are found as what is
too good to be true, in single columns first, then in the whole model):

almost the label  alone it reaches an AUC or R² of at least NEAR, at the lower end of its interval
beats the rest    alone it tells more than boosted trees tell from all other columns together
carries the model with it the trees' error (1 - AUC, 1 - R²) is less than half of what it is without it
made of the label its values are means of the label by category (encoding.py)

Comparisons hold at 95 % for all columns together (Bonferroni). A column in which most values occur once names rows
rather than describes them: it is told apart, since it tells nothing about rows that come.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.splitting.loading import NUMBERING
from modelyard.methods.evaluation.leaks import encoding, fitting, telling
from modelyard.methods.evaluation.leaks.encoding import Encoded
from modelyard.methods.evaluation.leaks.rows import Column, Goal, Rows
from modelyard.methods.evaluation.leaks.telling import Telling
from modelyard.methods.evaluation.regression import spearman

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
NEAR = 0.99
HALF = 0.5
FEWEST_OTHERS = 2
"""Other columns there must be: one alone is easily told less than another."""
CANDIDATES = 3
SPOILS = 0.3
"""Growth of the squared error by shuffling, as a share of it, from which at most CANDIDATES columns are looked at."""
ROUNDS = 3
TWIN = 0.95
NAMES_ROWS = 0.5
"""Share of the rows from which different words name rows."""
FEWEST_WORD = 20
_WORD = re.compile(r"[a-z0-9_]+|[\u3400-\u9fff]")

ALMOST, BEATS, CARRIES, MADE, WORD = (
    "almost the label",
    "beats the rest",
    "carries the model",
    "made of the label",
    "a word that is almost the label",
)


@dataclass(frozen=True)
class Told:
    """One column.

    Attributes:
        alone: what it tells without any other.
        without: what the others tell without it and its twins; None if that was not looked at.
        together: what all tell with it; None likewise.
        signs: why it is suspected, of ALMOST, BEATS, CARRIES, MADE, WORD.
        encoded: what it was made of, if so.
        names_rows: most of its values occur once.
    """

    name: str
    alone: Telling
    without: Telling | None = None
    together: Telling | None = None
    signs: tuple[str, ...] = ()
    encoded: Encoded | None = None
    names_rows: bool = False


@dataclass(frozen=True)
class Verdict:
    """All columns, most telling first.

    Attributes:
        together: what boosted trees tell from all columns; None without columns.
        num_rows: rows the columns were measured on.
    """

    columns: tuple[Told, ...]
    together: Telling | None
    num_rows: int
    is_number: bool

    @property
    def suspected(self) -> tuple[Told, ...]:
        return tuple(told for told in self.columns if told.signs)

    @property
    def naming(self) -> tuple[Told, ...]:
        return tuple(told for told in self.columns if told.names_rows)


def judge(rows: Rows, num_rows: int, num_folds: int, seed: int, note: Callable[[int, int], None]) -> Verdict:
    """Look at every column; where some are suspected, again at the others without them, since one leak hides another.

    Args:
        num_rows: rows that models are fitted on, the first of `rows`; encodings are looked for in all.
        note: hears of fits done and in all.
    """
    part = rows.first(num_rows)
    fold = fitting.folds(part.goal, num_folds)
    alone = {column.name: telling.measure(part.goal, fitting.alone(column, part.goal, fold)) for column in part.columns}
    kept = {told.name: told for told in _words(part)}
    first: Telling | None = None
    columns = list(zip(part.columns, rows.columns, strict=True))
    for _ in range(ROUNDS):
        told = _round(columns, rows, part, alone, fold, seed, note)
        first = first or told.together
        suspected = {one.name for one in told.columns if one.signs}
        columns = [pair for pair in columns if pair[0].name not in suspected]
        kept |= {one.name: one for one in told.columns}
        if not suspected or not columns:
            break
    found = sorted(kept.values(), key=lambda one: (not one.signs, -one.alone.value, one.name))
    return Verdict(tuple(found), first, len(part), part.goal.is_number)


@dataclass(frozen=True)
class _Round:
    columns: list[Told]
    together: Telling | None


def _round(
    columns: list[tuple[Column, Column]],
    rows: Rows,
    part: Rows,
    alone: dict[str, Telling],
    fold: Ints,
    seed: int,
    note: Callable[[int, int], None],
) -> _Round:
    """One look at columns, each as (what models see, all rows)."""
    seen = [column for column, _ in columns]
    together, without = _beside(seen, part.goal, alone, fold, seed, note)
    found = [
        _told(column, whole, rows, alone[column.name], together, without.get(column.name), len(part))
        for column, whole in columns
    ]
    return _Round(found, together)


def _beside(
    columns: list[Column],
    goal: Goal,
    alone: dict[str, Telling],
    fold: Ints,
    seed: int,
    note: Callable[[int, int], None],
) -> tuple[Telling | None, dict[str, Telling]]:
    """What all columns tell together, and what is told without each candidate and its twins."""
    if len(columns) < FEWEST_OTHERS + 1:
        return None, {}
    whole = fitting.together(columns, goal, fold, seed, spoils=True)
    names = [column.name for column in columns]
    candidates = _candidates(names, alone, whole)
    without = {}
    for done, name in enumerate(candidates, 1):
        note(done, len(candidates) + 1)
        column = columns[names.index(name)]
        others = [other for other in columns if other.name != name and not twins(column, other)]
        if len(others) >= FEWEST_OTHERS:
            without[name] = telling.measure(goal, fitting.together(others, goal, fold, seed).predicted)
    note(len(candidates) + 1, len(candidates) + 1)
    return telling.measure(goal, whole.predicted), without


def _candidates(names: list[str], alone: dict[str, Telling], whole: fitting.Together) -> list[str]:
    """Columns worth fits without them.

    Only the one that tells most alone can tell more than the rest, which the next best is part of. Without a column
    that carries the model errors double; shuffling it spoils about as much or more, so others need no look.
    """
    spoiling = sorted(names, key=lambda name: -whole.spoils[names.index(name)])[:CANDIDATES]
    enough = [name for name in spoiling if whole.spoils[names.index(name)] >= SPOILS]
    best = max(names, key=lambda name: (alone[name].value, name))
    return sorted({best, *enough})


def twins(first: Column, second: Column) -> bool:
    """Whether two columns say nearly the same, so that either hides that the other leaks.

    Numbers whose ranks correlate (Spearman) to TWIN, or values that go one to one.
    """
    if first.numbers is not None and second.numbers is not None:
        known = ~np.isnan(first.numbers) & ~np.isnan(second.numbers)
        return known.sum() > FEWEST_WORD and abs(spearman(first.numbers[known], second.numbers[known])) >= TWIN
    pairs = len(np.unique(first.codes * (int(second.codes.max()) + 1) + second.codes))
    return pairs == len(np.unique(first.codes)) == len(np.unique(second.codes))


def _told(
    column: Column,
    whole: Column,
    rows: Rows,
    alone: Telling,
    together: Telling | None,
    rest: Telling | None,
    num_rows: int,
) -> Told:
    signs = [ALMOST] if alone.interval[0] >= NEAR else []
    tests = len(rows.columns)
    if rest is not None and together is not None:
        signs += [BEATS] if telling.lower_end(alone, rest, tests) > 0 else []
        signs += [CARRIES] if telling.error_ratio_upper(together, rest, tests) < HALF else []
    encoded = None if ALMOST in signs else encoding.find(whole, rows.columns, rows.goal)
    signs += [MADE] if encoded else []
    return Told(
        column.name, alone, rest, together if rest else None, tuple(signs), encoded, _names_rows(column, num_rows)
    )


def _names_rows(column: Column, num_rows: int) -> bool:
    if column.numbers is None:
        return column.num_values > NAMES_ROWS * num_rows
    return column.num_values == num_rows and bool(NUMBERING.search(column.name))


def _words(part: Rows) -> list[Told]:
    """Words of the texts that alone are almost the label: `label: spam` in a text that came with its answer."""
    if not part.texts or part.goal.is_number:
        return []
    found = []
    for word, present in _presence(part.texts).items():
        told = [_word(part.goal, place, present) for place in range(len(part.goal.labels))]
        best = max(told, key=lambda one: one.interval[0])
        if best.interval[0] >= NEAR:
            found.append(Told(word, best, signs=(WORD,)))
    return found


def _word(goal: Goal, place: int, present: Floats) -> Telling:
    """What a word's being there [n] tells of one class."""
    one = Goal(goal.values[:, place : place + 1], (goal.labels[place],))
    is_sign = present[one.values[:, 0] > 0].mean() > present[one.values[:, 0] == 0].mean()
    return telling.measure(one, (present if is_sign else 1 - present)[:, None])


def _presence(texts: tuple[str, ...]) -> dict[str, Floats]:
    """For each word in enough texts, whether each text has it [n]."""
    places: dict[str, list[int]] = {}
    for row, text in enumerate(texts):
        for word in set(_WORD.findall(text.lower())):
            places.setdefault(word, []).append(row)
    least = max(FEWEST_WORD, len(texts) // 20)
    found = {}
    for word in sorted(places):
        if len(places[word]) >= least:
            found[word] = np.zeros(len(texts))
            found[word][places[word]] = 1
    return found
