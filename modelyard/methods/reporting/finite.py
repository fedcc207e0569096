"""Numbers that are not finite: a page shows none, and says where they were."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def finite(value: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The record with null for every number that is not finite, and where those were."""
    places: list[str] = []
    clean: dict[str, Any] = _finite(dict(value), "", places)
    return clean, places


def _finite(value: Any, place: str, places: list[str]) -> Any:
    """`value` with null for every number that is not finite; their places are appended to `places`."""
    if isinstance(value, float) and not math.isfinite(value):
        places.append(place)
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item, f"{place}.{key}".lstrip("."), places) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item, f"{place}[{index}]", places) for index, item in enumerate(value)]
    return value
