"""Spans of texts: tags of tokens, what is minimised of them, how the spans are judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.marked_spans import Marked, Span, parse_spans
from modelyard.methods.preprocessing.windows import Placed, Windows
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.spans import SpanReader
from modelyard.methods.tasks import chains, tags
from modelyard.methods.training import batching, classification, devices
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.hooks import Say
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.text_tasks import bodies
from modelyard.methods.training.text_tasks.texts import Texts

IGNORED = -100
"""The tag of what is no token of a text: special tokens, padding."""
FORBIDDEN = -1e4
"""A transition that no valid path takes."""
SHOWN = 5
TOKENS_AT_ONCE = 8192


def read(cell: Any, text: str) -> Marked | None:
    """The spans of a cell; None if it is empty. Raises InputError if it holds something else than a list."""
    marked = parse_spans(cell, text)
    if marked is None and str(cell or "").strip() not in ("", "null"):
        raise InputError(t("`{value}` is no list of spans", value=str(cell)[:40]))
    return marked


def labels_of(training: Texts[Marked], validation: Texts[Marked]) -> list[str]:
    """Labels of train, sorted. Raises InputError if there is none, or validation has one that train has not."""
    labels, others = (
        {span.label for marked in split.values for span in marked.spans} for split in (training, validation)
    )
    if not labels:
        raise InputError(
            t("no training text has any span"),
            where="data/train",
            expected=t("texts with marked spans"),
            remedy=t("check the column of the spans"),
        )
    strange = sorted(others - labels)
    if strange:
        some = ", ".join(strange[:SHOWN])
        found = t("{count} labels of validation are not in train: {labels}", count=len(strange), labels=some)
        remedy = t("merge or drop labels of a row or two")
        raise InputError.of([Problem("data/validation", found, t("labels that train has too"), remedy)])
    return sorted(labels)


def tell_left_out(split: str, rows: Texts[Marked], say: Say) -> None:
    """Say which spans of a split are not learned, and why."""
    total: Counter[str] = Counter()
    for marked in rows.values:
        total += marked.left_out
    if total:
        first = next(name for name, marked in zip(rows.names, rows.values, strict=True) if marked.left_out)
        reasons = ", ".join(f"{t(reason)} {count}" for reason, count in sorted(total.items()))
        say(
            t(
                "{count:,} spans of {split} were left out: {reasons}; first in row {row}",
                count=sum(total.values()),
                split=split,
                reasons=reasons,
                row=first,
            )
        )


@dataclass(frozen=True)
class Tagged:
    """A split as tokens with tags.

    Attributes:
        spans: of each text, as the data have them.
        placed: tokens of each text.
        paths: tags of each text's tokens.
    """

    texts: Sequence[str]
    spans: Sequence[tuple[Span, ...]]
    placed: Sequence[Placed]
    paths: Sequence[list[int]]


def tagged(split: str, rows: Texts[Marked], windows: Windows, names: Sequence[str], say: Say) -> Tagged:
    """Spans to tags; what does not fit the tokens is counted and said."""
    placed = windows.read(rows.texts)
    found = [tags.tag(marked.spans, one.offsets, names) for marked, one in zip(rows.values, placed, strict=True)]
    blurred, lost = sum(one.blurred for one in found), sum(one.lost for one in found)
    long = sum(len(one.ids) > windows.content for one in placed)
    if blurred:
        line = t("{count:,} spans of {split} begin or end inside a token: their tags reach to its end",
                 count=blurred, split=split)  # fmt: skip
        say(line)
    if lost:
        say(t("{count:,} spans of {split} hold no token the network reads", count=lost, split=split))
    if long:
        line = t("{count:,} texts of {split} are longer than {length} tokens: they are read in overlapping windows",
                 count=long, split=split, length=windows.content)  # fmt: skip
        say(line)
    return Tagged(rows.texts, [marked.spans for marked in rows.values], placed, [one.tags for one in found])


def token_rows(part: Tagged, rows: Texts[Marked], windows: Windows, pad_id: int) -> batching.Rows:
    """Every window of every text as a row of `input_ids` and `tags`."""
    ids, paths, places = [], [], []
    for text, (placed, path) in enumerate(zip(part.placed, part.paths, strict=True)):
        for start, stop in windows.cuts(len(path)):
            ids.append(windows.row(placed.ids[start:stop]))
            paths.append([*[IGNORED] * len(windows.prefix), *path[start:stop], *[IGNORED] * len(windows.suffix)])
            places.append(text)
    names, weights = [rows.names[text] for text in places], rows.weights[places]
    found = batching.token_rows(ids, pad_id, np.zeros(len(ids), np.int64), names, weights)
    flat = torch.from_numpy(np.fromiter((tag for path in paths for tag in path), np.int64, int(found.starts[-1])))
    return replace(found, columns={**found.columns, "tags": (flat, IGNORED)})


class TagFeed(classification.RowFeed):
    """Windows with a tag for each token; a batch weighs as much as its tokens do."""

    def batch(self, rows: NDArray[np.int64], epoch: int = 0) -> Batch:
        found = super().batch(rows, epoch)
        inputs = dict(found.inputs)
        goal, weights = inputs.pop("tags"), found.targets["weights"]
        weight = float((weights.double() * (goal != IGNORED).sum(1)).sum())
        return replace(found, inputs=inputs, targets={"tags": goal, "weights": weights}, weight=weight)


class Chained(nn.Module):
    """A network that scores tags, and learned scores of one tag after another."""

    follows: Tensor

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self.transitions = nn.Parameter(torch.zeros(len(names), len(names)))
        self.register_buffer("follows", torch.from_numpy(tags.allowed(names)[1]), persistent=False)

    def forward(self, **inputs: Tensor) -> Any:
        return self.network(**inputs)

    def moves(self) -> Tensor:
        """[T, T] from row to column; what no valid path takes is far below all others."""
        return torch.where(self.follows, self.transitions.float(), FORBIDDEN)


@dataclass(frozen=True)
class ChainLoss(ByRow):
    """Minus the log-likelihood of each row's path under a linear-chain CRF (Lafferty et al. 2001), summed.

    A row may begin with any tag: windows of long texts do.

    Attributes:
        prefix: special tokens before the text.
    """

    prefix: int

    def __call__(self, module: Any, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        scores = output if isinstance(output, Tensor) else output.logits
        loss = self.of(scores, batch.targets["tags"], module.moves())
        return (batch.targets["weights"] * loss).sum()

    def of(self, scores: Tensor, goal: Tensor, moves: Tensor) -> Tensor:
        """[B] losses of scores [B, L, T] beside tags [B, L]."""
        x_BLT, goal_BL = scores[:, self.prefix :].float(), goal[:, self.prefix :]
        real_BL = goal_BL != IGNORED
        tag_BL = goal_BL.clamp_min(0)
        taken = (x_BLT.gather(2, tag_BL.unsqueeze(2)).squeeze(2) * real_BL).sum(1)
        taken = taken + (moves[tag_BL[:, :-1], tag_BL[:, 1:]] * real_BL[:, 1:]).sum(1)
        sums_BT = x_BLT[:, 0]
        for place in range(1, x_BLT.shape[1]):
            onward = torch.logsumexp(sums_BT.unsqueeze(2) + moves, 1) + x_BLT[:, place]
            sums_BT = torch.where(real_BL[:, place, None], onward, sums_BT)
        return torch.logsumexp(sums_BT, 1) - taken


@dataclass(frozen=True)
class TokenCrossEntropy(ByRow):
    """Cross-entropy of each token's tag with label smoothing, weighted by row and summed."""

    smoothing: float = 0.0

    def __call__(self, module: nn.Module, batch: Batch) -> Tensor:
        output: Any = module(**batch.inputs)
        scores = output if isinstance(output, Tensor) else output.logits
        return (batch.targets["weights"] * self.of(scores, batch.targets["tags"])).sum()

    def of(self, scores: Tensor, goal: Tensor) -> Tensor:
        """[B] losses of scores [B, L, T] beside tags [B, L]."""
        return nn.functional.cross_entropy(
            scores.float().transpose(1, 2),
            goal,
            ignore_index=IGNORED,
            reduction="none",
            label_smoothing=self.smoothing,
        ).sum(1)


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


def transitions_of(module: nn.Module) -> NDArray[np.float64] | None:
    """The learned scores of one tag after another, as they are saved."""
    if not isinstance(module, Chained):
        return None
    return np.round(module.transitions.detach().cpu().double().numpy(), 6)


def reader_of(
    module: nn.Module, names: Sequence[str], windows: Windows, pad_id: int, device: torch.device
) -> SpanReader:
    """Reads spans with a module as the predictor does."""
    chain = chains.Chain.of(names, transitions_of(module))
    return SpanReader(windows, pad_id, chain, ModuleNetwork(module, device), TOKENS_AT_ONCE)


@dataclass(frozen=True)
class SpanScores:
    """F1, precision and recall of whole spans, and the mean of a token's loss under the chain."""

    part: Tagged
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


def counts(reader: SpanReader, part: Tagged, scores: Sequence[NDArray[np.float64]]) -> NDArray[np.int64]:
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
        tell_left_out(split, rows, job.hooks.say)
    labels = labels_of(training, validation)
    names = tags.tag_names(labels)
    total = sum(len(marked.spans) for marked in training.values)
    job.hooks.say(t("{labels} labels of spans, {spans:,} spans in train", labels=len(labels), spans=total))
    body = bodies.make(job, training.texts, len(names), "token")
    windows = Windows.of(body.tokens)
    parts = [
        tagged(split, rows, windows, names, job.hooks.say)
        for split, rows in (("train", training), ("validation", validation))
    ]
    cut = token_rows(parts[0], training, windows, body.tokens.pad_id)
    plan = job.plan(body.defaults, len(cut), int(cut.lengths.sum()))
    module = body.module
    objective: ChainLoss | TokenCrossEntropy = TokenCrossEntropy(plan.regularization.label_smoothing)
    if job.base is None if chained is None else chained:
        module, objective = Chained(body.module, names), ChainLoss(len(windows.prefix))
    judge = SpanScores(parts[1], names, windows, body.tokens.pad_id, job.device)
    outcome = bodies.learn(job, module, TagFeed(cut, cut.weights, plan, job.device), objective, judge, plan)
    with devices.reproducible(torch.device("cpu"), plan.threads):
        reader = reader_of(module, names, windows, body.tokens.pad_id, torch.device("cpu"))
        counted = counts(reader, parts[1], reader.scores(parts[1].placed))
    found = {**bodies.details(plan, outcome), "loss": "chain" if isinstance(module, Chained) else "cross_entropy"}
    return Trained(body, names, transitions_of(module), counted, found)
