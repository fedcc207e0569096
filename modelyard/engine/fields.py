"""Checks that every mapping in a project or profile file shares: known keys, right types, all problems at once."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath
from modelyard.core.project import SecretName
from modelyard.engine.source import Source
from modelyard.errors import Problem


def shown(value: object, limit: int = 60) -> str:
    """A value as it is quoted in a problem: JSON, cut short; a secret by its name."""
    if isinstance(value, SecretName):
        value = {"secret": value.secret}
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def kind_of(value: object) -> str:
    """What a value is, in words of YAML."""
    if value is None:
        return t("nothing")
    if isinstance(value, bool):
        return t("true or false")
    if isinstance(value, int | float):
        return t("a number")
    if isinstance(value, str):
        return t("text")
    return t("a list") if isinstance(value, Sequence) else t("a mapping")


class Fields:
    """Reads mappings and gathers problems, each with its place. One for a file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []

    def note(self, path: KeyPath, found: str, expected: str = "", remedy: str = "", of_value: bool = False) -> None:
        self.problems.append(Problem(self.source.where(path, of_value), found, expected, remedy))

    def wrong(self, path: KeyPath, value: object, expected: str, remedy: str = "") -> None:
        """The value at `path` is not what it should be."""
        if value is None:
            found = t("`{key}` has no value", key=path[-1] if path else "")
        else:
            found = t("`{key}` is {value}", key=path[-1] if path else "", value=shown(value))
        self.note(path, found, expected, remedy, of_value=True)

    def mapping(self, path: KeyPath, value: object, what: str) -> Mapping[str, Any] | None:
        """`value` if it is a mapping; else a problem and None."""
        if isinstance(value, Mapping):
            return value
        found = t("{what} is {kind}", what=what, kind=kind_of(value))
        self.note(path, found, t("a mapping (`key: value`)"), of_value=True)
        return None

    def known(self, path: KeyPath, value: Mapping[str, Any], keys: Sequence[str], what: str) -> None:
        """A problem for each key that is not one of `keys`."""
        for key in value:
            if key not in keys:
                found = t("unknown key `{key}` in {what}", key=key, what=what)
                self.note((*path, key), found, remedy=did_you_mean(key, list(keys)))

    def text(self, path: KeyPath, value: object, expected: str) -> str | None:
        """`value` if it is text that is not empty; else a problem and None."""
        if isinstance(value, str) and value.strip():
            return value
        self.wrong(path, value, expected)
        return None

    def whole(self, path: KeyPath, value: object, low: int, high: int) -> int | None:
        """`value` if it is a whole number in the limits; else a problem and None."""
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        self.wrong(path, value, t("a whole number from {low} to {high}", low=low, high=high))
        return None

    def number(self, path: KeyPath, value: object) -> float | None:
        """`value` if it is a finite number; else a problem and None."""
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        self.wrong(path, value, t("a finite number"))
        return None
