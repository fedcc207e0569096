"""Runtime `modelyard`: a network of the closed table in methods/networks, computed by torch."""

from __future__ import annotations

from pathlib import Path

from modelyard.methods import networks
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.torch_network import TorchNetwork


def open_network(folder: Path, card: ModelCard, threads: int | None) -> TorchNetwork:
    module = networks.load(folder, card.network)
    return TorchNetwork(module, tuple(module.input_names), threads)
