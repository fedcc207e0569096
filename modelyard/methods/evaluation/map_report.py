"""Maps of a model as blocks of a report: what evaluate.maps asks for in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import maps
from modelyard.methods.evaluation.blocks import Block, Figures, Phrase, Point, Scatter
from modelyard.methods.evaluation.boundary import Boundary, boundary
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.explanation.cases import TASKS, columns_of, examples_of, sample
from modelyard.methods.evaluation.explanation.game import Oracle
from modelyard.methods.evaluation.measuring.family import Shown, quote
from modelyard.methods.evaluation.opening import opened
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record

DIGITS = 4
CHARS = 80


@dataclass(frozen=True)
class Rows:
    """The rows that are drawn, with what was right and what the model said.

    Attributes:
        answers: [n] places of labels; empty for a model that answers a number.
        groups: what colours each row; shown: its name.
        wrong: [n] whether the answer is.
    """

    records: Sequence[Record]
    answers: np.ndarray
    groups: Sequence[str]
    shown: Sequence[str]
    wrong: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """What was drawn and measured.

    Attributes:
        source: of the features; empty without a map.
    """

    blocks: list[Block]
    estimates: list[Estimate]
    source: str
    data: Mapping[str, Any]


def draw(folder: Path, data: Dataset, settings: Mapping[str, Any], note: Callable[[int, int], None]) -> Drawn:
    """The map and the boundary, by the settings of evaluate.maps.

    Raises InputError for a task without one answer a record, columns that do not suit, or too few rows.
    """
    card, seed = ModelCard.read(folder), int(settings["seed"])
    _refuse(card, settings["columns"] is not None)
    columns = columns_of(folder, card, data)
    with opened(folder, settings["threads"]) as predictor:
        oracle = Oracle(predictor)
        rows = _rows(oracle, card, data, settings)
        note(1, 3)
        cut = _cut(oracle, rows, folder, card, columns, settings) if settings["columns"] else None
    note(2, 3)
    blocks: list[Block] = [Figures("How far the maps can be believed", ("maps.",))]
    found: list[Estimate] = []
    source = ""
    about: dict[str, Any] = {"rows": len(rows.records)}
    if settings["method"] != "none":
        features = maps.features(folder, card, rows.records, columns, seed)
        places = maps.project(features.values, settings["method"], seed)
        found += maps.estimates(features.values, places, seed)
        source = features.source
        about |= {"chance": maps.NEIGHBOURS / (len(places) - 1), "width": features.values.shape[1]}
        blocks += _map_blocks(rows, places, source, settings["method"], bool(card.labels))
    if cut is not None:
        found.append(cut.agreement)
        blocks += _boundary_blocks(cut, rows, settings["columns"], card.labels)
    note(3, 3)
    return Drawn(blocks, found, source, about | ({"source": source} if source else {}))


def _refuse(card: ModelCard, cut: bool) -> None:
    if card.task not in TASKS:
        raise InputError(t("models of the task `{task}` are not mapped yet", task=card.task), expected=", ".join(TASKS))
    if cut and card.task != "tabular-classification":
        raise InputError(
            t("models of the task `{task}` have no boundary over columns", task=card.task),
            where="columns",
            expected="tabular-classification",
        )


def _rows(oracle: Oracle, card: ModelCard, data: Dataset, settings: Mapping[str, Any]) -> Rows:
    examples = examples_of(data, "test", card)
    places = sample(examples.row_ids, settings["rows"], int(settings["seed"]), "maps")
    if not places:
        raise InputError(t("the split has no row that can be judged"), where="data/test")
    records = examples.pick(places)
    truths, outputs = [examples.truths[place] for place in places], oracle.outputs(records)
    ids = [examples.row_ids[place] for place in places]
    if not card.labels:
        numbers = np.array(truths, np.float64)
        groups = np.where(numbers > np.median(numbers), "high", "low").tolist()
        said = [f"{row}: {truth:.4g} → {value:.4g}"
                for row, truth, value in zip(ids, numbers, outputs[:, 0], strict=True)]  # fmt: skip
        return Rows(records, np.zeros(0, np.int64), groups, said, np.zeros(len(ids), np.bool_))
    answers = outputs.argmax(1)
    given = [card.labels[place] for place in answers.tolist()]
    groups = [str(truth) for truth in truths]
    wrong = np.array([one != other for one, other in zip(given, groups, strict=True)])
    shown = Shown(texts=settings["texts"])
    names = [
        _name(row, truth, answer, quote(record, shown, CHARS))
        for row, truth, answer, record in zip(ids, groups, given, records, strict=True)
    ]
    return Rows(records, answers, groups, names, wrong)


def _name(row: str, truth: str, answer: str, quoted: Mapping[str, str]) -> str:
    said = f"{row}: {truth}" if truth == answer else f"{row}: {truth} → {answer}"
    return f"{said} · {quoted['text']}" if quoted.get("text") else said


def _cut(
    oracle: Oracle, rows: Rows, folder: Path, card: ModelCard, columns: Sequence[str], settings: Mapping[str, Any]
) -> Boundary:
    own = () if card.format == "ensemble" else getattr(preprocessing.load(folder, card.preprocessing), "columns", ())
    words = {column.name for column in own if column.kind == "category"}
    read = [name for name in columns if name not in words]
    return boundary(oracle, rows.records, rows.answers, read, settings["columns"], settings["grid"])


def _map_blocks(rows: Rows, places: maps.Floats, source: str, method: str, labels: bool) -> list[Block]:
    what = {
        "network": "Features: what the model's last layer reads.",
        "columns": "Features: the columns, numbers standardised; the model shows none of its own.",
        "texts": "Features: TF-IDF of the texts; the model shows none of its own.",
    }[source]
    by_label = "Test rows on a map ({method}), by label"
    by_value = "Test rows on a map ({method}), by whether the value is above the median"
    title = Phrase(by_label if labels else by_value, {"method": method})
    found: list[Block] = [Scatter(title, "", "", _points(places, rows.groups, rows.shown), what)]
    if labels:
        note = "Mistakes are named: row, label → answer. Sizes of clusters and gaps between them mean nothing."
        verdict = np.where(rows.wrong, "wrong", "right").tolist()
        found.append(Scatter("Where the mistakes lie", "", "", _points(places, verdict, rows.shown), note))
    return found


def _points(places: maps.Floats, groups: Sequence[str], names: Sequence[str]) -> tuple[Point, ...]:
    spots = [(round(x, DIGITS), round(y, DIGITS)) for x, y in places.tolist()]
    return tuple(Point(x, y, group, name) for (x, y), group, name in zip(spots, groups, names, strict=True))


def _boundary_blocks(cut: Boundary, rows: Rows, columns: tuple[str, str], labels: Sequence[str]) -> list[Block]:
    answers = [labels[place] for place in cut.answers.tolist()]
    sure = [f"{answer} {share:.2f}" for answer, share in zip(answers, cut.sure.tolist(), strict=True)]
    still = ", ".join(f"{name} = {value}" for name, value in sorted(cut.still.items()) if value is not None)
    title = Phrase("Answers over `{x}` and `{y}`", {"x": columns[0], "y": columns[1]})
    note: Any = Phrase("All other columns held still: {still}", {"still": still}) if still else ""
    grid = tuple(Point(x, y, *said) for (x, y), said in zip(cut.grid.tolist(), zip(answers, sure, strict=True),
                                                            strict=True))  # fmt: skip
    there = np.flatnonzero(cut.shown).tolist()
    verdict = np.where(rows.wrong, "wrong", "right")
    own = tuple(
        Point(float(cut.rows[place, 0]), float(cut.rows[place, 1]), str(verdict[place]), rows.shown[place])
        for place in there
    )
    under = "With their own values in all columns; rows beyond the 1 % and 99 % quantiles are left out."
    return [Scatter(title, *columns, grid, note), Scatter("The test rows over the same columns", *columns, own, under)]
