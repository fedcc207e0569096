"""One measured quantity, as every family of tasks gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Interval = tuple[float, float]


@dataclass(frozen=True)
class Estimate:
    """One measured quantity.

    Attributes:
        name: `accuracy`, `f1_macro`, … : the claim without its family.
        value: the point; interval: 95 %, None where the rows carry none; n: rows it rests on.
        slice: `{"class": label}` or `{"k": "5"}`; empty for everything.
        unit: as its claim says.
    """

    name: str
    value: float
    interval: Interval | None
    n: int
    slice: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""


def as_json(one: Estimate | None) -> dict[str, Any] | None:
    """`{value, interval, n}`, or None."""
    if one is None:
        return None
    return {"value": one.value, "interval": list(one.interval) if one.interval else None, "n": one.n}
