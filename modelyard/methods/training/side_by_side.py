"""Several optimizers, each for its own parameters, as one: one list of groups, one state, one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch


class SideBySide(torch.optim.Optimizer):
    """The given optimizers behind one face; loops, loss scalers and checkpoints see a single optimizer."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.parts = tuple(parts)
        self._share()

    def _share(self) -> None:
        """Give every part its groups and the common state."""
        groups = list(self.param_groups)
        for part in self.parts:
            part.param_groups, groups = groups[: len(part.param_groups)], groups[len(part.param_groups) :]
            part.state = self.state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's; the parts go on with what was loaded."""
        super().load_state_dict(state_dict)
        self._share()

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """One step of each part. The closure is not called."""
        for part in self.parts:
            part.step()
