"""Explanations as blocks of a report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelyard.methods.evaluation.blocks import (
    Bar,
    Bars,
    Block,
    Forces,
    Line,
    Lines,
    Marked,
    Phrase,
    Picture,
    Pictures,
    Push,
    Series,
    Spot,
    Swarm,
    Tokens,
)
from modelyard.methods.evaluation.explanation.cases import Case
from modelyard.methods.evaluation.explanation.dependence import Curve
from modelyard.methods.evaluation.explanation.game import Floats
from modelyard.methods.evaluation.explanation.local import Explained
from modelyard.methods.evaluation.explanation.permutation import Importance
from modelyard.methods.evaluation.explanation.players import ImagePlayers, TablePlayers, TextPlayers, png
from modelyard.methods.statistics.wilson import Z95

SHOWN = 12
CHARS = 40


def importances(found: Sequence[Importance]) -> Bars:
    bars = [Bar(one.column, one.value, *(one.interval or (None, None))) for one in found[:SHOWN]]
    note = "By how much the share of wrong answers (or the mean absolute error) rises when a column is shuffled."
    return Bars("Permutation importance", tuple(bars), note)


def shap_means(found: Sequence[Explained], method: str) -> Block | None:
    """Mean size of SHAP values by column, over the sampled rows; None for what is no table."""
    rows = [one for one in found if one.case.sampled and isinstance(one.case.players, TablePlayers)]
    if not rows:
        return None
    names = rows[0].case.players.names
    sizes = np.abs(np.stack([one.by_method[method].values for one in rows]))
    means = sizes.mean(0)
    half = Z95 * sizes.std(0, ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else np.zeros(len(names))
    order = np.argsort(-means, kind="stable")[:SHOWN].tolist()
    bars = [Bar(names[place], float(means[place]), max(0.0, float(means[place] - half[place])),
                float(means[place] + half[place])) for place in order]  # fmt: skip
    return Bars(Phrase("Mean size of the values of {method}", {"method": method}), tuple(bars))


def summary(found: Sequence[Explained], method: str, towards: str) -> Block | None:
    """SHAP's summary plot: a dot a row and column, coloured by whether the column's number is low or high there.

    Args:
        towards: the second of two labels, which all values are turned to; without it they are for each row's own.
    """
    rows = [one for one in found if one.case.sampled and isinstance(one.case.players, TablePlayers)]
    if not rows:
        return None
    names = rows[0].case.players.names
    signs = np.array([-1.0 if towards and one.case.target == 0 else 1.0 for one in rows])
    values = np.stack([one.by_method[method].values for one in rows]) * signs[:, None]
    lines = []
    for place in np.argsort(-np.abs(values).mean(0), kind="stable")[:SHOWN].tolist():
        cells = [one.case.record[names[place]] for one in rows]
        spots = tuple(
            Spot(float(value), share, f"{names[place]} = {cell}"[:CHARS])
            for value, share, cell in zip(values[:, place], _shares(cells), cells, strict=True)
        )
        lines.append(Line(names[place], spots))
    note = Phrase("To the right: towards `{label}`", {"label": towards}) if towards else ""
    return Swarm(Phrase("Values of {method}, a dot a row", {"method": method}), tuple(lines), note)


def _shares(cells: Sequence[object]) -> list[float | None]:
    """Mean rank of each number among the numbers, 0 to 1; None for what is no number, in words or missing."""
    from scipy.stats import rankdata

    from modelyard.methods.evaluation.explanation.surrogate import number_or_none

    numbers = [number_or_none(cell) for cell in cells]
    if any(number is None for number in numbers):
        return [None] * len(cells)
    there = [place for place, number in enumerate(numbers) if number is not None and np.isfinite(number)]
    ranks = rankdata([numbers[place] for place in there])
    found: list[float | None] = [None] * len(cells)
    for place, rank in zip(there, ranks.tolist(), strict=True):
        found[place] = (rank - 1) / max(1, len(there) - 1)
    return found


def dependence(
    column: str, partial: Curve, accumulated: Curve | None, labels: Sequence[str], output: int, mean: float
) -> Block:
    """Lines for numbers, bars for categories.

    Args:
        mean: the mean answer to the rows the effects were asked about.
    """
    what = Phrase("Answer by `{column}`", {"column": column})
    note = Phrase("Mean probability of `{label}`", {"label": labels[output]}) if labels else ""
    if accumulated is None:
        ends = partial.band(output)
        bars = [Bar(str(at), float(mean), low, high)
                for at, mean, (low, high) in zip(partial.at, partial.means[:, output], ends, strict=True)]  # fmt: skip
        return Bars(what, tuple(bars), note)
    # Effects are about their mean over the rows: they are shown about the mean answer to the same rows.
    series = (_series("partial dependence", partial, output, 0.0),
              _series("accumulated local effects", accumulated, output, mean))  # fmt: skip
    return Lines(what, column, "answer", series, note=note)


def _series(name: str, curve: Curve, output: int, lift: float) -> Series:
    at = [float(one) for one in curve.at]
    means = (curve.means[:, output] + lift).tolist()
    band = [(x, low + lift, high + lift) for x, (low, high) in zip(at, curve.band(output), strict=True)]
    return Series(name, tuple(zip(at, means, strict=True)), tuple(band))


def rows_by(found: Sequence[Explained], method: str, texts: bool) -> list[Block]:
    """What a method says of each row: marked texts, overlaid pictures, or bars a row."""
    if not found:
        return []
    title = Phrase("Explained by {method}", {"method": method})
    players = found[0].case.players
    if isinstance(players, TextPlayers):
        if not texts:
            return []
        return [Tokens(title, tuple(_marked(one, method) for one in found))]
    if isinstance(players, ImagePlayers):
        return [Pictures(title, tuple(_picture(one, method) for one in found))] if texts else []
    return [_force(one, method, texts) for one in found[:SHOWN]]


def _caption(case: Case) -> Phrase:
    values = {"row": case.row_id, "answer": case.answer, "truth": case.truth}
    return Phrase("row {row}: answer {answer}, truth {truth}", values)


def _marked(one: Explained, method: str) -> Marked:
    values = scaled(one.by_method[method].values)
    pieces = tuple(zip(one.case.players.names, values.tolist(), strict=True))
    return Marked(one.case.answer, pieces, _caption(one.case))


def _force(one: Explained, method: str, texts: bool) -> Block:
    """From the base to the answer, the largest pushes first, the rest together; bars where values do not add up."""
    found, names = one.by_method[method], one.case.players.names
    order = np.argsort(-np.abs(found.values), kind="stable").tolist()
    said = [f"{names[place]} = {one.case.record[names[place]]}"[:CHARS] if texts else names[place] for place in order]
    note = Phrase("Explained by {method}", {"method": method})
    if found.base is None:
        bars = [Bar(name, float(found.values[place])) for name, place in zip(said, order, strict=True)]
        return Bars(_caption(one.case), tuple(bars[:SHOWN]), note)
    pushes = [Push(name, float(found.values[place])) for name, place in zip(said, order, strict=True)]
    rest = sum(push.value for push in pushes[SHOWN:])
    more = (Push("the other columns", rest),) if len(pushes) > SHOWN else ()
    return Forces(_caption(one.case), found.base, (*pushes[:SHOWN], *more), note)


def _picture(one: Explained, method: str) -> Picture:
    players = one.case.players
    assert isinstance(players, ImagePlayers)
    values = scaled(one.by_method[method].values).reshape(players.grid, players.grid)
    height, width, _ = players.pixels.shape
    factor = max(1, 112 // max(height, width))
    wide = values.repeat(np.diff(players.bounds(height)), 0).repeat(np.diff(players.bounds(width)), 1)
    base = np.repeat(players.pixels, 3, 2) if players.pixels.shape[2] == 1 else players.pixels
    colour = np.where(wide[:, :, None] >= 0, [214, 80, 40], [40, 100, 200])
    share = 0.6 * np.abs(wide)[:, :, None]
    mixed = (base * (1 - share) + colour * share).round().astype(np.uint8)
    return Picture(png(mixed.repeat(factor, 0).repeat(factor, 1)), _caption(one.case))


def scaled(values: Floats) -> Floats:
    """Between -1 and 1: divided by the largest size."""
    most = float(np.abs(values).max()) if values.size else 0.0
    return values / most if most > 0 else values


def curves(found: Sequence[Explained], steps: int = 11) -> list[Block]:
    """Mean deletion and insertion curves by method, over the share of players."""
    rows = [one for one in found if one.faiths]
    if not rows:
        return []
    blocks: list[Block] = []
    shares = np.linspace(0, 1, steps)
    for place, title in enumerate(("Deletion: the most important first", "Insertion: the most important first")):
        series = []
        for name in rows[0].faiths:
            lines = [one.faiths[name].curves[place] for one in rows]
            mean = np.mean([np.interp(shares, np.linspace(0, 1, len(line)), line) for line in lines], 0)
            series.append(Series(name, tuple(zip(shares.tolist(), mean.tolist(), strict=True))))
        blocks.append(Lines(title, "share of the row", "answer", tuple(series)))
    return blocks


def of_rows(
    found: Sequence[Explained],
    methods: Sequence[str],
    texts: bool,
    labels: Sequence[str] = (),
    apart: Sequence[Block] = (),
) -> list[Block]:
    """Curves of faithfulness, what columns do over the sampled rows, then each row by each method.

    Args:
        labels: the model's; apart: what sets groups apart, to stand beside what matters for all.
    """
    blocks = [*curves(found), *apart]
    for method in [name for name in ("tree_shap", "shap") if name in methods]:
        towards = labels[1] if len(labels) == 2 else ""
        parts = (shap_means(found, method), summary(found, method, towards) if texts else None)
        blocks += [part for part in parts if part is not None]
    tables = bool(found) and isinstance(found[0].case.players, TablePlayers)
    # A table's rows are a chart each: one method is enough to read, all are in the data.
    shown = [name for name in ("tree_shap", "shap", *methods) if name in methods][:1] if tables else methods
    for method in shown:
        blocks += rows_by(found, method, texts)
    return blocks
