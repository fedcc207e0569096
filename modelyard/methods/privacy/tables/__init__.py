"""Facts that recognisers look up: regions, names. Files beside this one; each names its source."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """The content of `NAME.json`."""
    value: dict[str, Any] = json.loads((Path(__file__).parent / f"{name}.json").read_text(encoding="utf-8"))
    return value


def regions() -> dict[str, Any]:
    """GB/T 2260: `codes`, four digits to the two-digit ends; `names` by level, parted by spaces."""
    return table("regions")


def words(name: str, key: str) -> frozenset[str]:
    """The words of one entry of a table, parted by spaces."""
    return frozenset(table(name)[key].split())
