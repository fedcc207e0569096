"""`--set steps.classifier.with.epochs=2`: one value of the project, for this call only.

Settings, inputs and the seed can be set; rules and the release cannot, because what a release must hold is written
down where everybody sees it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath, parse_scalar
from modelyard.errors import Problem

FORM = "steps.STEP.with.SETTING=VALUE"


def apply_sets(
    value: Mapping[str, Any], sets: Sequence[str]
) -> tuple[dict[str, Any], dict[KeyPath, str], list[Problem]]:
    """The project's raw value with each `path=value` written into it, in order; the last of equal paths counts.

    Returns the new value, which paths were written by which option, and the problems.
    """
    changed: dict[str, Any] = copy.deepcopy(dict(value))
    overrides: dict[KeyPath, str] = {}
    problems: list[Problem] = []
    for option in sets:
        path = _apply(changed, option, problems)
        if path is not None:
            overrides[path] = option
    return changed, overrides, problems


def _apply(value: dict[str, Any], option: str, problems: list[Problem]) -> KeyPath | None:
    where = f"--set {option}"
    name, equals, text = option.partition("=")
    parts = name.strip().split(".")
    if not equals or not all(parts):
        problems.append(Problem(where, t("not of the form `path=value`"), FORM))
        return None
    new, wrong = parse_scalar(text)
    if wrong is not None:
        problems.append(Problem(where, wrong, t("a YAML value, such as 2, true, text or [a, b]")))
        return None
    if parts == ["seed"]:
        value["seed"] = new
        return ("seed",)
    if not _allowed(value, parts, where, problems):
        return None
    return _write(value, parts, new, where, problems)


def _allowed(value: Mapping[str, Any], parts: list[str], where: str, problems: list[Problem]) -> bool:
    if parts[0] != "steps":
        known = ["seed", "steps"]
        remedy = did_you_mean(parts[0], known)
        problems.append(Problem(where, t("`{key}` cannot be set", key=parts[0]), f"{FORM}, seed=NUMBER", remedy))
        return False
    steps = value.get("steps")
    names = list(steps) if isinstance(steps, Mapping) else []
    if len(parts) > 1 and parts[1] not in names:
        found = t("there is no step `{step}`", step=parts[1])
        problems.append(Problem(where, found, remedy=did_you_mean(parts[1], names)))
        return False
    if parts[2:] != ["seed"] and (len(parts) < 4 or parts[2] not in ("with", "in")):
        remedy = did_you_mean(parts[2], ["with", "in", "seed"]) if len(parts) > 2 else ""
        problems.append(Problem(where, t("not the path of a setting or an input"), FORM, remedy))
        return False
    return True


def _write(value: dict[str, Any], parts: list[str], new: Any, where: str, problems: list[Problem]) -> KeyPath | None:
    holder: Any = value
    path: list[str | int] = []
    for part in parts[:-1]:
        key = _key(holder, part)
        path.append(part if key is None else key)
        if isinstance(holder, dict) and holder.get(part) is None:
            holder[part] = {}
        holder = holder[key] if key is not None else None
    last = _key(holder, parts[-1])
    if last is None:
        found = t("`{path}` holds no settings of its own", path=".".join(parts[:-1]))
        problems.append(Problem(where, found, t("a mapping, or a position in a list")))
        return None
    holder[last] = new
    return (*path, last)


def _key(holder: Any, part: str) -> str | int | None:
    """How `part` is looked up in `holder`: a key, a position, or not at all."""
    if isinstance(holder, dict):
        return part
    if isinstance(holder, list) and part.isascii() and part.isdigit() and int(part) < len(holder):
        return int(part)
    return None
