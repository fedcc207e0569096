"""Files of harness tasks: which a name means, and limits on what would never end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelyard.base.messages import t

MAX_BYTES = 16 << 20
MAX_NODES = 200_000
"""Keys and values together, each counted as often as it is named."""
MOST = 1000
"""Files that one task includes, each counted as often as it is named."""


def content(path: Path) -> bytes:
    """The bytes of a file. Raises OSError if it is no regular file (a device may have no end) or is too large."""
    if path.exists() and not path.is_file():
        raise OSError(0, t("not a regular file"))
    with path.open("rb") as file:
        found = file.read(MAX_BYTES + 1)
    if len(found) > MAX_BYTES:
        raise OSError(0, t("more than {n:,} bytes", n=MAX_BYTES))
    return found


def is_bounded(value: Any) -> bool:
    """Whether a walk through all of it ends soon: an alias may name what holds it, or double with each line."""
    left, seen = [value], 0
    while left:
        seen += 1
        one = left.pop()
        more = [*one, *one.values()] if isinstance(one, Mapping) else one if isinstance(one, list | tuple) else ()
        if seen + len(left) + len(more) > MAX_NODES:
            return False
        left += more
    return True


def named(folder: Path, name: str) -> Path:
    """A path as it is written; the home of a user nobody knows is a name like any other."""
    return folder / os.path.expanduser(name)


def matching(folder: Path, name: str) -> list[str]:
    """The local files that a name, perhaps with `*`, means."""
    if "://" in name:
        return []
    path = named(folder, name)
    if "*" in path.name:
        return [str(one.resolve()) for one in sorted(path.parent.glob(path.name)) if one.is_file()]
    return [str(path.resolve())] if path.is_file() else []
