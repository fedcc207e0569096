"""How an update is judged while it runs: on new validation rows and on old ones, each set with one voice."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from modelyard.methods.training import evaluation
from modelyard.methods.training.batching import RowBatches


@dataclass(frozen=True)
class BothScores:
    """Accuracy, macro F1 and loss: plain means over the new and the old rows, and each set's own as `…_new`, `…_old`.

    One voice a set, so that many new rows do not choose the weights that forgot most. Without old rows: of the new.
    """

    new: RowBatches
    old: RowBatches | None
    device: torch.device

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        new = self._of(module, self.new)
        if self.old is None:
            return new
        old = self._of(module, self.old)
        means = {name: (new[name] + old[name]) / 2 for name in new}
        return {**means, **{f"{n}_new": v for n, v in new.items()}, **{f"{n}_old": v for n, v in old.items()}}

    def _of(self, module: torch.nn.Module, rows: RowBatches) -> dict[str, float]:
        return evaluation.scores(evaluation.logits_of(module, rows, self.device), rows.labels)
