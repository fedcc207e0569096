"""The project file: from YAML (or a Python dict) to `Project`, with every problem in one pass."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath, read_yaml
from modelyard.core.artifact import SPLITS
from modelyard.core.project import Project, ReleaseSpec, Rule, SecretName, Step
from modelyard.engine.fields import Fields
from modelyard.engine.overrides import apply_sets
from modelyard.engine.source import Source
from modelyard.errors import Problem

FILE = "modelyard.yaml"
VERSION = 1
MAX_SEED = 2**32 - 1
"""What NumPy's legacy seeding accepts; every library takes less or as much."""

PROJECT_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
STEP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KEYS = ("version", "project", "seed", "steps", "release")
STEP_KEYS = ("uses", "with", "in", "seed")
RELEASE_KEYS = ("model", "rules")
RULE_KEYS = ("claim", "min", "max", "of", "on", "slice")
REPEATS = ("search", "folds")


@dataclass(frozen=True)
class ReadProject:
    """A project as read: not yet bound to stages.

    Attributes:
        project: without the steps and rules that are wrong in themselves; None if nothing usable was found.
        source: where things stand.
        problems: of all that was read.
        broken: names of the steps that were left out.
        rule_positions: where in the file's list each of the project's rules stands, from 0.
    """

    project: Project | None
    source: Source
    problems: list[Problem]
    broken: frozenset[str] = frozenset()
    rule_positions: tuple[int, ...] = ()


def project_path(path: Path) -> Path:
    """The project file itself, where a folder may be named instead."""
    return path / FILE if path.is_dir() else path


def read_project(path: Path, sets: Sequence[str] = ()) -> ReadProject:
    """Read a project file. Steps that are wrong in themselves are left out of the project; their problems are listed.

    Args:
        path: the file, or the folder that holds `modelyard.yaml`; called so in problems.
        sets: `--set` options, in order.
    """
    file = project_path(path)
    if not file.exists():
        remedy = t("`modelyard init` writes one; or name another file")
        problem = Problem(_shown(file), t("there is no project file"), FILE, remedy)
        return ReadProject(None, Source(), [problem])
    document = read_yaml(file, _shown(file))
    problems = list(document.problems)
    if not isinstance(document.value, Mapping):
        if not problems:
            expected = t("a mapping that begins with `version: 1`")
            problems.append(Problem(document.where(()), t("the file is empty or no mapping"), expected))
        return ReadProject(None, Source(document), problems)
    value, overrides, wrong = apply_sets(document.value, sets)
    fields = Fields(Source(document, overrides))
    fields.problems += [*problems, *wrong]
    return _project(value, file.absolute(), fields)


def _shown(file: Path) -> str:
    """The file as problems name it: relative where it lies below the current folder."""
    try:
        return file.absolute().relative_to(Path.cwd()).as_posix()
    except (ValueError, OSError):
        return str(file)


def read_project_dict(value: Mapping[str, Any], folder: Path, sets: Sequence[str] = ()) -> ReadProject:
    """The same from a Python dict; relative paths in settings start at `folder`. Tuples and paths are allowed."""
    changed, overrides, wrong = apply_sets(_plain(value), sets)
    fields = Fields(Source(None, overrides))
    fields.problems += wrong
    return _project(changed, folder.absolute() / FILE, fields)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _project(value: Mapping[str, Any], path: Path, fields: Fields) -> ReadProject:
    fields.known((), value, KEYS, t("the project"))
    _version(value, fields)
    name = _name(value, fields)
    seed = fields.whole(("seed",), value["seed"], 0, MAX_SEED) if "seed" in value else 0
    steps = tuple(_steps(value, fields))
    release, positions = _release(value["release"], fields) if "release" in value else (None, ())
    written = value.get("steps")
    broken = frozenset(written if isinstance(written, Mapping) else ()) - {step.name for step in steps}
    project = Project(name or "", steps, release, path, seed or 0)
    return ReadProject(project, fields.source, fields.problems, broken, positions)


def _version(value: Mapping[str, Any], fields: Fields) -> None:
    found = value.get("version")
    if "version" not in value:
        fields.note((), t("`version` is missing"), f"version: {VERSION}", t("write it at the top"))
    elif found != VERSION or isinstance(found, bool | float):
        fields.wrong(("version",), found, f"version: {VERSION}", t("a newer file needs a newer Modelyard"))


def _name(value: Mapping[str, Any], fields: Fields) -> str | None:
    expected = t("a name of lower-case letters, digits and hyphens, such as `reviews-zh`; releases bear it")
    if "project" not in value:
        fields.note((), t("`project` is missing"), expected)
        return None
    found = value["project"]
    if isinstance(found, str) and PROJECT_NAME.fullmatch(found):
        return found
    slug = re.sub(r"[^a-z0-9]+", "-", str(found).lower()).strip("-")[:64]
    remedy = t("for instance `{name}`", name=slug) if PROJECT_NAME.fullmatch(slug) else ""
    fields.wrong(("project",), found, expected, remedy)
    return None


def _steps(value: Mapping[str, Any], fields: Fields) -> Iterator[Step]:
    if not value.get("steps"):
        fields.note(("steps",), t("there are no steps"), t("`steps:` with at least one `name: {uses: stage}`"))
        return
    steps = fields.mapping(("steps",), value["steps"], "`steps`")
    for name, body in (steps or {}).items():
        path: KeyPath = ("steps", name)
        if not STEP_NAME.fullmatch(name):
            expected = t("a lower-case letter, then letters, digits, `_` or `-`; at most 64 in all")
            fields.note(path, t("`{name}` is no name for a step", name=name), expected)
        mapping = fields.mapping(path, body, t("the step `{name}`", name=name))
        if mapping is not None:
            kind = next((key for key in REPEATS if key in mapping), None)
            step = _repeat(name, kind, mapping, path, fields) if kind else _step(name, mapping, path, fields)
            if step is not None:
                yield step


def _repeat(name: str, kind: str, body: Mapping[str, Any], path: KeyPath, fields: Fields) -> Step | None:
    """A step that repeats others: its settings stand under `search` or `folds`."""
    others = [key for key in body if key != kind]
    for key in others:
        found = t("the step `{name}` has both `{kind}` and `{key}`", name=name, kind=kind, key=key)
        fields.note((*path, key), found, t("`{kind}: {{…}}` alone", kind=kind))
    settings = fields.mapping((*path, kind), body[kind], f"`{kind}`")
    if settings is None or others:
        return None
    value = {key: _setting((*path, kind, key), item, fields) for key, item in settings.items()}
    source = fields.source
    return Step(name, kind, value, {}, source.line(path), source.setting_lines((*path, kind)), kind)


def _step(name: str, body: Mapping[str, Any], path: KeyPath, fields: Fields) -> Step | None:
    what = t("the step `{name}`", name=name)
    fields.known(path, body, STEP_KEYS, what)
    settings = _settings((*path, "with"), body.get("with"), fields)
    inputs = _inputs((*path, "in"), body.get("in"), fields)
    expected = t("the name of a stage, such as `data.read` or `./my_stage.py`")
    if "uses" not in body:
        fields.note(path, t("{what} has no `uses`", what=what), expected, t("`modelyard stages` lists them"))
        return None
    uses = fields.text((*path, "uses"), body["uses"], expected)
    if uses is None:
        return None
    source = fields.source
    seed = fields.whole((*path, "seed"), body["seed"], 0, MAX_SEED) if "seed" in body else None
    return Step(name, uses, settings, inputs, source.line(path), source.setting_lines((*path, "with")), seed=seed)


def _settings(path: KeyPath, value: object, fields: Fields) -> Mapping[str, Any]:
    if value is None:
        return {}
    mapping = fields.mapping(path, value, "`with`")
    return {key: _setting((*path, key), item, fields) for key, item in (mapping or {}).items()}


def _setting(path: KeyPath, value: Any, fields: Fields) -> Any:
    """A setting with its secrets marked; what canonical JSON cannot hold is a problem."""
    if isinstance(value, Mapping):
        if set(value) == {"secret"}:
            return _secret(path, value["secret"], fields)
        return {key: _setting((*path, key), item, fields) for key, item in value.items()}
    if isinstance(value, list):
        return [_setting((*path, position), item, fields) for position, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        fields.note(path, t("`{key}` is not finite", key=path[-1]), t("a finite number"), of_value=True)
        return 0.0
    if not isinstance(value, str | int | float | SecretName | None):
        fields.note(path, t("a value of type {type}", type=type(value).__name__), t("text, a number, a list …"))
        return None
    return value


def _secret(path: KeyPath, name: object, fields: Fields) -> SecretName:
    if isinstance(name, str) and SECRET.fullmatch(name):
        return SecretName(name)
    expected = t("the name of a secret: letters, digits and `_`; its value never stands in the file")
    fields.note((*path, "secret"), t("that is no name of a secret"), expected, of_value=True)
    return SecretName("")


def _inputs(path: KeyPath, value: object, fields: Fields) -> Mapping[str, tuple[str, ...]]:
    if value is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for port, item in (fields.mapping(path, value, "`in`") or {}).items():
        names = item if isinstance(item, list) else [item]
        if names and all(isinstance(name, str) and name for name in names):
            found[port] = tuple(names)
        else:
            fields.wrong((*path, port), item, t("`step` or `step.port`, or a list of them"))
    return found


def _release(value: object, fields: Fields) -> tuple[ReleaseSpec | None, tuple[int, ...]]:
    path: KeyPath = ("release",)
    mapping = fields.mapping(path, value, "`release`")
    if mapping is None:
        return None, ()
    fields.known(path, mapping, RELEASE_KEYS, "`release`")
    expected = t("the step whose model is released")
    model = None
    if "model" in mapping:
        model = fields.text((*path, "model"), mapping["model"], expected)
    else:
        fields.note(path, t("`release` has no `model`"), expected)
    rules = dict(_rules((*path, "rules"), mapping.get("rules"), fields))
    if model is None:
        return None, ()
    return ReleaseSpec(model, tuple(rules.values()), fields.source.line(path)), tuple(rules)


def _rules(path: KeyPath, value: object, fields: Fields) -> Iterator[tuple[int, Rule]]:
    if value is None:
        return
    if not isinstance(value, list):
        fields.wrong(path, value, t("a list of `{claim: …, min: …}`"))
        return
    for position, item in enumerate(value):
        here: KeyPath = (*path, position)
        mapping = fields.mapping(here, item, t("rule {number}", number=position + 1))
        rule = _rule(mapping, here, fields) if mapping is not None else None
        if rule is not None:
            yield position, rule


def _rule(value: Mapping[str, Any], path: KeyPath, fields: Fields) -> Rule | None:
    fields.known(path, value, RULE_KEYS, t("a rule"))
    before = len(fields.problems)
    claim = None
    if "claim" in value:
        claim = fields.text((*path, "claim"), value["claim"], t("the name of a claim, such as `quality.accuracy`"))
    else:
        fields.note(path, t("the rule names no `claim`"), t("the name of a claim, such as `quality.accuracy`"))
    bounds = {key: fields.number((*path, key), value[key]) for key in ("min", "max") if key in value}
    if len(bounds) != 1:
        found = t("the rule has both `min` and `max`") if bounds else t("the rule has no bound")
        fields.note(path, found, t("exactly one of `min` and `max`"), t("two bounds are two rules") if bounds else "")
    of = fields.text((*path, "of"), value["of"], t("`step` or `step.port`")) if "of" in value else None
    on = _on((*path, "on"), value["on"], fields) if "on" in value else "test"
    part = _slice((*path, "slice"), value["slice"], fields) if "slice" in value else {}
    if len(fields.problems) > before or claim is None:
        return None
    return Rule(claim, bounds.get("min"), bounds.get("max"), of, on, part, fields.source.line(path))


def _on(path: KeyPath, value: object, fields: Fields) -> str:
    if isinstance(value, str) and value in SPLITS:
        return value
    fields.wrong(path, value, t("one of: {known}", known=", ".join(SPLITS)), did_you_mean(str(value), list(SPLITS)))
    return "test"


def _slice(path: KeyPath, value: object, fields: Fields) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for key, item in (fields.mapping(path, value, "`slice`") or {}).items():
        if isinstance(item, bool):
            found[key] = "true" if item else "false"
        elif isinstance(item, str | int | float):
            found[key] = str(item)
        else:
            fields.wrong((*path, key), item, t("the value of the column `{column}`", column=key))
    return found
