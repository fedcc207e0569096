"""Learning what people prefer: direct preference optimization (Rafailov et al. 2023, equation 7).

For a question with a preferred and a rejected answer, m = β [(log π(chosen) − log r(chosen)) − (log π(rejected) −
log r(rejected))], where r is the model as it began. The loss is −(1 − ε) log σ(m) − ε log σ(−m); ε is the share of
preferences taken to be the wrong way round (conservative DPO, Mitchell 2023). The likelihoods under r never change:
they are computed once and kept in scratch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modelyard.base import files
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import batching, devices, precision
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import chats, learning, models
from modelyard.methods.training.language.chats import ANSWERS, Encoded
from modelyard.methods.training.language.fitting import Beside
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.packing import Line, inputs_of, take_lines
from modelyard.methods.training.language.rows import Pair
from modelyard.methods.training.language.settings import TooLong

RATE = 0.1
"""Share of the usual rate of fine-tuning: the loss is about differences, and runs away from the base soon."""
NAMED = 8
CHUNK = 256
"""Pairs whose reference is computed and kept at a time."""


@dataclass(frozen=True)
class Pairs:
    """Pairs as tokens.

    Attributes:
        chosen, rejected: question and answer, the answer's tokens marked.
        names: row ids.
        reference: [pairs, 2] log-likelihoods of chosen and rejected under the model as it began.
    """

    chosen: Sequence[Encoded]
    rejected: Sequence[Encoded]
    names: Sequence[str]
    reference: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 2), np.float32))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """[pairs] tokens of the longer of the two."""
        longest = (max(len(one.ids), len(two.ids)) for one, two in zip(self.chosen, self.rejected, strict=True))
        return np.fromiter(longest, np.int64, len(self))


def encode(found: Sequence[Pair], tokenizer: Any, context: int, too_long: TooLong, split: str, hooks: Hooks) -> Pairs:
    """Pairs as tokens, by the chat template if there is one, else question and answer end to end.

    Raises:
        InputError: no pair has both answers begin within the context.
    """
    both = [_encode(tokenizer, found, [getattr(pair, name) for pair in found]) for name in ("chosen", "rejected")]
    most = context + 1
    kept, num_cut = [], 0
    for place, sides in enumerate(zip(*both, strict=True)):
        longest = max(len(side.ids) for side in sides)
        answered = all(any(side.marks[1:most]) for side in sides)
        if answered and (longest <= most or too_long == "cut"):
            kept.append(place)
            num_cut += longest > most
    if num_cut:
        hooks.say(t("{count:,} {split} pairs are longer than {context} tokens and were cut there", count=num_cut,
                    split=split, context=context))  # fmt: skip
    if len(kept) < len(found):
        hooks.say(t("{count:,} {split} pairs were left out: an answer lies beyond {context} tokens",
                    count=len(found) - len(kept), split=split, context=context))  # fmt: skip
    if not kept:
        raise InputError(
            t("no answer of {split} lies within {context} tokens", split=split, context=context),
            where=f"data/{split}",
            expected=t("shorter chats, or a longer `context`"),
        )
    cut = [[Encoded(side[place].ids[:most], side[place].marks[:most]) for place in kept] for side in both]
    return Pairs(cut[0], cut[1], [found[place].name for place in kept])


def _encode(tokenizer: Any, found: Sequence[Pair], answers: Sequence[str]) -> list[Encoded]:
    if tokenizer.chat_template:
        both = zip(found, answers, strict=True)
        written = [
            chats.answer_spans(tokenizer, [*pair.prompt, {"role": ANSWERS, "content": answer}]) for pair, answer in both
        ]
        return chats.mark(tokenizer, [text for text, _ in written], [spans[-1:] for _, spans in written])
    prompts = ["\n".join(turn["content"] for turn in pair.prompt) for pair in found]
    texts = [prompt + answer + (tokenizer.eos_token or "") for prompt, answer in zip(prompts, answers, strict=True)]
    spans = [[(len(prompt), len(text))] for prompt, text in zip(prompts, texts, strict=True)]
    return chats.mark(tokenizer, texts, spans, special=True)


def batch_of(pairs: Pairs, rows: NDArray[np.int64], device: torch.device) -> Batch:
    """These pairs as lines [2 · pairs, width]: all chosen, then all rejected."""
    lines = [*(pairs.chosen[row] for row in rows), *(pairs.rejected[row] for row in rows)]
    width = max(len(line.ids) for line in lines) - 1
    found = Line(*(np.full((len(lines), width), fill, np.int64) for fill in (0, 0, 0, -1)))
    for place, line in enumerate(lines):
        size = len(line.ids) - 1
        found.ids[place, :size] = line.ids[:-1]
        found.targets[place, :size] = np.where(line.marks[1:], line.ids[1:], -1)
    owners = np.flatnonzero(found.targets.ravel() >= 0) // width
    targets = {"lines": torch.from_numpy(owners).to(device)}
    if len(pairs.reference):
        targets["reference"] = torch.from_numpy(pairs.reference[rows].T.ravel().copy()).to(device)
    return Batch(
        inputs=inputs_of(found, device),
        targets=targets,
        weight=float(len(rows)),
        names=[pairs.names[row] for row in rows[:NAMED].tolist()],
        tokens=sum(len(line.ids) - 1 for line in lines),
    )


class PairFeed:
    """Batches of pairs of nearly equal length, in an order that the seed and the epoch decide."""

    def __init__(self, pairs: Pairs, batch_size: int, accumulation: int, seed: int, device: torch.device) -> None:
        self._pairs, self._size, self._accumulation = pairs, batch_size, accumulation
        self._seed, self._device = seed, device
        self._lengths = pairs.lengths
        self._order: tuple[int, list[NDArray[np.int64]]] = (-1, [])
        self.epoch_steps = batching.num_steps(len(pairs), batch_size, accumulation)

    def step(self, epoch: int, position: int) -> Sequence[Batch]:
        if self._order[0] != epoch:
            self._order = (epoch, batching.order(self._lengths, self._size, self._seed, epoch))
        start = position * self._accumulation
        chosen = self._order[1][start : start + self._accumulation]
        return [batch_of(self._pairs, rows, self._device) for rows in chosen]


def log_likelihoods(module: torch.nn.Module, batch: Batch) -> Tensor:
    """log p of each line's marked tokens given what stands before them, [lines] fp32."""
    losses = module(**batch.inputs)
    num_lines = batch.inputs["input_ids"].shape[0]
    return -torch.zeros(num_lines, device=losses.device).index_add(0, batch.targets["lines"], losses)


@dataclass(frozen=True)
class Preference:
    """The loss of DPO, summed over pairs; `batch.weight` is their number."""

    beta: float
    smoothing: float = 0.0

    def __call__(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        return self.losses(self.margins(module, batch)).sum()

    def rows(self, batch: Batch) -> int:
        """Pairs, by which a batch may be cut."""
        return int(batch.inputs["input_ids"].shape[0]) // 2

    def split(self, batch: Batch, rows: int) -> Sequence[Batch]:
        """Parts of at most so many pairs. `weight`, `names` and `tokens` stay with the first."""
        total = self.rows(batch)
        if total <= rows:
            return [batch]
        parts = []
        for pairs in torch.split(torch.arange(total, device=batch.inputs["input_ids"].device), rows):
            lines = torch.cat([pairs, pairs + total])
            inputs, _ = take_lines(batch.inputs, lines)
            targets = {"lines": inputs["places"] // inputs["input_ids"].shape[1]}
            if "reference" in batch.targets:
                targets["reference"] = batch.targets["reference"][lines]
            parts.append(Batch(inputs=inputs, targets=targets, weight=0.0))
        return [replace(batch, inputs=parts[0].inputs, targets=parts[0].targets), *parts[1:]]

    def margins(self, module: torch.nn.Module, batch: Batch) -> Tensor:
        """β times how much further apart the answers are than under the reference, [pairs]."""
        gains = log_likelihoods(module, batch) - batch.targets["reference"]
        chosen, rejected = gains.chunk(2)
        return self.beta * (chosen - rejected)

    def losses(self, margins: Tensor) -> Tensor:
        right, wrong = functional.logsigmoid(margins), functional.logsigmoid(-margins)
        return -(1 - self.smoothing) * right - self.smoothing * wrong


@dataclass(frozen=True)
class PairScores:
    """Loss, how often the preferred answer gains more (`reward_accuracy`), and by how much (`reward_margin`)."""

    pairs: Pairs
    objective: Preference
    batch_size: int
    device: torch.device
    precision: str = "fp32"

    def __call__(self, module: torch.nn.Module) -> dict[str, float]:
        margins = self.margins(module)
        # Neither gains: a coin would be right half the time.
        hits = (margins > 0).sum() + 0.5 * (margins == 0).sum()
        losses = self.objective.losses(torch.from_numpy(margins))
        return {
            "loss": float(losses.mean()),
            "reward_accuracy": float(hits / len(margins)),
            "reward_margin": float(margins.mean()),
        }

    def margins(self, module: torch.nn.Module) -> NDArray[np.float64]:
        """[pairs] in their order."""
        was_training = module.training
        module.eval()
        found = []
        with torch.inference_mode():
            for rows in _in_order(len(self.pairs), self.batch_size):
                batch = batch_of(self.pairs, rows, self.device)
                with precision.autocast(self.precision, self.device):
                    found.append(self.objective.margins(module, batch).double().cpu().numpy())
        module.train(was_training)
        return np.concatenate(found)


def _in_order(num: int, size: int) -> list[NDArray[np.int64]]:
    return [np.arange(start, min(start + size, num)) for start in range(0, num, size)]


def with_reference(module: torch.nn.Module, pairs: Pairs, batch_size: int, job: Job, folder: Path) -> Pairs:
    """The pairs with their likelihoods under the module as it is now; what is in the folder is not computed again."""
    parts = []
    module.eval()
    with devices.reproducible(job.device, job.threads):
        for number, rows in enumerate(_in_order(len(pairs), CHUNK)):
            path = folder / f"{number:06d}.npy"
            if not path.exists():
                _write(path, _likelihoods(module.to(job.device), pairs, rows, batch_size, job))
            parts.append(np.load(path, allow_pickle=False))
            job.hooks.progress(int(rows[-1]) + 1, len(pairs), "pairs")
    return Pairs(pairs.chosen, pairs.rejected, pairs.names, np.concatenate(parts))


def _likelihoods(
    module: torch.nn.Module, pairs: Pairs, rows: NDArray[np.int64], batch_size: int, job: Job
) -> NDArray[np.float32]:
    found = []
    with torch.inference_mode(), precision.autocast(job.precision, job.device):
        for some in _in_order(len(rows), batch_size):
            batch = batch_of(pairs, rows[some], job.device)
            found.append(log_likelihoods(module, batch).view(2, -1).T.float().cpu().numpy())
    return np.concatenate(found)


def _write(path: Path, values: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = BytesIO()
    np.save(stream, values)
    files.write_atomic(path, stream.getvalue())


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config. `batch_size` is in pairs."""

    batch_size: int
    beta: float
    smoothing: float
    learning: Learning
    adapter: Beside | None = None


@dataclass(frozen=True)
class Trained:
    """A model with the best weights, on the CPU, adapters merged.

    Attributes:
        metrics: over the whole validation split, in fp32.
        hits: validation pairs whose preferred answer gained more.
        details: choices made on the way, for provenance; no times.
    """

    model: Any
    metrics: Mapping[str, float]
    hits: int
    num_pairs: int
    details: Mapping[str, Any]


def train(model: Any, training: Pairs, validation: Pairs, settings: Settings, job: Job) -> Trained:
    """Learn to prefer the chosen answers.

    Raises:
        StageError: the loss is no longer a number.
    """
    if settings.adapter is not None:
        # The reference is the model as training finds it.
        settings.adapter.hold(model, job)
    module = TokenLosses(model)
    training, validation = (
        with_reference(module, pairs, settings.batch_size, job, job.scratch / "reference" / split)
        for pairs, split in ((training, "train"), (validation, "validation"))
    )
    feed = PairFeed(training, settings.batch_size, settings.learning.accumulation, job.seed, job.device)
    objective = Preference(settings.beta, settings.smoothing)
    scores = PairScores(validation, objective, settings.batch_size, job.device, job.precision)
    rate = RATE * models.usual_rate(model, False, settings.adapter is not None)
    steps = learning.steps_for(settings.learning, feed.epoch_steps, 1.0)
    plan = learning.plan_for(settings.learning, job, settings.batch_size, feed.epoch_steps, steps, rate)
    adapted = None if settings.adapter is None else settings.adapter.add(model, job)
    outcome = learning.run(module, feed, objective, scores, plan, job)
    if settings.adapter is not None and adapted is not None:
        model = settings.adapter.merge(adapted)
    final = PairScores(validation, objective, settings.batch_size, job.device)
    with devices.reproducible(job.device, job.threads):
        merged = TokenLosses(model).to(job.device)
        metrics, margins = final(merged), final.margins(merged)
    details = {
        **learning.details(plan, outcome),
        "beta": settings.beta,
        "label_smoothing": settings.smoothing,
        "history": [dict(entry) for entry in outcome.history],
    }
    return Trained(model.cpu().eval(), metrics, int((margins > 0).sum()), len(validation), details)
