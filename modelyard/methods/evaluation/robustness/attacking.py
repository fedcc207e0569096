"""All attacks on the rows of a split: accuracies under each, and the signs of masked gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.augmentation.lexicon import Lexicon, built_in
from modelyard.methods.data.row_random import generator
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.robustness import flags as signs
from modelyard.methods.evaluation.robustness import strong
from modelyard.methods.evaluation.robustness.gradients import Ball, Model, Norm, attack
from modelyard.methods.evaluation.robustness.pixels import InPixels
from modelyard.methods.evaluation.robustness.summary import rate
from modelyard.methods.evaluation.robustness.words import Turned, turn
from modelyard.methods.runtimes.differentiable import Differentiable

Bools = NDArray[np.bool_]
RADII: dict[str, dict[Norm, tuple[float, ...]]] = {
    "pixels": {"linf": (2 / 255, 8 / 255), "l2": (0.5, 2.0)},
    "tokens": {"linf": (0.1, 0.3), "l2": (0.3, 1.0)},
}
"""By leaf. Pixels from 0 to 1; token vectors in units of the size that the model's vectors have."""
UNBOUNDED = {"pixels": {"linf": 1.0, "l2": 30.0}, "tokens": {"linf": 100.0, "l2": 100.0}}
"""So far that nothing of the row is left."""
NOISES = 5
WITHOUT = ("noise", "square")


@dataclass(frozen=True)
class Settings:
    """How hard to try: `steps` of PGD and APGD, `queries` of Square, replaced words at most, radii by norm (empty:
    RADII)."""

    steps: int = 20
    words: int = 3
    batch_rows: int = 64
    linf: tuple[float, ...] = ()
    l2: tuple[float, ...] = ()
    queries: int = 100


@dataclass(frozen=True)
class Found:
    """Estimates, the signs of masked gradients that show, and texts that words turned: (row id, before, after)."""

    estimates: tuple[Estimate, ...]
    flags: tuple[str, ...]
    turned: tuple[tuple[str, str, str], ...] = ()


def run(
    model: Differentiable,
    records: Sequence[Any],
    row_ids: Sequence[str],
    labels: NDArray[np.int64],
    settings: Settings,
    seed: int = 0,
    lexicon: Lexicon | None = None,
    note: Callable[[int, int], None] = lambda done, total: None,
) -> Found:
    """Attack every row.

    Raises InputError if the network has neither pixels nor tokens.
    """
    leaf, target, unit = _target(model, records)
    rows = _Rows(target, leaf, records, row_ids, labels, settings.batch_rows, seed)
    clean, gradients = rows.attacked(Ball(0.0), 1)
    estimates, worst, shown = [rate("accuracy", clean.astype(np.float64), {"attack": "none"})], clean.copy(), set[str]()
    balls = [(norm, radius) for norm in ("linf", "l2") for radius in _radii(settings, leaf, norm)]
    repeats = rows.repeats()
    for number, (norm, radius) in enumerate(balls, start=1):
        ball = _ball(leaf, norm, radius * unit[norm])  # type: ignore[arg-type]
        part = {"norm": norm, "radius": f"{radius:.4g}"}
        under = rows.under(ball, settings)
        for name, right in under.items():
            estimates += _outcome(clean, right, {"attack": name, **part})
        every = np.logical_and.reduce([clean, *under.values()])
        estimates += _outcome(clean, every, {"attack": "all", **part})
        worst &= every
        free, _ = rows.attacked(_ball(leaf, norm, UNBOUNDED[leaf][norm] * unit[norm]), settings.steps)  # type: ignore[arg-type]
        without = np.logical_and.reduce([under[name] for name in WITHOUT if name in under])
        evidence = signs.Evidence(gradients[clean], under["fgsm"], under["pgd"], without, free, repeats)
        shown |= {sign for sign, is_there in signs.flags(evidence).items() if is_there}
        note(number, len(balls) + 1)
    turned: tuple[tuple[str, str, str], ...] = ()
    if leaf == "tokens" and settings.words:
        right, turned = _words(model, rows, settings.words, lexicon or built_in())
        estimates += _outcome(clean, right, {"attack": "words", "budget": str(settings.words)})
        worst &= right
    estimates.append(rate("worst_accuracy", worst.astype(np.float64)))
    estimates.append(Estimate("masked_gradients", float(len(shown)), None, len(records)))
    return Found(tuple(estimates), tuple(sorted(shown)), turned)


def _outcome(clean: Bools, right: Bools, part: dict[str, str]) -> list[Estimate]:
    """Accuracy under an attack, and of the rows that were right the share that it turned."""
    found = [rate("accuracy", right.astype(np.float64), part)]
    if clean.any():
        found.append(rate("success_rate", (~right[clean]).astype(np.float64), part))
    return found


@dataclass(frozen=True)
class _Rows:
    model: Model
    leaf: str
    records: Sequence[Any]
    row_ids: Sequence[str]
    labels: NDArray[np.int64]
    size: int
    seed: int

    def parts(self) -> list[slice]:
        return [slice(start, start + self.size) for start in range(0, len(self.records), self.size)]

    def attacked(self, ball: Ball, steps: int) -> tuple[Bools, NDArray[np.float64]]:
        """Whether each row is still right, and the size of its gradient."""
        found = [
            attack(self.model, self.records[p], self.row_ids[p], self.labels[p], self.leaf, ball, steps, self.seed)
            for p in self.parts()
        ]
        return np.concatenate([one.right for one in found]), np.concatenate([one.gradients for one in found])

    def under(self, ball: Ball, settings: Settings) -> dict[str, Bools]:
        """Rows that stay right, by attack."""
        found = {
            "fgsm": self.attacked(ball, 1)[0],
            "pgd": self.attacked(ball, settings.steps)[0],
            "apgd_ce": self._adaptive(ball, settings.steps, "ce"),
            "apgd_dlr": self._adaptive(ball, settings.steps, "dlr"),
            "noise": self.noisy(ball),
        }
        if self.leaf == "pixels" and ball.norm == "linf" and settings.queries:
            found["square"] = self._squares(ball, settings.queries)
        return found

    def repeats(self) -> bool:
        """Whether the first rows are answered alike when asked twice."""
        arrays = self.model.encode(self.records[self.parts()[0]])
        with torch.no_grad():
            return bool(torch.equal(self.model.logits(arrays), self.model.logits(arrays)))

    def _adaptive(self, ball: Ball, steps: int, loss: strong.Loss) -> Bools:
        found = [
            strong.apgd(
                self.model, self.records[p], self.row_ids[p], self.labels[p], self.leaf, ball, steps, loss, self.seed
            )
            for p in self.parts()
        ]
        return np.concatenate(found)

    def _squares(self, ball: Ball, queries: int) -> Bools:
        found = [
            strong.square(
                self.model, self.records[p], self.row_ids[p], self.labels[p], self.leaf, ball, queries, self.seed
            )
            for p in self.parts()
        ]
        return np.concatenate(found)

    def noisy(self, ball: Ball) -> Bools:
        """Rows right at several random points on the edge of the ball: an attack without gradients."""
        return np.concatenate([self._noisy(part, ball) for part in self.parts()])

    def _noisy(self, part: slice, ball: Ball) -> Bools:
        arrays = self.model.encode(self.records[part])
        leaves = dict(self.model.embed(arrays))
        start, right = leaves[self.leaf].detach(), np.ones(len(self.records[part]), np.bool_)
        for number in range(NOISES):
            draws = [
                generator(self.seed, "noise", row, number).normal(size=start.shape[1:]) for row in self.row_ids[part]
            ]
            move = ball.uphill(torch.from_numpy(np.stack(draws)).to(start.dtype), ball.radius)
            with torch.no_grad():
                logits = self.model.logits(arrays, {**leaves, self.leaf: ball.project(start, start + move)})
            right &= logits.argmax(1).numpy() == self.labels[part]
        return right


def _target(model: Differentiable, records: Sequence[Any]) -> tuple[str, Model, dict[str, float]]:
    """The leaf to attack, the model in the units of attacks, and the size of a unit by norm."""
    there = dict(model.embed(model.encode(records[:1])))
    if "pixels" in there:
        return "pixels", InPixels(model), {"linf": 1.0, "l2": 1.0}
    if "tokens" in there and len(there) == 1:
        table = model.table
        root = float(table.square().mean().sqrt())
        return "tokens", model, {"linf": root, "l2": root * table.shape[1] ** 0.5}
    raise InputError(
        t("the network has no pixels or tokens to attack alone: {leaves}", leaves=", ".join(sorted(there))),
        expected=t("a network of images, or of texts over sub-words (`size: cnn` or an encoder)"),
        remedy=t("evaluate.robustness measures any model, without gradients"),
    )


def _radii(settings: Settings, leaf: str, norm: str) -> tuple[float, ...]:
    own: tuple[float, ...] = settings.linf if norm == "linf" else settings.l2
    return own or ((), RADII[leaf][norm])[not (settings.linf or settings.l2)]  # type: ignore[index]


def _ball(leaf: str, norm: Norm, radius: float) -> Ball:
    return Ball(radius, norm, 0.0, 1.0) if leaf == "pixels" else Ball(radius, norm)


def _words(
    model: Differentiable, rows: _Rows, budget: int, lexicon: Lexicon
) -> tuple[Bools, tuple[tuple[str, str, str], ...]]:
    right, turned = np.zeros(len(rows.records), np.bool_), []
    for place, record in enumerate(rows.records):
        found: Turned = turn(model, record["text"], int(rows.labels[place]), lexicon, budget)
        right[place] = found.right
        if not found.right and found.replaced:
            turned.append((rows.row_ids[place], record["text"], found.text))
    return right, tuple(turned)
