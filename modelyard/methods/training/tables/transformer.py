"""The FT-Transformer, trained by the loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.methods import networks
from modelyard.methods.preprocessing.table import Table
from modelyard.methods.training import classification, devices, fixed, loop, quantiles
from modelyard.methods.training.fair import arranging
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.fair.dro import GROUPS
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.random import seed_torch
from modelyard.methods.training.settings_tables import Transformer
from modelyard.methods.training.tables.learned import Learned, shape_of

Arrays = Mapping[str, NDArray[Any]]
FOLDER = "ft_transformer"
"""Below the scratch folder: checkpoints and snapshots."""
LEARNING_RATE, BATCH_SIZE, EPOCHS = 1e-3, 256, 40
SIZE = 256
"""Rows computed in one go where nothing is learned."""


def train(
    table: Table,
    training: Arrays,
    validation: Arrays,
    targets: tuple[NDArray[Any], NDArray[Any]],
    weights: NDArray[np.float32],
    names: list[str],
    num_labels: int,
    settings: Transformer,
    plan: loop.Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
    fair: Fair | None = None,
    levels: tuple[float, ...] = (),
) -> Learned:
    """Train from fresh weights. Quantities are learned with mean 0 and variance 1; the last layer puts them back.

    Args:
        targets: of training and validation.
        num_labels: 0: the targets are quantities.
        fair: groups to mind, of classes.
        levels: of the quantiles to learn beside a quantity.
    """
    spec = _spec(table, num_labels or 1 + len(levels), settings, plan)
    with devices.reproducible(torch.device("cpu"), plan.threads):
        seed_torch(plan.seed, "weights", 0)
        module = networks.build(spec)
    read = _reader(validation)
    mean, deviation = (0.0, 1.0) if num_labels else (float(targets[0].mean()), float(targets[0].std()) or 1.0)
    validator: Any
    if num_labels:
        goal = {"labels": torch.from_numpy(targets[0])}
        objective: Any = classification.objective_of(plan)
        validator = fixed.ClassScores(read, targets[1], device)
    else:
        goal = {"values": torch.from_numpy(((targets[0] - mean) / deviation).astype(np.float32))}
        inner = (targets[1] - mean) / deviation
        objective = quantiles.SquaredAndPinball(levels) if levels else fixed.SquaredError()
        validator = fixed.NumberScores(read, inner, device)
        if levels:
            validator = quantiles.QuantileScores(read, inner, levels, device)
        plan = replace(plan, early_stopping=plan.early_stopping.model_copy(update={"metric": "loss"}))
    cells = None if fair is None else arranging.cells_of(fair, targets)
    if cells is not None:
        goal[GROUPS] = torch.from_numpy(cells.training)
    feed = fixed.FixedFeed(_reader(training), goal, weights, names, plan, device)
    run = arranging.Run(module, feed, objective, validator, plan)
    if fair is not None and cells is not None:
        run = arranging.arranged(
            run, fair, cells, targets[1], lambda one: fixed.outputs_of(one, read, len(targets[1]), device, SIZE)
        )
    outcome = loop.train(run.module, run.feed, run.objective, run.validator, run.plan, device, scratch, hooks)
    module = module.cpu()
    put_back(module, (mean, deviation))
    outputs = fixed.outputs_of(module.eval(), read, len(targets[1]), torch.device("cpu"), SIZE)
    details = {
        "steps": outcome.steps,
        "best_step": outcome.best_step,
        **{name: getattr(plan, name) for name in ("learning_rate", "batch_size", "epochs", "precision", "threads")},
    }
    num = sum(parameter.numel() for parameter in module.parameters())
    return Learned("ft_transformer", table, outputs, num, details, module=module, network=spec, unit=(mean, deviation),
                   levels=levels)  # fmt: skip


def _spec(table: Table, num_outputs: int, settings: Transformer, plan: loop.Plan) -> dict[str, Any]:
    dropout = plan.regularization.dropout
    return {
        "kind": "ft_transformer",
        **shape_of(table, num_outputs),
        "width": settings.width,
        "layers": settings.layers,
        "heads": settings.heads,
        "hidden": settings.width * 4 // 3,
        "dropout": 0.2 if dropout is None else dropout,
        "hidden_dropout": 0.1 if dropout is None else dropout,
    }


def _reader(arrays: Arrays) -> fixed.Read:
    tensors = {name: torch.from_numpy(arrays[name]) for name in ("numbers", "categories")}

    def read(rows: NDArray[np.int64], epoch: int | None) -> Mapping[str, torch.Tensor]:
        chosen = torch.from_numpy(rows)
        return {name: values[chosen] for name, values in tensors.items()}

    return read


def put_back(module: Any, unit: tuple[float, float]) -> None:
    """The head answers in the target's own unit: its mean and deviation."""
    mean, deviation = unit
    with torch.no_grad():
        module.head.weight.mul_(deviation)
        module.head.bias.mul_(deviation).add_(mean)
