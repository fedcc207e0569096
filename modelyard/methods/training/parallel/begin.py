"""From settings to a layout that trains: what cannot go together is refused, what was chosen is said."""

from __future__ import annotations

import torch
from torch import nn

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.training.hooks import Say
from modelyard.methods.training.parallel import layout as layouts
from modelyard.methods.training.parallel import world
from modelyard.methods.training.parallel.compression import reducer
from modelyard.methods.training.parallel.layout import Layout
from modelyard.methods.training.parallel.together import Alone, Copies
from modelyard.methods.training.plan import Plan

CUT_OPTIMIZERS = ("adamw", "sgd", "lion")


def begin(module: nn.Module, plan: Plan, device: torch.device, say: Say) -> Alone:
    """The module laid out over the processes that there are.

    Raises:
        InputError: settings that do not go with the layout, or with the number of processes.
    """
    num_weights = sum(one.numel() for one in module.parameters())
    layout = layouts.settle(plan.parallel, world.size(), num_weights, device)
    if layout.processes == 1:
        return Alone(module.to(device), layout, device)
    _check(plan, layout)
    if world.rank() == 0:
        words = t("{processes} processes: {layout}", processes=layout.processes, layout=layout)
        say(f"{words}; {_reason(plan, layout, num_weights)}")
    # What cuts a model takes 60 MiB to import: only for those who cut.
    if layout.pipeline > 1:
        from modelyard.methods.training.parallel.pipeline import Pipelined

        return Pipelined(module, layout, device, plan)
    if layout.cuts_model:
        from modelyard.methods.training.parallel.cut import Cut

        return Cut(module, layout, device)
    if plan.parallel.synchronize_every > 1:
        from modelyard.methods.training.parallel.local_steps import LocalSteps

        return LocalSteps(module.to(device), layout, device, plan.parallel)
    return Copies(module.to(device), layout, device, reducer(plan.parallel, plan.seed))


def _reason(plan: Plan, layout: Layout, num_weights: int) -> str:
    need = num_weights * layouts.BYTES_A_WEIGHT / 2**20
    settings = plan.parallel
    if settings.layout != "auto" or settings.data != "auto" or settings.shard != "auto":
        return t("as the settings say")
    if layout.shard > 1:
        return t("a whole copy would take {need:,.0f} MiB, too much for each", need=need)
    return t("a whole copy takes {need:,.0f} MiB, which each can hold", need=need)


def _check(plan: Plan, layout: Layout) -> None:
    """Raises InputError with everything that does not go with the layout."""
    one_step = plan.parallel.synchronize_every == 1
    wrong = [
        (layout.cuts_model and plan.optimizer.name not in CUT_OPTIMIZERS, "optimizer.name", plan.optimizer.name),
        (layout.cuts_model and plan.precision in ("fp16", "fp8"), "compute.precision", plan.precision),
        (not one_step and plan.precision == "fp16", "compute.precision", plan.precision),
        (layout.cuts_model and plan.compile == "on", "compute.compile", plan.compile),
        (layout.cuts_model and plan.regularization.l1 > 0, "regularization.l1", plan.regularization.l1),
        (layout.cuts_model and plan.regularization.l2 > 0, "regularization.l2", plan.regularization.l2),
        (layout.pipeline > 1 and plan.optimizer.unfreeze > 0, "optimizer.unfreeze", plan.optimizer.unfreeze),
        (layout.pipeline > 1 and plan.optimizer.layer_decay < 1, "optimizer.layer_decay", plan.optimizer.layer_decay),
        (layout.pipeline > 1 and plan.checkpoint_activations, "compute.checkpoint_activations", "true"),
        (not one_step and plan.ema.decay > 0, "ema.decay", plan.ema.decay),
        (not one_step and plan.ema.tail > 0, "ema.tail", plan.ema.tail),
    ]
    found = [
        Problem(
            where,
            t("{value} does not go with this layout: {layout}", value=value, layout=_name(plan, layout)),
            remedy=t("leave it out, or train with `layout: data`"),
        )
        for is_wrong, where, value in wrong
        if is_wrong
    ]
    if found:
        raise InputError.of(found)


def _name(plan: Plan, layout: Layout) -> str:
    every = plan.parallel.synchronize_every
    return str(layout) if every == 1 else f"{layout}, synchronize_every {every}"
