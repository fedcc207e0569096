"""A process that trains on the device it is told, `fake` or `cpu`: `python -m support.train_on_fake DEVICE FOLDER`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from support import fake_device

ROWS = 48


class Small(torch.nn.Module):
    """A layer, a norm, a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(5, 8), torch.nn.LayerNorm(8), torch.nn.GELU(), torch.nn.Linear(8, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.layers(x)
        return found


def main() -> None:
    device, scratch = sys.argv[1], Path(sys.argv[2])
    os.environ["MODELYARD_DEVICE"] = device
    if device == fake_device.NAME:
        fake_device.register()
    sys.stdout.write(json.dumps(train(scratch)) + "\n")


def train(scratch: Path) -> dict[str, object]:
    from modelyard.methods.training import devices, fixed, loop
    from modelyard.methods.training.settings import EarlyStopping

    chosen = devices.pick()
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.normal(size=(ROWS, 5)).astype(np.float32))
    values = x[:, 0] - 2 * x[:, 1]
    torch.manual_seed(1)
    module = Small().to(chosen)
    stopping = EarlyStopping(metric="loss", patience=0)
    plan = loop.Plan(3, 8, 1e-2, seed=4, checkpoint_seconds=0, early_stopping=stopping)
    weights = np.ones(ROWS, np.float32)
    read = lambda rows, epoch: {"x": x[torch.from_numpy(rows)]}  # noqa: E731
    feed = fixed.FixedFeed(read, {"values": values}, weights, [str(row) for row in range(ROWS)], plan, chosen)
    places: list[str] = []

    def validate(module: torch.nn.Module) -> dict[str, float]:
        places.append(next(module.parameters()).device.type)
        with torch.no_grad():
            outputs = module(x.to(chosen)).cpu()
        return {"loss": float((outputs[:, 0] - values).square().mean())}

    loop.train(module, feed, fixed.SquaredError(), validate, plan, chosen, scratch)
    devices.synchronize(chosen)
    devices.release(chosen)
    return {
        "device": chosen.type,
        "described": devices.describe(chosen),
        "places": sorted(set(places)),
        "weights": torch.cat([one.detach().cpu().flatten() for one in module.parameters()]).tolist(),
        "loss": validate(module)["loss"],
        "operations": sum(fake_device.calls.values()),
        "asked": [fake_device.Module.synchronized, fake_device.Module.emptied],
    }


if __name__ == "__main__":
    main()
