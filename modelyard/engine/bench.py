"""What an execution works with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.core.run import Status
from modelyard.engine.bound import BoundProject
from modelyard.engine.events import Listener, Silent
from modelyard.engine.identity import CodeMemo
from modelyard.engine.profiles import Profile
from modelyard.store import Store


@dataclass
class Bench:
    """What an execution works with: where it stores, how it runs, who watches."""

    bound: BoundProject
    store: Store
    profile: Profile
    listener: Listener = field(default_factory=Silent)
    remake_damaged: bool = True
    again: frozenset[str] = frozenset()
    """Steps to run anew though they are cached."""
    parts: frozenset[str] = frozenset()
    """Steps that were cut to a part of their rows because the time is short: no gate reads what they measure."""

    def __post_init__(self) -> None:
        self.memo = CodeMemo.open(self.store.root / "cache" / "code.json")

        self.fetches: dict[str, int] = {}
        self._invocation: int | None = None
        _announce(self.profile)

    @property
    def base(self) -> Path:
        return self.bound.project.folder

    def invocation(self) -> int:
        """The ledger's id of this `modelyard run`; recorded when the first step has to run."""
        if self._invocation is None:
            self._invocation = self.store.ledger.begin_invocation(self.bound.project.name)
        return self._invocation

    def join(self, invocation: int) -> None:
        """Work for a `modelyard run` that another process began."""
        self._invocation = invocation

    def finish(self, status: Status, outcome: Mapping[str, Any]) -> None:
        """Record how the `modelyard run` ended, if anything ran."""
        if self._invocation is not None:
            self.store.ledger.finish_invocation(self._invocation, status, outcome)
            self._invocation = None


def _announce(profile: Profile) -> None:
    """Tell methods, and the workers they start, where the profile lets them run."""
    if profile.threads:
        os.environ["MODELYARD_THREADS"] = str(profile.threads)
    if profile.device != "auto":
        os.environ["MODELYARD_DEVICE"] = profile.device
