"""Weights at the ends of the cycles of a schedule, on their way to be members of one model (Huang et al. 2017,
"Snapshot Ensembles: Train 1, Get M for Free").

They lie beside the checkpoints of a run. What is written is a function of the step, so a run that was killed and takes
the step again writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save

from modelyard.base import files

FOLDER = "snapshots"


def keep(scratch: Path, step: int, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the weights after `step` optimizer steps, durably."""
    folder = scratch / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(weights.items())}
    files.write_atomic(folder / f"{step:09d}.safetensors", save(tensors))


def paths(scratch: Path, last: int) -> list[Path]:
    """Files of the last so many snapshots, in the order of steps."""
    return sorted((scratch / FOLDER).glob("[0-9]*.safetensors"))[-last:]
