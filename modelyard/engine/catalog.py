"""Stages by name. A stage's name is its path: `data.read` is `modelyard/stages/data/read.py`.

Three places, in this order: files beside the project (`./my_stage.py`), the stages folder, and the entry-point group
`modelyard.stages` of installed packages. Names are listed by listing files; only the stage asked for is imported.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from modelyard.base.canonical import digest_bytes
from modelyard.base.files import is_file
from modelyard.base.messages import did_you_mean, t
from modelyard.core.stage import Stage
from modelyard.engine.stage_rules import stage_problems
from modelyard.errors import ModelyardError, Problem

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PACKAGE = "modelyard.stages"
GROUP = "modelyard.stages"
FOLDER = Path(__file__).resolve().parent.parent / "stages"


@dataclass(frozen=True)
class FoundStage:
    """A stage and where it came from.

    Attributes:
        name: as rules about families see it: `data.read`; of `./evaluate/mine.py` it is `evaluate.mine`.
        uses: as the project names it.
        stage: its STAGE.
        path: the source file.
    """

    name: str
    uses: str
    stage: Stage
    path: Path


def names() -> list[str]:
    """Every installed stage, in alphabetical order, without importing one."""
    return sorted({*_own_names(), *_entry_points()})


@cache
def _own_names() -> tuple[str, ...]:
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            found.append(".".join(parts))
    return tuple(found)


@cache
def _entry_points() -> dict[str, EntryPoint]:
    from importlib import metadata  # brings the e-mail parser with it: not for projects that need no other's stage

    return {point.name: point for point in metadata.entry_points(group=GROUP)}


def find(uses: str, folder: Path, where: str = "") -> tuple[FoundStage | None, list[Problem]]:
    """The stage that a step's `uses` names, or what is wrong with it.

    Args:
        uses: `data.read`, or `./my_stage.py` relative to `folder`.
        folder: the project's.
        where: the place of `uses` in the project file.
    """
    if is_path(uses):
        return _from_file(uses, folder, where)
    if uses in _own_names():
        return _checked(uses, f"{PACKAGE}.{uses}", where)
    point = _entry_points().get(uses)
    if point is not None:
        return _checked(uses, point.module, where, point.attr)
    remedy = did_you_mean(uses, names())
    if uses.endswith(".py"):
        remedy = t("a file of your own begins with `./`: `./{file}`", file=uses)
    return None, [Problem(where, t("there is no stage `{name}`", name=uses), remedy=remedy)]


def is_path(uses: str) -> bool:
    return uses.startswith(("./", "../"))


def stages_measuring(claim: str) -> list[str]:
    """Installed stages that can measure a claim. Imports them all: for remedies, not for the way that succeeds."""
    found = []
    for name in names():
        stage, _ = find(name, Path())
        if stage is not None and any(item.name == claim for item in stage.stage.claims):
            found.append(name)
    return found


def _checked(name: str, module_name: str, where: str, attribute: str = "") -> tuple[FoundStage | None, list[Problem]]:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        return None, [_broken(name, error, where, None)]
    path = Path(module.__file__ or "")
    stage = getattr(module, attribute or "STAGE", None)
    return _accept(name, name, stage, path, str(path))


def _accept(name: str, uses: str, stage: object, path: Path, shown: str) -> tuple[FoundStage | None, list[Problem]]:
    if not isinstance(stage, Stage):
        found = t("the stage has no `STAGE`") if stage is None else t("`STAGE` is no Stage")
        return None, [Problem(f"{shown}:1", found, t("STAGE = Stage(config=Config, run=run, …)"))]
    problems = stage_problems(name, stage, f"{shown}:{_line_of_stage(path)}")
    return (None, problems) if problems else (FoundStage(name, uses, stage, path), [])


def _line_of_stage(path: Path) -> int:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith("STAGE")), 1)


def _from_file(uses: str, folder: Path, where: str) -> tuple[FoundStage | None, list[Problem]]:
    path = Path(os.path.realpath(folder / uses))
    if not is_file(path) or path.suffix != ".py":
        near = sorted(item.name for item in path.parent.glob("*.py")) if path.parent.is_dir() else []
        found = t("there is no file `{file}`", file=uses)
        return None, [
            Problem(where, found, t("a Python file, relative to the project file"), did_you_mean(path.name, near))
        ]
    module, problems = _load_file(path, uses, where)
    if module is None:
        return None, problems
    parts = [part for part in Path(uses).with_suffix("").parts if part not in (".", "..")]
    return _accept(".".join(parts), uses, getattr(module, "STAGE", None), path, uses)


def _load_file(path: Path, uses: str, where: str) -> tuple[ModuleType | None, list[Problem]]:
    """Run a user's file as a module of its own, anew whenever its bytes changed; no bytecode is left behind.

    Bytecode files are passed by on purpose: they are matched by size and whole seconds, so an edit can be missed.
    """
    try:
        source = path.read_bytes()
    except OSError as error:
        return None, [Problem(where, t("cannot be read: {reason}", reason=error.strerror or error))]
    digest = digest_bytes(str(path).encode() + b"\0" + source).removeprefix("sha256:")[:16]
    name = f"modelyard_project_stage_{digest}"
    if name in sys.modules:
        return sys.modules[name], []
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    try:
        exec(compile(source, str(path), "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        return None, [_broken(uses, error, where, path)]
    return module, []


def _broken(name: str, error: Exception | SystemExit, where: str, path: Path | None) -> Problem:
    """A stage that cannot be imported, at the line that fails: in the user's file, where there is one."""
    if isinstance(error, SyntaxError):
        place = f"{name if path else error.filename}:{error.lineno or 1}"
        return Problem(place, t("not Python: {reason}", reason=error.msg))
    if isinstance(error, ModelyardError):
        return error.problems[0]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if path is None or frame.filename == str(path)]
    last = (own or frames)[-1]
    place = f"{name}:{last.lineno}" if path else f"{last.filename}:{last.lineno}"
    found = t("the stage `{name}` cannot be loaded: {kind}: {error}", name=name, kind=type(error).__name__, error=error)
    return Problem(place, found, remedy=t("it is used at {where}", where=where) if where else "")
