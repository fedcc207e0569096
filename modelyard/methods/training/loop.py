"""The one training loop. What is learned (objective), from what (feed), how it is judged (validator), optimizer,
schedule, precision, early stopping and checkpoints are axes that compose; each lives in its own file.

The state between two optimizer steps is all there is: weights and their average, optimizer, loss scaler, the watch of
early stopping and the best weights. Schedules, orders and dropout masks are functions of (seed, step), what was chosen
by measuring is written down, so a run that was killed at any moment goes on from its last checkpoint and ends with the
same bits. Checkpoints fall between optimizer steps, never inside an accumulation: the micro-step of a checkpoint is
always 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from modelyard.base.clock import monotonic
from modelyard.base.messages import t
from modelyard.methods.training import (
    activations,
    checkpoints,
    compiling,
    devices,
    finite,
    float8,
    optimizers,
    remembering,
    snapshots,
    spared,
)
from modelyard.methods.training.averaging import Average
from modelyard.methods.training.axes import Batch, Feed, Objective, Validator
from modelyard.methods.training.early_stopping import Watch
from modelyard.methods.training.gradients import Gradients
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.parallel.begin import begin
from modelyard.methods.training.parallel.layout import Layout
from modelyard.methods.training.parallel.together import Alone
from modelyard.methods.training.plan import Outcome, Plan
from modelyard.methods.training.saver import Saver
from modelyard.methods.training.schedules import cycle_ends, factor
from modelyard.methods.training.vitals import Vitals

__all__ = ["NAMED", "Loop", "Outcome", "Plan", "train"]

LOG_POINTS = 200
"""About so many points a curve."""
NAMED = finite.NAMED
"""Rows named in a message."""


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
        StageError: the loss or the gradient is no longer a number; names the step and the rows. Memory ran out and the
            batches cannot be cut.
    """
    hooks = hooks or Hooks()
    with devices.reproducible(device, plan.threads):
        together = begin(module, plan, device, hooks.say)
        run = Loop(together, feed, objective, validator, plan, device, scratch, hooks)
        run.resume()
        try:
            with run.prepared():
                while not run.finished:
                    run.advance()
            run.saver.wait()
        finally:
            run.saver.close()
        return run.outcome()


class Loop:
    """State of one training and the ways it moves."""

    def __init__(
        self,
        together: Alone | torch.nn.Module,
        feed: Feed,
        objective: Objective,
        validator: Validator,
        plan: Plan,
        device: torch.device,
        scratch: Path,
        hooks: Hooks,
    ) -> None:
        if isinstance(together, torch.nn.Module):
            together = begin(together, plan, device, hooks.say)
        self.together, module = together, together.module
        self.module, self.feed, self.validator = module, feed, validator
        self.plan, self.device, self.scratch, self.hooks = plan, device, scratch, together.heard(hooks)
        self.optimizer = together.arranged(optimizers.build(plan.optimizer, module, plan.learning_rate))
        self.num_steps = min(feed.epoch_steps * plan.epochs, plan.max_steps or feed.epoch_steps * plan.epochs)
        self.evaluate_every = plan.evaluate_every or feed.epoch_steps
        self.log_every = max(1, self.num_steps // LOG_POINTS)
        self.average = Average(module, plan.ema, self.num_steps) if plan.ema.decay or plan.ema.tail else None
        self.gradients = Gradients(together, objective, plan, self.num_steps, device, scratch, self.hooks.say)
        spare = together.layout.processes == 1 and not plan.checkpoint_activations
        self.on_processor = partial(spared.on_processor, module, self.gradients.masks, spare)
        self.saver = Saver(scratch, plan.keep)
        self.vitals = Vitals(device, self.hooks.say)
        self.step = 0
        self.watch = Watch()
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.finished = self.compiled = False
        self.saved_at = self.logged_at = monotonic()
        self.tokens = 0

    # -- moving on -----------------------------------------------------------------------------------------------

    def advance(self) -> None:
        """One optimizer step, and what is due after it: an evaluation, a checkpoint."""
        self.saver.check()
        self.module.train()
        self.one_step(self.feed.step(*divmod(self.step, self.feed.epoch_steps)))
        self.hooks.progress(self.step, self.num_steps, "steps")
        if self.plan.snapshots and self.step in cycle_ends(self.plan.schedule, self.num_steps):
            self.keep_snapshot()
        if self.step % self.evaluate_every == 0 or self.step == self.num_steps:
            self.evaluate()
            self.finished = self.step >= self.num_steps or self.watch.done(self.plan.early_stopping)
            self.save()
        elif self.together.agreed(monotonic() - self.saved_at >= self.plan.checkpoint_seconds):
            self.save()

    def one_step(self, batches: Sequence[Batch]) -> None:
        """One optimizer step over one or more batches, as if they were one."""
        plan = self.plan
        rate = plan.learning_rate * factor(plan.schedule, self.step, self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("scale", 1.0)
        loss = self.gradients.of(batches, self.step)
        self.gradients.scaler.unscale_(self.optimizer)
        norm = self.together.clip(plan.optimizer.clip or float("inf"))
        # With fp16 the scaler itself skips gradients that overflow.
        if not (np.isfinite(loss) and (np.isfinite(norm) or self.gradients.scaler.is_enabled())):
            raise finite.breakdown(loss, norm, self.step + 1, self.num_steps, batches)
        self.gradients.scaler.step(self.optimizer)
        self.gradients.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.gradients.end()
        self.step += 1
        self.together.after_step(self.step)
        self.tokens += sum(batch.tokens for batch in batches)
        if self.average is not None:
            self.average.update(self.step)
        if self.step % self.log_every == 0:
            self.log(loss, rate, norm)

    def evaluate(self) -> None:
        """Score validation, with averaged weights if there are any, and keep the weights if these are the best."""
        averaged = self.average.in_place() if self.average is not None else nullcontext()
        with averaged, self.together.judged() as module, compiling.eager(self.module):
            metrics = self.together.agreed(self.validator(module))
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
        points = {"loss": loss, "learning_rate": rate, "gradient_norm": norm, "tokens_per_second": speed}
        self.hooks.log(self.step, **points, **self.vitals.read())

    # -- getting ready -------------------------------------------------------------------------------------------

    def prepared(self) -> AbstractContextManager[Any]:
        """The module as it computes in training: number format, compiled or not, layers kept or computed again."""
        with ExitStack() as stack:
            if self.plan.precision == "fp8":
                stack.enter_context(float8.products(self.module))
            self.compiled = self.is_compiled()
            masks = self.gradients.masks if self.device.type == "cpu" and not self.compiled else None
            if self.plan.checkpoint_activations and not stack.enter_context(activations.recomputed(self.module, masks)):
                self.hooks.say(t("no layers in a row: `checkpoint_activations` changes nothing"))
            if masks is not None:
                stack.enter_context(self.on_processor())
            stack.enter_context(compiling.compiled(self.module, self.compiled))
            return stack.pop_all()

    def is_compiled(self) -> bool:
        """What was chosen when this run began, chosen now if it begins."""
        known = remembering.recall(self.scratch).get("compile")
        if known is not None:
            return bool(known)
        # Several processes do not measure alike: they compile only where it is said.
        if self.plan.compile == "off" or self.finished or (self.plan.compile == "auto" and self.together.readers > 1):
            return False
        left = self.num_steps - self.step
        chosen = compiling.choose(self.plan.compile, self.module, self.rehearse, left, self.device, self.hooks.say)
        remembering.remember(self.scratch, compile=chosen)
        return chosen

    def rehearse(self) -> None:
        """Forward and back over the next step's batches; nothing of it lasts."""
        self.module.train()
        before = [buffer.clone() for buffer in self.module.buffers()]
        batches = self.feed.step(*divmod(self.step, self.feed.epoch_steps))
        own = self.device.type == "cpu" and self.module._compiled_call_impl is None
        with self.on_processor() if own else nullcontext():
            self.gradients.of(batches, self.step)
        self.module.zero_grad(set_to_none=True)
        for buffer, value in zip(self.module.buffers(), before, strict=True):
            buffer.copy_(value)

    # -- keeping -------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """A checkpoint of everything that the next step depends on."""
        optimizer, numbers = checkpoints.flatten_optimizer(self.optimizer)
        state = {
            "micro_step": 0,
            "optimizer": numbers,
            "scaler": self.gradients.scaler.state_dict(),
            "watch": asdict(self.watch),
            "history": self.history,
            "finished": self.finished,
        }
        if self.together.layout.processes > 1:
            state["layout"] = asdict(self.together.layout)
        weights = checkpoints.trained_state(self.module)
        average = {} if self.average is None else self.average.values
        tensors = {"weights": weights, "optimizer": optimizer, "best": self.best, "average": average}
        packed = self.together.packed({**tensors, **self.gradients.state()})
        if self.together.is_main:
            self.saver.save(checkpoints.Checkpoint(self.step, packed, state))
        self.saved_at = monotonic()

    def keep_snapshot(self) -> None:
        """The weights at the end of a cycle. A run that was killed writes the same ones again."""
        tensors = self.together.packed({"weights": checkpoints.trained_state(self.module)})
        if self.together.is_main:
            snapshots.keep(self.scratch, self.step, tensors["weights"])

    def resume(self) -> None:
        """Go on from the newest sound checkpoint, if there is one."""
        found = self.found()
        if found is None:
            return
        state, self.step = found.state, found.step
        exact = self.is_exact(state.get("layout", {}))
        self.together.restored(self.optimizer, found.tensors, state["optimizer"], exact)
        self.gradients.scaler.load_state_dict(dict(state["scaler"]))
        self.gradients.load(found.tensors)
        if self.average is not None:
            self.average.load(self.together.like_weights(found.tensors["average"]))
        best = state["watch"]["best"]
        self.watch = Watch(**{**state["watch"], "best": tuple(best) if best else None})
        self.history = list(state["history"])
        self.best = self.together.like_weights(found.tensors["best"])
        self.finished = bool(state["finished"])
        if not self.finished:
            self.hooks.say(t("going on from step {step} of {total}", step=self.step, total=self.num_steps))

    def found(self) -> checkpoints.Checkpoint | None:
        """The newest sound checkpoint: the first process looks, the others read what it found."""
        if self.together.layout.processes == 1:
            return checkpoints.load(self.scratch, self.hooks.say)
        mine = checkpoints.newest(self.scratch, self.hooks.say) if self.together.is_main else None
        path = self.together.agreed(mine)
        return None if path is None else checkpoints.read(path)

    def is_exact(self, before: dict[str, int]) -> bool:
        """Whether a checkpoint is of this layout; says if it is not, for other bits come then."""
        now = self.together.layout
        then = Layout(**before)
        if then == now:
            return True
        words = t("approximate: the checkpoint is of another layout ({then}), this is {now}", then=then, now=now)
        self.hooks.say(words)
        return False

    def outcome(self) -> Outcome:
        """Put the best weights back."""
        self.together.finish(self.best)
        best = next(entry for entry in self.history if entry["step"] == self.watch.best_step)
        metrics = {name: value for name, value in best.items() if name != "step"}
        return Outcome(metrics, self.watch.best_step, self.step, tuple(self.history), self.compiled)
