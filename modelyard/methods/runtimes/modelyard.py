"""Runtime `modelyard`: a network of the closed table in methods/networks, computed by torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelyard.methods import networks
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.torch_network import TorchNetwork


def open_network(folder: Path, card: ModelCard, threads: int | None) -> TorchNetwork:
    module = networks.load(folder, card.network)
    return TorchNetwork(module, input_names(module), threads)


def input_names(module: Any) -> tuple[str, ...]:
    """The arrays a network of the closed table takes, in the order of its `forward`."""
    return tuple(module.input_names)
