"""Choices made by measuring, written down once and followed by every later start of the same run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelyard.base import files
from modelyard.base.canonical import canonical_json

FILE = "choices.json"


def recall(scratch: Path) -> dict[str, Any]:
    """What was written down; empty for a new run."""
    path = scratch / FILE
    if not path.exists():
        return {}
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def remember(scratch: Path, **choices: Any) -> None:
    """Write choices down beside those that are there."""
    scratch.mkdir(parents=True, exist_ok=True)
    files.write_atomic(scratch / FILE, canonical_json({**recall(scratch), **choices}))
