"""Spans of texts: how they are judged while a network learns to tag tokens, and its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelyard.base.messages import t
from modelyard.methods.data.marked_spans import Marked
from modelyard.methods.preprocessing.windows import Windows
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.spans import SpanReader
from modelyard.methods.tasks import chains, tags
from modelyard.methods.training import devices
from modelyard.methods.training.text_tasks import bodies, span_losses, span_rows
from modelyard.methods.training.text_tasks.texts import Texts

TOKENS_AT_ONCE = 8192


class ModuleNetwork:
    """Implements `runtimes.batching.Network` with a module where it is trained."""

    runtime = "training"
    input_names: tuple[str, ...] = ("input_ids", "attention_mask")
    token_budget = TOKENS_AT_ONCE

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._module, self._device = module, device

    def logits(self, arrays: Arrays) -> NDArray[np.float32]:
        with torch.inference_mode():
            output: Any = self._module(
                **{name: torch.from_numpy(array).to(self._device) for name, array in arrays.items()}
            )
        scores = output if isinstance(output, Tensor) else output.logits
        result: NDArray[np.float32] = scores.float().cpu().numpy()
        return result

    def close(self) -> None:
        """Nothing to free: the module is its trainer's."""


def reader_of(
    module: nn.Module, names: Sequence[str], windows: Windows, pad_id: int, device: torch.device
) -> SpanReader:
    """Reads spans with a module as the predictor does."""
    chain = chains.Chain.of(names, span_losses.transitions_of(module))
    return SpanReader(windows, pad_id, chain, ModuleNetwork(module, device), TOKENS_AT_ONCE)


@dataclass(frozen=True)
class SpanScores:
    """F1, precision and recall of whole spans, and the mean of a token's loss under the chain."""

    part: span_rows.Tagged
    names: Sequence[str]
    windows: Windows
    pad_id: int
    device: torch.device

    def __call__(self, module: nn.Module) -> dict[str, float]:
        was_training = module.training
        module.eval()
        reader = reader_of(module, self.names, self.windows, self.pad_id, self.device)
        scores = reader.scores(self.part.placed)
        module.train(was_training)
        return {**rates(counts(reader, self.part, scores).sum((0, 1))), "loss": self._loss(reader.chain, scores)}

    def _loss(self, chain: chains.Chain, scores: Sequence[NDArray[np.float64]]) -> float:
        total, tokens = 0.0, 0
        for one, path in zip(scores, self.part.paths, strict=True):
            if path:
                total += chains.total(chain, one) - chains.path_score(chain, one, path)
                tokens += len(path)
        return total / max(tokens, 1)


def counts(reader: SpanReader, part: span_rows.Tagged, scores: Sequence[NDArray[np.float64]]) -> NDArray[np.int64]:
    """[texts, labels, 3] spans that are right, given, wanted; right are those with both ends and the label."""
    labels = {label: place for place, label in enumerate(tags.labels_of(reader.chain.tags))}
    found = np.zeros((len(part.texts), len(labels), 3), np.int64)
    for row, (text, placed, wanted, one) in enumerate(zip(part.texts, part.placed, part.spans, scores, strict=True)):
        given = set(reader.plain_spans(text, placed, one))
        for place, spans in enumerate((given & set(wanted), given, wanted)):
            for span in spans:
                found[row, labels[span.label], place] += 1
    return found


def rates(counted: NDArray[np.int64]) -> dict[str, float]:
    """`f1`, `precision`, `recall` of (right, given, wanted); 0 where nothing is to be divided by."""
    right, given, wanted = counted.tolist()
    return {
        "f1": 2 * right / max(given + wanted, 1),
        "precision": right / max(given, 1),
        "recall": right / max(wanted, 1),
    }


@dataclass(frozen=True)
class Trained:
    """What training ends in.

    Attributes:
        tags: names, in the order of the scores.
        transitions: [T, T], or None if none were learned.
        counted: [validation texts, labels, 3] as of `counts`.
        details: for the model's provenance.
    """

    body: bodies.Body
    tags: tuple[str, ...]
    transitions: NDArray[np.float64] | None
    counted: NDArray[np.int64]
    details: dict[str, Any]


def train(job: bodies.Job, training: Texts[Marked], validation: Texts[Marked], chained: bool | None) -> Trained:
    """Train a network that scores the tags of tokens.

    Args:
        chained: learn which tag follows which; None: with a network from scratch.

    Raises:
        InputError: train has no spans, validation labels that train has not, or the base cannot be had.
        StageError: the loss is no longer a number.
    """
    for split, rows in (("train", training), ("validation", validation)):
        span_rows.tell_left_out(split, rows, job.hooks.say)
    labels = span_rows.labels_of(training, validation)
    names = tags.tag_names(labels)
    total = sum(len(marked.spans) for marked in training.values)
    job.hooks.say(t("{labels} labels of spans, {spans:,} spans in train", labels=len(labels), spans=total))
    body = bodies.make(job, training.texts, len(names), "token")
    windows = Windows.of(body.tokens)
    parts = [
        span_rows.tagged(split, rows, windows, names, job.hooks.say)
        for split, rows in (("train", training), ("validation", validation))
    ]
    cut = span_rows.token_rows(parts[0], training, windows, body.tokens.pad_id)
    plan = job.plan(body.defaults, len(cut), int(cut.lengths.sum()))
    module = body.module
    objective: span_losses.ChainLoss | span_losses.TokenCrossEntropy = span_losses.TokenCrossEntropy(
        plan.regularization.label_smoothing
    )
    if job.base is None if chained is None else chained:
        module, objective = span_losses.Chained(body.module, names), span_losses.ChainLoss(len(windows.prefix))
    judge = SpanScores(parts[1], names, windows, body.tokens.pad_id, job.device)
    outcome = bodies.learn(job, module, span_rows.TagFeed(cut, cut.weights, plan, job.device), objective, judge, plan)
    with devices.reproducible(torch.device("cpu"), plan.threads):
        reader = reader_of(module, names, windows, body.tokens.pad_id, torch.device("cpu"))
        counted = counts(reader, parts[1], reader.scores(parts[1].placed))
    found = {
        **bodies.details(plan, outcome),
        "loss": "chain" if isinstance(module, span_losses.Chained) else "cross_entropy",
    }
    return Trained(body, names, span_losses.transitions_of(module), counted, found)
