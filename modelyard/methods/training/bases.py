"""The base that a setting names, as the key of a step sees it. Light: stages import it when they are listed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from modelyard.base.canonical import Json

SCRATCH = "scratch"


class HasBase(Protocol):
    """Settings with a base."""

    @property
    def base(self) -> str:
        """`scratch`, a folder, or an id of a hub."""
        ...


def fingerprint(config: HasBase, base: Path) -> Json:
    """Digest of every file of the base; nothing from scratch.

    Args:
        base: folder that relative paths start from.
    """
    if config.base == SCRATCH:
        return SCRATCH
    from modelyard.methods.training import pretrained

    return pretrained.fingerprint(config.base, base)
