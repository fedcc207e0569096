"""Batch normalisation after a merge: means and variances are not those of the merged weights, so they are measured
anew on training rows (Izmailov et al. 2018, section 3.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from modelyard.methods import networks, preprocessing
from modelyard.methods.runtimes import hf
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.reading import reading

BATCH = 32


def measure(folder: Path, records: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Statistics by name of the network in a model folder, each the plain mean over the batches of the records."""
    card = ModelCard.read(folder)
    module, names = _open(folder, card)
    layers = [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain mean over batches
        layer.train()
    reader, task = preprocessing.load(folder, card.preprocessing), reading(card)
    with torch.inference_mode():
        for start in range(0, len(records), BATCH):
            batch = records[start : start + BATCH]
            if len(batch) < 2 and start:
                break  # one row has no variance
            arrays = reader.encode(task.values(batch))
            module(**{name: torch.from_numpy(arrays[name]) for name in names})
    kept = ("running_mean", "running_var", "num_batches_tracked")
    return {name: value.clone() for name, value in module.state_dict().items() if name.endswith(kept)}


def _open(folder: Path, card: ModelCard) -> tuple[Any, tuple[str, ...]]:
    """The network in evaluation mode and the arrays it takes."""
    if card.format == "modelyard":
        module: Any = networks.load(folder, card.network)
        return module, tuple(module.input_names)
    image = card.task.startswith("image")
    kind = "AutoModelForImageClassification" if image else "AutoModelForSequenceClassification"
    return hf.open_module(folder, None, kind), hf.IMAGE_INPUT_NAMES if image else hf.INPUT_NAMES
