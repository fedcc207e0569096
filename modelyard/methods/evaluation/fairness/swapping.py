"""Does an answer hang on a word of identity? Each text with such a word is asked again with the other word.

The share of answers that flip, and how far the score moves (Garg et al. 2019, "Counterfactual fairness in text
classification through robustness", AIES). A different answer is only wrong where the word does not matter: `a black
man` and `a white man` should score alike, `my husband is pregnant` need not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.fairness.terms import Pair, Swapped, Swapper
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.statistics.wilson import wilson


@dataclass(frozen=True)
class Row:
    """One text asked twice.

    Attributes:
        place: in the rows given.
        before, after: labels answered.
        shift: score of the watched class with the other word, less that with the text's own.
        toward: see `Swapped`.
    """

    place: int
    swapped: Swapped
    before: str
    after: str
    shift: float

    @property
    def flipped(self) -> bool:
        """The label is another."""
        return self.before != self.after


@dataclass(frozen=True)
class Asked:
    """One kind of terms.

    Attributes:
        num_rows: texts there were; `rows` are those with a term.
    """

    kind: str
    num_rows: int
    rows: tuple[Row, ...]


def ask(
    predictor: Predictor, texts: Sequence[str], kind: str, pairs: Sequence[Pair], positive: str | None, batch_rows: int
) -> Asked:
    """Ask both texts of every row with a term.

    Args:
        positive: the class whose score is watched; None: the label first answered.
    """
    swapper, rows = Swapper(pairs), []
    found = [(place, swapped) for place, text in enumerate(texts) if (swapped := swapper.swap(text)) is not None]
    for start in range(0, len(found), batch_rows):
        part = found[start : start + batch_rows]
        before = predictor.predict([{"text": texts[place]} for place, _ in part])
        after = predictor.predict([{"text": swapped.text} for _, swapped in part])
        for (place, swapped), one, other in zip(part, before, after, strict=True):
            watched = positive if positive is not None else one.label
            shift = float(other.scores[watched]) - float(one.scores[watched])
            rows.append(Row(place, swapped, one.label, other.label, shift))
    return Asked(kind, len(texts), tuple(rows))


@dataclass(frozen=True)
class Swaps:
    """What was measured of the kinds, and pairs with too few rows."""

    estimates: tuple[Estimate, ...]
    few: tuple[tuple[str, str, int], ...] = field(default=())


def measure(kinds: Sequence[Asked], min_n: int, seed: int = 0) -> Swaps:
    """Flips and shifts by kind, over all kinds, and by pair where it has `min_n` rows.

    Over all kinds a row counts once: it flips if it does under any kind, and its shift is the largest.
    """
    estimates: list[Estimate] = []
    few: list[tuple[str, str, int]] = []
    everything: dict[int, tuple[bool, float]] = {}
    for asked in kinds:
        for row in asked.rows:
            flipped, shift = everything.get(row.place, (False, 0.0))
            everything[row.place] = (flipped or row.flipped, max(shift, abs(row.shift)))
        part = {"kind": asked.kind}
        if len(asked.rows) < min_n:
            few.append((asked.kind, "", len(asked.rows)))
            continue
        flips = np.array([row.flipped for row in asked.rows])
        estimates += _two(flips, np.array([abs(row.shift) for row in asked.rows]), part, seed)
        estimates += _by_pair(asked, min_n, seed, few)
    if len(everything) >= min_n:
        flips = np.array([flipped for flipped, _ in everything.values()])
        estimates += _two(flips, np.array([shift for _, shift in everything.values()]), {}, seed)
    return Swaps(tuple(estimates), tuple(few))


def _by_pair(asked: Asked, min_n: int, seed: int, few: list[tuple[str, str, int]]) -> list[Estimate]:
    of_pair: dict[Pair, list[Row]] = {}
    for row in asked.rows:
        for pair in row.swapped.toward:
            of_pair.setdefault(pair, []).append(row)
    estimates = []
    for pair, rows in sorted(of_pair.items(), key=lambda item: (-len(item[1]), item[0].name)):
        if len(rows) < min_n:
            few.append((asked.kind, pair.name, len(rows)))
            continue
        part = {"kind": asked.kind, "pair": pair.name}
        hits = sum(row.flipped for row in rows)
        estimates.append(
            Estimate("counterfactual_flip_rate", hits / len(rows), wilson(hits, len(rows)), len(rows), part)
        )
        # A text with both words has no direction.
        drift = np.array([row.shift * row.swapped.toward[pair] for row in rows if row.swapped.toward[pair]])
        if drift.size >= min_n:
            ends = bootstrap_t(drift, seed=seed)
            estimates.append(Estimate("counterfactual_drift", float(drift.mean()), ends, drift.size, part))
    return estimates


def _two(flips: NDArray[np.bool_], shifts: NDArray[np.float64], part: dict[str, str], seed: int) -> list[Estimate]:
    n, hits = len(flips), int(flips.sum())
    return [
        Estimate("counterfactual_flip_rate", hits / n, wilson(hits, n), n, part),
        Estimate(
            "counterfactual_score_shift", float(shifts.mean()), bootstrap_t(shifts, seed=seed, non_negative=True), n,
            part,
        ),
    ]  # fmt: skip
