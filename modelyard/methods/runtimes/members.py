"""The members of an ensemble: whole model folders in subfolders, each checked like any model before it is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.runtimes import combination
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.safetensors_header import header_problem

FORMAT = "ensemble"
PREPROCESSING = {"kind": "members"}
"""An ensemble reads nothing itself: each member reads the record."""
STACK = "stack.safetensors"
MAX_MEMBERS = 100
MAX_DEPTH = 3
"""Ensembles of ensembles of models, no deeper."""

Check = Callable[[Path, ModelCard], list[Problem]]


def names(card: ModelCard) -> list[str]:
    """Folders of the members, as model.json has them. Raises ValueError if that is no list of distinct names."""
    found: Any = card.network.get("members")
    listed = isinstance(found, list) and all(isinstance(name, str) and name for name in found)
    if not listed or not 0 < len(found) <= MAX_MEMBERS or len(set(found)) != len(found):
        raise ValueError(t("`members` is no list of 1 to {count} folders", count=MAX_MEMBERS))
    return list(found)


def problems(folder: Path, card: ModelCard, check: Check, depth: int = 1) -> list[Problem]:
    """Everything wrong with an ensemble that can be seen without opening a member.

    Args:
        check: finds what is wrong with the folder of a member that is no ensemble itself.
    """
    where = str(folder / "model.json")
    try:
        found = names(card)
    except ValueError as error:
        return [Problem(where, str(error), '{"members": ["members/1", …]}')]
    wrong = combination.problem(card.network, card.task, len(found))
    if wrong:
        return [Problem(where, wrong, ", ".join(combination.KINDS), t("combine the models again"))]
    wrong = _stack_problem(folder / STACK) if card.network["kind"] == "stack" else ""
    if wrong:
        return [Problem(str(folder / STACK), wrong, t("a sound safetensors file"), t("copy the whole folder again"))]
    return [problem for name in found for problem in _member(folder, name, card, check, depth)]


def _stack_problem(path: Path) -> str:
    return (header_problem(path) or "") if path.is_file() else t("`{name}` is missing", name=path.name)


def _member(folder: Path, name: str, card: ModelCard, check: Check, depth: int) -> Iterator[Problem]:
    """The name first: nothing outside the folder is looked at."""
    windows = PureWindowsPath(name)
    rooted = windows.drive or windows.root or PurePosixPath(name).is_absolute()
    if rooted or not windows.parts or ".." in windows.parts or "\0" in name:
        found = t("`{name}` is not a path inside the folder", name=name)
        remedy = t("do not use this model: its files point elsewhere")
        yield Problem(str(folder), found, t("a folder inside the folder"), remedy)
        return
    path = folder / name
    try:
        member = ModelCard.read(path)
    except InputError as error:
        yield from error.problems
        return
    except OSError as error:
        yield Problem(str(path), t("cannot be read: {reason}", reason=error.strerror or error))
        return
    yield from _unfit(path, member, card)
    if member.format != FORMAT:
        yield from check(path, member)
    elif depth >= MAX_DEPTH:
        yield Problem(str(path), t("ensembles of ensembles, more than {depth} deep", depth=MAX_DEPTH))
    else:
        yield from problems(path, member, check, depth + 1)


def _unfit(path: Path, member: ModelCard, card: ModelCard) -> Iterator[Problem]:
    where = str(path / "model.json")
    if member.task != card.task:
        found = t("a member is for {found}, the ensemble for {task}", found=member.task, task=card.task)
        yield Problem(where, found, t("members of one task"))
    if sorted(member.labels) != sorted(card.labels):
        other = sorted(set(member.labels) ^ set(card.labels))[:5]
        found = t("a member has other labels; not in both: {labels}", labels=", ".join(other))
        yield Problem(where, found, ", ".join(card.labels[:10]))
