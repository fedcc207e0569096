"""What language models minimise and how they are judged: the likelihood of tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modelyard.methods.training import precision
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.language.packing import PackedFeed, take_lines

Z = 1.959963984540054


class NextToken:
    """The negative log-likelihood of the targets, summed; `batch.weight` is their number."""

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        losses: Tensor = module(**batch.inputs)
        return losses.sum()

    def rows(self, batch: Batch) -> int:
        """Lines, by which a batch may be cut."""
        return int(batch.inputs["input_ids"].shape[0])

    def split(self, batch: Batch, rows: int) -> Sequence[Batch]:
        """Parts of at most so many lines. `weight`, `names` and `tokens` stay with the first."""
        total = self.rows(batch)
        if total <= rows:
            return [batch]
        lines = torch.arange(total, device=batch.inputs["input_ids"].device)
        parts = [take_lines(batch.inputs, some)[0] for some in torch.split(lines, rows)]
        return [replace(batch, inputs=parts[0]), *(Batch(inputs=part, weight=0.0) for part in parts[1:])]


@dataclass(frozen=True)
class TokenScores:
    """Loss and perplexity over a whole split.

    Attributes:
        feed: its batches, taken in the order of epoch 0.
        precision: of the forward pass, as in training.
        num_bytes: of the texts in UTF-8; adds `bits_per_byte`, which models with other tokens can be compared by.
    """

    feed: PackedFeed
    device: torch.device
    precision: str = "fp32"
    num_bytes: int | None = None

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        return scores(self.lines(module), self.num_bytes)

    def lines(self, module: torch.nn.Module) -> NDArray[np.float64]:
        """Summed loss and number of targets of every line of the split, [lines, 2]."""
        was_training = module.training
        module.eval()
        found = []
        with torch.inference_mode():
            for number in range(self.feed.num_batches):
                batch = self.feed.batch(0, number)
                with precision.autocast(self.precision, self.device):
                    losses = module(**batch.inputs)
                found.append(_by_line(losses.double().cpu().numpy(), batch))
        module.train(was_training)
        return np.concatenate(found)


def _by_line(losses: NDArray[np.float64], batch: Batch) -> NDArray[np.float64]:
    num_lines, width = batch.inputs["input_ids"].shape
    places = batch.inputs.get("places")
    line = np.arange(len(losses)) // width if places is None else places.cpu().numpy() // width
    return np.stack([np.bincount(line, losses, num_lines), np.bincount(line, minlength=num_lines)], 1)


def scores(lines: NDArray[np.float64], num_bytes: int | None = None) -> dict[str, float]:
    """`loss` (nats a token), `perplexity`, and with bytes `bits_per_byte` (all targets' bits over the texts' bytes)."""
    total, count = lines.sum(0).tolist()
    loss = total / max(count, 1.0)
    # A NaN is no largest number: it must be seen.
    found = {"loss": loss, "perplexity": math.exp(min(loss, 700.0)) if loss == loss else loss}
    if num_bytes:
        found["bits_per_byte"] = total / math.log(2) / num_bytes
    return found


def interval(lines: NDArray[np.float64]) -> tuple[float, float] | None:
    """95 % interval of the mean loss, lines taken as independent (the ratio estimator, Cochran 1977, section 6.4).

    None for fewer than two lines, which tell nothing of how much they differ.
    """
    sums, counts = lines[lines[:, 1] > 0].T
    if len(sums) < 2:
        return None
    loss = sums.sum() / counts.sum()
    rest = sums - loss * counts
    error = float(np.sqrt(len(rest) / (len(rest) - 1) * (rest**2).sum()) / counts.sum())
    return float(loss) - Z * error, float(loss) + Z * error
