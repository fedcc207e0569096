"""The one training loop. What is learned (objective), from what (feed), how it is judged (validator), optimizer,
schedule, precision, early stopping and checkpoints are axes that compose; each lives in its own file.

The state between two optimizer steps is all there is: weights, optimizer, loss scaler, the watch of early stopping and
the best weights. Schedules, orders and dropout masks are functions of (seed, step), so a run that was killed at any
moment goes on from its last checkpoint and ends with the same bits. Checkpoints fall between optimizer steps, never
inside an accumulation: the micro-step of a checkpoint is always 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from modelyard.base.clock import monotonic
from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.training import checkpoints, devices, dropout, objectives, optimizers, precision
from modelyard.methods.training.axes import Batch, Feed, Objective, Validator
from modelyard.methods.training.early_stopping import Watch
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.schedules import factor
from modelyard.methods.training.settings import EarlyStopping, Loss, Optimizer, Regularization, Schedule

LOG_POINTS = 200
"""About so many points a curve."""
NAMED = 8
"""Rows named in a message."""


@dataclass(frozen=True)
class Plan:
    """How to train, whatever is learned.

    Attributes:
        epochs: passes over the training rows, at most.
        batch_size: rows of one forward pass.
        accumulation: forward passes a step; the step is that of one batch `accumulation` times as large.
        learning_rate: peak.
        max_steps: optimizer steps, at most; None: as many as the epochs have.
        evaluate_every: optimizer steps between evaluations; None: at the end of each epoch.
        precision: `fp32`, `bf16` or `fp16`.
        threads: of the CPU; the result depends on them.
        checkpoint_seconds: at least so long between two checkpoints that are not at an evaluation.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    seed: int = 0
    accumulation: int = 1
    max_steps: int | None = None
    evaluate_every: int | None = None
    precision: str = "fp32"
    threads: int = 1
    checkpoint_seconds: float = 30.0
    optimizer: Optimizer = field(default_factory=Optimizer)
    schedule: Schedule = field(default_factory=Schedule)
    loss: Loss = field(default_factory=Loss)
    regularization: Regularization = field(default_factory=Regularization)
    early_stopping: EarlyStopping = field(default_factory=EarlyStopping)


@dataclass(frozen=True)
class Outcome:
    """What training ends in; the module holds the best weights.

    Attributes:
        metrics: of the best weights, as the validator measured them.
        best_step, steps: optimizer steps at the best evaluation, and done in all.
        history: one entry an evaluation: step and metrics.
    """

    metrics: Mapping[str, float]
    best_step: int
    steps: int
    history: tuple[Mapping[str, float], ...]


def train(
    module: torch.nn.Module,
    feed: Feed,
    objective: Objective,
    validator: Validator,
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
        run = Loop(module.to(device), feed, objective, validator, plan, device, scratch, hooks or Hooks())
        run.resume()
        with dropout.fast(run.module, run.masks) if device.type == "cpu" else nullcontext():
            while not run.finished:
                run.advance()
        return run.outcome()


class Loop:
    """State of one training and the ways it moves."""

    def __init__(
        self,
        module: torch.nn.Module,
        feed: Feed,
        objective: Objective,
        validator: Validator,
        plan: Plan,
        device: torch.device,
        scratch: Path,
        hooks: Hooks,
    ) -> None:
        self.module, self.feed, self.objective, self.validator = module, feed, objective, validator
        self.plan, self.device, self.scratch, self.hooks = plan, device, scratch, hooks
        self.optimizer = optimizers.build(plan.optimizer, module, plan.learning_rate)
        self.masks = dropout.Masks()
        self.scaler = precision.scaler(plan.precision, device)
        self.num_steps = min(feed.epoch_steps * plan.epochs, plan.max_steps or feed.epoch_steps * plan.epochs)
        self.evaluate_every = plan.evaluate_every or feed.epoch_steps
        self.log_every = max(1, self.num_steps // LOG_POINTS)
        self.step = 0
        self.watch = Watch()
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.finished = False
        self.saved_at = self.logged_at = monotonic()
        self.tokens = 0

    # -- moving on -----------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """One optimizer step, and what is due after it: an evaluation, a checkpoint."""
        self.module.train()
        self.one_step(self.feed.step(*divmod(self.step, self.feed.epoch_steps)))
        self.hooks.progress(self.step, self.num_steps, "steps")
        if self.step % self.evaluate_every == 0 or self.step == self.num_steps:
            self.evaluate()
            self.finished = self.step >= self.num_steps or self.watch.done(self.plan.early_stopping)
            self.save()
        elif monotonic() - self.saved_at >= self.plan.checkpoint_seconds:
            self.save()

    def one_step(self, batches: Sequence[Batch]) -> None:
        """One optimizer step over one or more batches, as if they were one."""
        plan = self.plan
        rate = plan.learning_rate * factor(plan.schedule, self.step, self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        total = sum(batch.weight for batch in batches)
        losses = [self.backward(batch, micro, total) for micro, batch in enumerate(batches)]
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

    def backward(self, batch: Batch, micro: int, total: float) -> float:
        """Add one batch's gradient; returns its share of the loss."""
        plan = self.plan
        self.tokens += batch.tokens
        seed_torch(plan.seed, "forward", self.step, micro)
        self.masks.seek(plan.seed, self.step, micro)
        with precision.autocast(plan.precision, self.device):
            loss = self.objective(self.module, batch) / total
        if micro == 0:
            loss = loss + objectives.penalty(self.module, plan.regularization.l1, plan.regularization.l2)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    def check(self, loss: float, norm: float, batches: Sequence[Batch]) -> None:
        """Refuse to learn from what is not a number. (With fp16, the scaler itself skips gradients that overflow.)"""
        if np.isfinite(loss) and (np.isfinite(norm) or self.scaler.is_enabled()):
            return
        rows = [name for batch in batches for name in batch.names][:NAMED]
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
        metrics = self.validator(self.module)
        self.watch = self.watch.update(self.plan.early_stopping, metrics, self.step)
        if self.watch.best_step == self.step:
            state = checkpoints.trained_state(self.module)
            self.best = {name: tensor.detach().clone() for name, tensor in state.items()}
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
        weights = checkpoints.trained_state(self.module)
        tensors = {"weights": weights, "optimizer": optimizer, "best": self.best}
        checkpoints.save(self.scratch, checkpoints.Checkpoint(self.step, tensors, state))
        self.saved_at = monotonic()

    def resume(self) -> None:
        """Go on from the newest sound checkpoint, if there is one."""
        found = checkpoints.load(self.scratch, self.hooks.say)
        if found is None:
            return
        state, self.step = found.state, found.step
        checkpoints.restore_trained(self.module, found.tensors["weights"])
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
        """Put the best weights back."""
        checkpoints.restore_trained(self.module, self.best)
        self.module.eval()
        best = next(entry for entry in self.history if entry["step"] == self.watch.best_step)
        metrics = {name: value for name, value in best.items() if name != "step"}
        return Outcome(metrics, self.watch.best_step, self.step, tuple(self.history))
