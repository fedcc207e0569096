"""The one training loop. Optimizer, schedule, precision, objective, batches, early stopping and checkpoints are axes
that compose; each lives in its own file.

The state between two optimizer steps is all there is: weights, optimizer, loss scaler, the watch of early stopping and
the best weights. Schedules, orders and dropout masks are functions of (seed, step), so a run that was killed at any
moment goes on from its last checkpoint and ends with the same bits. Checkpoints fall between optimizer steps, never
inside an accumulation: the micro-step of a checkpoint is always 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.clock import monotonic
from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.training import (
    batching,
    checkpoints,
    devices,
    dropout,
    evaluation,
    objectives,
    optimizers,
    precision,
)
from modelyard.methods.training.early_stopping import Watch
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.schedules import factor
from modelyard.methods.training.settings import ClassWeights, EarlyStopping, Optimizer, Regularization, Schedule

LOG_POINTS = 200
"""About so many points a curve."""


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        num_labels: classes.
        epochs: passes over the training rows, at most.
        batch_size: rows of one forward pass.
        accumulation: forward passes a step; the step is that of one batch `accumulation` times as large.
        learning_rate: peak.
        precision: `fp32`, `bf16` or `fp16`.
        threads: of the CPU; the result depends on them.
        checkpoint_seconds: at least so long between two checkpoints inside an epoch.
    """

    num_labels: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    accumulation: int = 1
    precision: str = "fp32"
    threads: int = 1
    checkpoint_seconds: float = 30.0
    class_weights: ClassWeights = "none"
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    regularization: Regularization = field(default_factory=Regularization)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)


@dataclass(frozen=True)
class Outcome:
    """What training ends in; the module holds the best weights.

    Attributes:
        logits: [validation rows, classes] of the best weights.
        metrics: of the best weights on validation.
        best_step, steps: optimizer steps at the best evaluation, and done in all.
        history: one entry an evaluation: step and metrics.
    """

    logits: NDArray[np.float32]
    metrics: Mapping[str, float]
    best_step: int
    steps: int
    history: tuple[Mapping[str, float], ...]


def train(
    module: torch.nn.Module,
    training: batching.Rows,
    validation: batching.Rows,
    plan: Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks | None = None,
) -> Outcome:
    """Train `module` in place, from the newest checkpoint in `scratch` if there is one.

    Raises:
        StageError: the loss or the gradient is no longer a number; names the step and the rows.
    """
    with devices.reproducible(device, plan.threads):
        run = Loop(module.to(device), training, validation, plan, device, scratch, hooks or Hooks())
        run.resume()
        with dropout.fast(run.module, run.masks) if device.type == "cpu" else nullcontext():
            while not run.finished:
                run.epoch()
        return run.outcome()


class Loop:
    """State of one training and the ways it moves."""

    def __init__(
        self,
        module: torch.nn.Module,
        training: batching.Rows,
        validation: batching.Rows,
        plan: Plan,
        device: torch.device,
        scratch: Path,
        hooks: Hooks,
    ) -> None:
        self.module, self.training, self.validation = module, training, validation
        self.plan, self.device, self.scratch, self.hooks = plan, device, scratch, hooks
        weights = objectives.class_weights(training.labels, plan.num_labels, plan.class_weights)
        self.row_weights = torch.from_numpy(weights[training.labels] * training.weights).to(device)
        self.labels = torch.from_numpy(training.labels).to(device)
        self.optimizer = optimizers.build(plan.optimizer, module, plan.learning_rate)
        self.masks = dropout.Masks()
        self.scaler = precision.scaler(plan.precision, device)
        self.epoch_steps = batching.num_steps(len(training), plan.batch_size, plan.accumulation)
        self.num_steps = self.epoch_steps * plan.epochs
        self.log_every = max(1, self.num_steps // LOG_POINTS)
        self.step = 0
        self.watch = Watch()
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.finished = False
        self.saved_at = self.logged_at = monotonic()
        self.tokens = 0

    # -- moving on -----------------------------------------------------------------------------------------------

    def epoch(self) -> None:
        """From where the run stands to the end of this epoch, then one evaluation."""
        number, done = divmod(self.step, self.epoch_steps)
        batches = batching.order(self.training.lengths, self.plan.batch_size, self.plan.seed, number)
        self.module.train()
        for position in range(done, self.epoch_steps):
            start = position * self.plan.accumulation
            self.one_step(batches[start : start + self.plan.accumulation])
            self.hooks.progress(self.step, self.num_steps, "steps")
            if position + 1 < self.epoch_steps and monotonic() - self.saved_at >= self.plan.checkpoint_seconds:
                self.save()
        self.evaluate()
        self.finished = self.step >= self.num_steps or self.watch.done(self.plan.early_stopping)
        self.save()

    def one_step(self, batches: list[NDArray[np.int64]]) -> None:
        """One optimizer step over one or more batches, as if they were one."""
        plan = self.plan
        rate = plan.learning_rate * factor(plan.schedule, self.step, self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total = float(self.row_weights[torch.from_numpy(np.concatenate(batches)).to(self.device)].double().sum())
        losses = [self.backward(rows, micro, total) for micro, rows in enumerate(batches)]
        self.scaler.unscale_(self.optimizer)
        limit = plan.optimizer.clip or float("inf")
        norm = float(torch.nn.utils.clip_grad_norm_(self.module.parameters(), limit))
        loss = float(sum(losses))
        self.check(loss, norm, batches)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.step % self.log_every == 0:
            self.log(loss, rate, norm)

    def backward(self, rows: NDArray[np.int64], micro: int, total: float) -> float:
        """Add one batch's gradient; returns its share of the loss."""
        plan = self.plan
        inputs = self.training.batch(rows, self.device)
        self.tokens += int(self.training.lengths[rows].sum())
        seed_torch(plan.seed, "forward", self.step, micro)
        self.masks.seek(plan.seed, self.step, micro)
        with precision.autocast(plan.precision, self.device):
            output: Any = self.module(**inputs)
        logits = output if isinstance(output, torch.Tensor) else output.logits
        chosen = torch.from_numpy(rows).to(self.device)
        smoothing = plan.regularization.label_smoothing
        loss = objectives.cross_entropy(logits, self.labels[chosen], self.row_weights[chosen], smoothing) / total
        if micro == 0 and plan.regularization.l1:
            loss = loss + plan.regularization.l1 * objectives.l1_penalty(self.module)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def check(self, loss: float, norm: float, batches: list[NDArray[np.int64]]) -> None:
        """Refuse to learn from what is not a number. (With fp16, the scaler itself skips gradients that overflow.)"""
        if np.isfinite(loss) and (np.isfinite(norm) or self.scaler.is_enabled()):
            return
        rows = [self.training.names[row] for row in np.concatenate(batches)[:8]]
        raise StageError(
            t("training broke down: loss {loss:g}, gradient {norm:g}", loss=loss, norm=norm),
            where=t(
                "step {step} of {total}, rows {rows}", step=self.step + 1, total=self.num_steps, rows=", ".join(rows)
            ),
            expected=t("finite numbers"),
            remedy=t("lower `optimizer.learning_rate`, raise `schedule.warmup`, or set `precision: fp32`"),
        )

    def evaluate(self) -> None:
        """Score validation, and keep the weights if they are the best so far."""
        metrics = evaluation.scores(
            evaluation.logits_of(self.module, self.validation, self.device), self.validation.labels
        )
        self.watch = self.watch.update(self.plan.early_stopping, metrics, self.step)
        if self.watch.best_step == self.step:
            self.best = {name: tensor.detach().clone() for name, tensor in self.module.state_dict().items()}
        self.history.append({"step": float(self.step), **metrics})
        self.hooks.log(self.step, **{f"validation_{name}": value for name, value in metrics.items()})

    def log(self, loss: float, rate: float, norm: float) -> None:
        now = monotonic()
        speed = self.tokens / max(now - self.logged_at, 1e-9)
        self.logged_at, self.tokens = now, 0
        self.hooks.log(self.step, loss=loss, learning_rate=rate, gradient_norm=norm, tokens_per_second=speed)

    # -- keeping -------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """A checkpoint of everything that the next step depends on."""
        optimizer, numbers = checkpoints.flatten_optimizer(self.optimizer)
        state = {
            "micro_step": 0,
            "optimizer": numbers,
            "scaler": self.scaler.state_dict(),
            "watch": asdict(self.watch),
            "history": self.history,
            "finished": self.finished,
        }
        tensors = {"weights": self.module.state_dict(), "optimizer": optimizer, "best": self.best}
        checkpoints.save(self.scratch, checkpoints.Checkpoint(self.step, tensors, state))
        self.saved_at = monotonic()

    def resume(self) -> None:
        """Go on from the newest sound checkpoint, if there is one."""
        found = checkpoints.load(self.scratch, self.hooks.say)
        if found is None:
            return
        state, self.step = found.state, found.step
        self.module.load_state_dict(dict(found.tensors["weights"]))
        checkpoints.restore_optimizer(self.optimizer, found.tensors["optimizer"], state["optimizer"])
        self.scaler.load_state_dict(dict(state["scaler"]))
        best = state["watch"]["best"]
        self.watch = Watch(**{**state["watch"], "best": tuple(best) if best else None})
        self.history = list(state["history"])
        self.best = {name: tensor.to(self.device) for name, tensor in found.tensors["best"].items()}
        self.finished = bool(state["finished"])
        if not self.finished:
            self.hooks.say(t("going on from step {step} of {total}", step=self.step, total=self.num_steps))

    def outcome(self) -> Outcome:
        """Put the best weights back and say how good they are."""
        self.module.load_state_dict(self.best)
        self.module.eval()
        logits = evaluation.logits_of(self.module, self.validation, self.device)
        metrics = evaluation.scores(logits, self.validation.labels)
        return Outcome(logits, metrics, self.watch.best_step, self.step, tuple(self.history))
