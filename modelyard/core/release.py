"""Releases: a model artifact with its evidence, decision, card and signature, under a name and a version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["draft", "released"]


@dataclass(frozen=True)
class Release:
    """What the ledger knows of a release.

    Attributes:
        name: the project's name.
        version: 1, 2, 3 … dense per name, from a counter.
        state: `draft` without rules, `released` when every rule passed.
        model: digest of the model artifact.
        bundle: digest of the sealed bundle artifact.
        decision: digest of the decision (rules and findings), so that the same decision is not released twice.
        created: ISO 8601, UTC.
    """

    name: str
    version: int
    state: State
    model: str
    bundle: str
    decision: str
    created: str


@dataclass(frozen=True)
class Alias:
    """A movable name of a release (`production`, `canary`).

    Attributes:
        revision: counts its moves; a move states the revision it saw (compare-and-swap).
        version: what it points to.
        previous: what it pointed to before, for rollback; None at first.
    """

    name: str
    alias: str
    version: int
    revision: int
    previous: int | None = None
