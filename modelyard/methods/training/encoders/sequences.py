"""Texts and the texts that answer them, as an encoder with a decoder learns from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.preprocessing.tokens import pad_ids
from modelyard.methods.training import batching
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.microbatches import ByRow

NAMED = 8


@dataclass(frozen=True)
class Answered:
    """Texts with their answers; `names`: row ids."""

    texts: Sequence[str]
    answers: Sequence[str]
    names: Sequence[str]

    def __len__(self) -> int:
        return len(self.texts)


def read(data: Dataset, split: str, answer: str, hooks: Hooks) -> Answered:
    """The rows of a split that have a text and an answer; how many have not is said.

    Raises:
        InputError: the column of answers is not there, or no row can be used.
    """
    there = sorted(column.name for column in data.columns)
    if answer not in there:
        raise InputError(
            t("no column `{name}`", name=answer),
            where="data",
            expected=t("a column of answers; there are the columns {names}", names=", ".join(there)),
            remedy=did_you_mean(answer, there) or t("name the columns in the step's settings"),
        )
    text = data.need("text")
    found: list[tuple[str, str, str]] = []
    reasons: Counter[str] = Counter()
    for batch in data.batches(split, [*dict.fromkeys((text, answer)), ROW_ID]):
        for row in batch.to_pylist():
            if isinstance(row[text], str) and row[text].strip() and isinstance(row[answer], str) and row[answer]:
                found.append((row[text], row[answer], str(row[ROW_ID])))
            else:
                reasons[t("no text or no answer")] += 1
    for reason, count in sorted(reasons.items()):
        hooks.say(t("{count:,} {split} rows were left out: {reason}", count=count, split=split, reason=reason))
    if not found:
        raise InputError(
            t("no {split} row can be learned from", split=split),
            where=f"data/{split}",
            expected=t("rows with a text and an answer"),
            remedy=t("check the columns, data.read and data.split"),
        )
    texts, answers, names = zip(*found, strict=True)
    return Answered(texts, answers, names)


@dataclass(frozen=True)
class Encoded:
    """Rows as ids.

    Attributes:
        sources, targets: with the tokenizer's marks; a target ends with the mark of the end.
        start: what the decoder begins with.
    """

    sources: Sequence[Sequence[int]]
    targets: Sequence[Sequence[int]]
    names: Sequence[str]
    pad_id: int
    start: int

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[rows] tokens of source and target together."""
        pairs = zip(self.sources, self.targets, strict=True)
        return np.array([len(source) + len(target) for source, target in pairs], np.int64)

    def __len__(self) -> int:
        return len(self.sources)

    def batch(self, rows: Sequence[int], device: torch.device) -> Batch:
        """These rows, the decoder's input being its target, one place later."""
        source = pad_ids([self.sources[row] for row in rows], self.pad_id)
        target = pad_ids([self.targets[row] for row in rows], self.pad_id)
        labels, mask = torch.from_numpy(target["input_ids"]), torch.from_numpy(target["attention_mask"])
        shifted = torch.cat([labels.new_full((len(rows), 1), self.start), labels[:, :-1]], 1)
        inputs = {name: torch.from_numpy(array).to(device) for name, array in source.items()}
        return Batch(
            inputs={**inputs, "decoder_input_ids": shifted.to(device)},
            targets={"labels": labels.masked_fill(mask == 0, -100).to(device)},
            weight=float(mask.sum()),
            names=[self.names[row] for row in rows[:NAMED]],
            tokens=int(source["attention_mask"].sum() + mask.sum()),
        )


class SequenceFeed:
    """Batches of rows of nearly equal length, in an order that the seed and the epoch decide."""

    def __init__(self, rows: Encoded, batch_size: int, accumulation: int, seed: int, device: torch.device) -> None:
        self._rows, self._size, self._seed, self._device = rows, batch_size, seed, device
        self._accumulation = accumulation
        self._order: tuple[int, list[NDArray[np.int64]]] = (-1, [])
        self.epoch_steps = batching.num_steps(len(rows), batch_size, accumulation)

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        if self._order[0] != epoch:
            self._order = (epoch, batching.order(self._rows.lengths, self._size, self._seed, epoch))
        first = position * self._accumulation
        chosen = self._order[1][first : first + self._accumulation]
        return [self._rows.batch(rows.tolist(), self._device) for rows in chosen]


@dataclass(frozen=True)
class Forced(ByRow):
    """Cross-entropy of the answer's tokens, each told from the true ones before it (teacher forcing), summed.

    Attributes:
        smoothing: share of the target spread over all tokens (Szegedy et al. 2016).
    """

    smoothing: float = 0.0

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs, use_cache=False)
        return functional.cross_entropy(
            output.logits.flatten(0, 1).float(),
            batch.targets["labels"].flatten(),
            ignore_index=-100,
            reduction="sum",
            label_smoothing=self.smoothing,
        )


@dataclass(frozen=True)
class SequenceScores:
    """Mean loss of the tokens of validation's answers, without smoothing."""

    rows: Encoded
    device: torch.device
    tokens: int = 8192

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        sums = self.by_row(module)
        return {"loss": float(sums[:, 0].sum() / sums[:, 1].sum())}

    def by_row(self, module: torch.nn.Module) -> NDArray[np.float64]:
        """[rows, 2]: summed loss and tokens of each answer."""
        was_training = module.training
        module.eval()
        found = np.zeros((len(self.rows), 2))
        with torch.inference_mode():
            for places in batching.by_length(self.rows.lengths, self.tokens):
                batch = self.rows.batch(places.tolist(), self.device)
                logits = module(**batch.inputs, use_cache=False).logits.float()
                labels = batch.targets["labels"]
                losses = functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="none")
                found[places, 0] = losses.double().sum(1).cpu().numpy()
                found[places, 1] = (labels >= 0).sum(1).cpu().numpy()
        module.train(was_training)
        return found
