"""How a model reads records: as its task does, after its texts are repaired as those it learned from were.

Repairs are the first thing that happens to a record, whatever the format: every opener takes its task from here. Tasks
whose answers are places in the text cannot have them, since repair moves places. What goes on from a text (a prompt, a
chat) is repaired in its letters only: its white space and markup say how it is to go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.runtimes.model_folder import FILE, ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.tasks import Task, find
from modelyard.methods.text import travelling
from modelyard.methods.text.repair import Repair

TEXTS = ("text", "prompt")
MESSAGES, CONTENT = "messages", "content"
GOES_ON = ("text-generation", "fill-mask")
"""Tasks whose records are texts to go on with."""
PLACED = ("token-classification",)
"""Tasks whose answers are places in the text."""


class Reading:
    """A task whose records are repaired before it reads them; in everything else the task."""

    def __init__(self, task: Task, repairs: tuple[Repair, ...]) -> None:
        self._task, self._repairs = task, repairs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._task, name)

    def values(self, records: Sequence[Record]) -> list[Any]:
        return self._task.values([repaired(self._repairs, record) for record in records])


def reading(card: ModelCard, task: Any = None) -> Any:
    """The task of a model, or `task` itself, as the model reads its records."""
    about = task or find(card.task)
    repairs = repairs_of(card)
    return Reading(about, repairs) if repairs else about


def repairs_of(card: ModelCard) -> tuple[Repair, ...]:
    """What is done to each text. Raises InputError if this version does not know it."""
    found = travelling.parse(card.repairs, FILE)
    return travelling.of_letters(found) if card.task in GOES_ON else found


def repairs_in(folder: Path) -> tuple[Repair, ...]:
    """Of the model in a folder; nothing where what answers is no model that we wrote."""
    return repairs_of(ModelCard.read(folder)) if (folder / FILE).exists() else ()


def repaired(repairs: Sequence[Repair], record: Record) -> Record:
    """A record with its texts repaired; whatever is no text is left for the task to refuse."""
    if not repairs or not isinstance(record, Mapping):
        return record
    found = dict(record)
    for name in TEXTS:
        if isinstance(found.get(name), str):
            found[name] = travelling.repaired(repairs, found[name])
    if isinstance(found.get(MESSAGES), list | tuple):
        found[MESSAGES] = [_turn(repairs, turn) for turn in found[MESSAGES]]
    return found


def _turn(repairs: Sequence[Repair], turn: Any) -> Any:
    if not isinstance(turn, Mapping) or not isinstance(turn.get(CONTENT), str):
        return turn
    return {**turn, CONTENT: travelling.repaired(repairs, turn[CONTENT])}


def problems(card: ModelCard, where: str) -> list[Problem]:
    """What is wrong with the repairs of a model; nothing if it has none."""
    try:
        found = travelling.parse(card.repairs, where)
    except InputError as error:
        return list(error.problems)
    if found and card.task in PLACED:
        return [Problem(where, t("repairs of texts move the places that {task} answers", task=card.task))]
    if found and card.task.startswith(("tabular-", "image-")):
        return [Problem(where, t("repairs of texts in a model that reads none"))]
    return []
