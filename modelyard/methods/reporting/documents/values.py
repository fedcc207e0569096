"""Values of a document that nobody vouches for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

LARGEST = 1e300


def maps(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; others are left out."""
    return [one for one in items_of(value) if isinstance(one, Mapping)]


def items_of(value: Any) -> list[Any]:
    """A list, or an empty one."""
    return value if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """A finite number that can be drawn; a whole number may be too large to be one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -LARGEST < value < LARGEST:
        return None
    return float(value) if math.isfinite(value) else None
