"""A search space: which values each setting may take."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.engine.repeat.settings import Choices, Span

MAX_GRID = 10_000


@dataclass(frozen=True)
class Dimension:
    """One setting to search: either `choices` or the numbers from `low` to `high`.

    Attributes:
        path: `step.setting`.
        whole: only whole numbers.
        log: spread evenly over orders of magnitude.
        step: distance of neighbours from `low` on; None: every number.
    """

    path: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    whole: bool = False
    log: bool = False
    step: float | None = None

    @property
    def member(self) -> str:
        return self.path.partition(".")[0]

    @property
    def setting(self) -> tuple[str, ...]:
        return tuple(self.path.split(".")[1:])

    def values(self) -> list[Json] | None:
        """Every value in order; None if there are too many to count."""
        if self.choices:
            return list(self.choices)
        stride = self.step or (1 if self.whole else None)
        if stride is None or (self.high - self.low) / stride > MAX_GRID:
            return None
        return [self._number(self.low + place * stride) for place in range(self._strides(stride) + 1)]

    def draw(self, share: float) -> Json:
        """The value at a share of the way, 0 <= share < 1; equal shares of [0, 1) for equal chances."""
        values = self.values() if not self.log else None
        if values is not None:
            return values[int(share * len(values))]
        if self.whole:
            low, high = (math.log(self.low), math.log(self.high + 1)) if self.log else (self.low, self.high + 1)
            value = low + share * (high - low)
            return min(int(math.exp(value) if self.log else value), int(self.high))
        if self.log:
            return self.number(math.exp(math.log(self.low) + share * (math.log(self.high) - math.log(self.low))))
        return self.number(self.low + share * (self.high - self.low))

    def _strides(self, stride: float) -> int:
        return math.floor((self.high - self.low) / stride + 1e-9)

    def number(self, value: float) -> int | float:
        """A value inside the range, whole if it must be, with six digits: enough, and alike on every machine."""
        if self.whole:
            return round(value)
        return min(max(float(f"{value:.6g}"), float(self.low)), float(self.high))

    def _number(self, value: float) -> int | float:
        return round(value) if self.whole else float(f"{value:.12g}")


def dimension(path: str, given: Span | Choices | Sequence[Any], types: frozenset[str]) -> Dimension | str:
    """A dimension from what the project says, or what is wrong with it.

    A list of two numbers is a range if the setting is a number, else two choices.

    Args:
        types: JSON Schema types the setting takes.
    """
    if isinstance(given, Choices):
        return Dimension(path, choices=given.choices)
    if isinstance(given, Span):
        return _range(path, given, types)
    numeric = bool(types & {"integer", "number"})
    if len(given) == 2 and numeric and all(_is_number(value) for value in given):
        low, high = given
        if not low < high:
            return t("[low, high] with low less than high; two values to choose from are `{{choices: [{a}, {b}]}}`",
                     a=low, b=high)  # fmt: skip
        return _range(path, Span.model_construct(low=low, high=high, log=False, step=None), types)
    return Dimension(path, choices=tuple(given))


def _range(path: str, span: Span, types: frozenset[str]) -> Dimension | str:
    if not types & {"integer", "number"}:
        return t("a list of choices: this setting is no number")
    parts = [part for part in (span.low, span.high, span.step) if part is not None]
    whole = "integer" in types and all(isinstance(part, int) for part in parts)
    if not whole and "number" not in types:
        return t("whole numbers")
    return Dimension(path, (), span.low, span.high, whole, span.log, span.step)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def types_at(schema: Mapping[str, Any], setting: Sequence[str]) -> frozenset[str]:
    """JSON Schema types that a setting takes; empty if the path leads nowhere known."""
    blocks: list[Mapping[str, Any]] = [schema]
    for part in setting:
        blocks = [
            found
            for block in blocks
            for found in _branches(block.get("properties", {}).get(part) or _items(block, part), schema)
        ]
    return frozenset(_types(blocks))


def _items(block: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    items = block.get("items") if part.isdigit() else block.get("additionalProperties")
    return items if isinstance(items, Mapping) else {}


def _branches(block: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A schema without references and unions: each form that it allows."""
    if "$ref" in block:
        yield from _branches(schema.get("$defs", {}).get(block["$ref"].rpartition("/")[2], {}), schema)
        return
    parts = [part for key in ("anyOf", "oneOf", "allOf") for part in block.get(key, ())]
    if parts:
        for part in parts:
            yield from _branches(part, schema)
    elif block:
        yield block


def _types(blocks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for block in blocks:
        kind = block.get("type")
        yield from [kind] if isinstance(kind, str) else kind or ()


def with_values(settings: Mapping[str, Any], values: Mapping[tuple[str, ...], Json]) -> dict[str, Any]:
    """Settings with some of them, by path, replaced; blocks on the way are made where they are missing."""
    changed = dict(settings)
    for path, value in values.items():
        _put(changed, path, value)
    return changed


def _put(block: dict[str, Any], path: tuple[str, ...], value: Json) -> None:
    if len(path) == 1:
        block[path[0]] = value
        return
    below = block.get(path[0])
    block[path[0]] = dict(below) if isinstance(below, Mapping) else {}
    _put(block[path[0]], path[1:], value)


def random_values(space: Sequence[Dimension], seed: int, number: int) -> dict[str, Json]:
    """The values of one random trial: a function of seed, trial and setting alone."""
    draws = {item.path: random.Random(f"{seed} search {number} {item.path}").random() for item in space}
    return {item.path: item.draw(draws[item.path]) for item in space}
