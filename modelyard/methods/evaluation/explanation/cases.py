"""Rows to explain: the surest mistakes, and a sample that stands for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation.explanation.game import Floats, Game, Oracle, Players
from modelyard.methods.evaluation.explanation.players import ImagePlayers, TablePlayers, TextPlayers
from modelyard.methods.evaluation.measuring.examples import Examples, Row
from modelyard.methods.evaluation.measuring.judged import judged
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.runtimes.reading import repaired, repairs_of

TASKS = (
    "image-classification", "tabular-classification", "tabular-regression", "text-classification", "text-regression",
)  # fmt: skip
"""Tasks with one answer a record, of scores or of a number."""


FEWEST = 5
"""Rows of a group that is compared."""


@dataclass(frozen=True)
class Case:
    """A row to explain.

    Attributes:
        target: the output that is explained: the label the model gave.
        truth: what would have been right, as it is shown.
        answer: what the model said, as it is shown.
        sampled: whether it belongs to the sample, which measures explanations; else it is a chosen mistake.
    """

    row_id: str
    record: Record
    players: Players
    target: int
    truth: str
    answer: str
    sampled: bool

    def game(self, oracle: Oracle) -> Game:
        return Game(self.players, oracle, self.target)


@dataclass(frozen=True)
class Cut:
    """How rows are cut into players.

    Attributes:
        background: rows of train that stand for absent columns.
    """

    columns: tuple[str, ...]
    background: tuple[Record, ...]
    most: int
    grid: int
    channels: int

    def players(self, record: Record) -> Players:
        if self.columns:
            return TablePlayers(record, self.columns, self.background)
        if "image" in record:
            return ImagePlayers.of(record["image"], self.channels, self.grid)
        return TextPlayers.of(str(record["text"]), self.most)


def refuse_unexplained(card: ModelCard) -> None:
    """Raises InputError for a task whose answers are not one label or one number."""
    if card.task not in TASKS:
        raise InputError(
            t("models of the task `{task}` are not explained yet", task=card.task), expected=", ".join(TASKS)
        )


def columns_of(folder: Path, card: ModelCard, data: Dataset) -> tuple[str, ...]:
    """The columns a model of tables reads; empty for texts and pictures."""
    if not card.task.startswith("tabular-"):
        return ()
    there = tuple(one.name for one in data.columns if one.role in ("feature", "user", "subject", "group", "time"))
    if card.format == "ensemble":
        return tuple(one.name for one in data.columns if one.role == "feature")
    own = getattr(preprocessing.load(folder, card.preprocessing), "columns", ())
    return tuple(column.name for column in own) or there


def channels_of(card: ModelCard) -> int:
    return int(card.preprocessing.get("channels", 3))


def examples_of(data: Dataset, split: str, card: ModelCard) -> Examples:
    """Rows of a split that can be judged, their texts as the model reads them: repaired, so that places in them are
    places of its tokens. Raises InputError for labels that the model does not know."""
    examples, repairs = judged(data, split, card.task, card.labels), repairs_of(card)
    if not repairs:
        return examples
    fields = examples.reader.fields

    def record(row: Row) -> Record | None:
        found = fields.record(row)
        return None if found is None else repaired(repairs, found)

    return replace(examples, reader=replace(examples.reader, fields=replace(fields, record=record)))


def sample(row_ids: Sequence[str], most: int, seed: int, purpose: str) -> list[int]:
    """Places of at most so many rows, by their ids, in the split's order."""
    return sorted(np.argsort(ranks(seed, purpose, list(row_ids)), kind="stable")[:most].tolist())


def with_groups(row_ids: Sequence[str], groups: Sequence[str], most: int, seed: int, purpose: str) -> list[int]:
    """As `sample`, but the largest groups have FEWEST rows each, as many of them as fit, where the data has them.

    Rows of the groups that have most give way to the next rows of those that have too few.

    Args:
        groups: of each row.
    """
    order = np.argsort(ranks(seed, purpose, list(row_ids)), kind="stable").tolist()
    taken, left = order[:most], order[most:]
    sizes = Counter(groups)
    fitting = [name for name, size in sizes.most_common() if size >= FEWEST][: most // FEWEST]
    counts = Counter(groups[place] for place in taken)
    for name in fitting:
        for place in [one for one in left if groups[one] == name][: max(0, FEWEST - counts[name])]:
            giving = _giving(counts, fitting)
            taken.remove(next(one for one in reversed(taken) if groups[one] == giving))
            taken.append(place)
            counts[giving] -= 1
            counts[name] += 1
    return sorted(taken)


def _giving(counts: Counter[str], fitting: Sequence[str]) -> str:
    """The group with most rows to spare: one of those that do not fit has all its rows to spare."""
    spare = {name: count - FEWEST * (name in fitting) for name, count in counts.items() if count}
    return max(sorted(spare), key=lambda name: spare[name])


def losses(outputs: Floats, truths: Sequence[Any], labels: Sequence[str]) -> Floats:
    """How sure and wrong each answer is [n]: the score of a wrong label, 0 for right ones; or the absolute error."""
    if not labels:
        return np.abs(outputs[:, 0] - np.array(truths, np.float64))
    wrong = np.array([labels[place] for place in outputs.argmax(1)]) != np.array([str(truth) for truth in truths])
    return np.where(wrong, outputs.max(1), 0.0)


def chosen(
    examples: Examples, outputs: Floats, labels: Sequence[str], cut: Cut, mistakes: int, sampled: int, seed: int,
    group: str | None = None,
) -> list[Case]:  # fmt: skip
    """The surest mistakes, then the sample; a row that is both stands in the sample only.

    Args:
        group: a column whose groups the sample should hold enough rows of.
    """
    if group:
        values = [str(value) for value in examples.column(group)]
        of_sample = with_groups(examples.row_ids, values, sampled, seed, "explanation")
    else:
        of_sample = sample(examples.row_ids, sampled, seed, "explanation")
    loss = losses(outputs, examples.truths, labels)
    order = [place for place in np.argsort(-loss, kind="stable").tolist() if loss[place] > 0]
    wrong = [place for place in order if place not in set(of_sample)][:mistakes]
    found = []
    for place, record in zip([*wrong, *of_sample], examples.pick([*wrong, *of_sample]), strict=True):
        target = int(outputs[place].argmax()) if labels else 0
        answer = labels[target] if labels else f"{outputs[place, 0]:.4g}"
        truth = examples.truths[place]
        shown = str(truth) if labels else f"{float(truth):.4g}"
        players = cut.players(record)
        found.append(Case(examples.row_ids[place], record, players, target, shown, answer, place in set(of_sample)))
    return found
