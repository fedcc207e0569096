"""A cache of stamps under which an artifact's files were found right. It may be lost at any time."""

from __future__ import annotations

import json
from pathlib import Path

from modelyard.base import files
from modelyard.store.contents import Stamp


def read(path: Path) -> dict[str, Stamp]:
    """The stamps by file; empty if there is no memo, or none that can be read."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): (int(a), int(b), int(c), int(d)) for name, (a, b, c, d) in value.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def write(path: Path, stamps: dict[str, Stamp]) -> None:
    """Keep the stamps; where that fails, the next check reads the bytes instead."""
    try:
        files.write_cache(path, json.dumps(stamps).encode())
    except OSError:
        return


def forget(path: Path) -> None:
    path.unlink(missing_ok=True)
