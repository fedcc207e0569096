"""What can be said of a MongoDB filter by looking at it. Light: a stage file asks at start-up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCRIPTS = frozenset({"$where", "$function", "$accumulator"})


def script_in(query: Any) -> str:
    """The first operator in a filter that runs a script on the server; `` if there is none."""
    if isinstance(query, Mapping):
        for name, value in query.items():
            found = name if name in SCRIPTS else script_in(value)
            if found:
                return str(found)
    elif isinstance(query, list):
        return next((found for item in query if (found := script_in(item))), "")
    return ""
