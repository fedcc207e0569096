"""Opens a model for measuring and leaves the process as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelyard.methods import runtimes
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Predictor

TORCH_FORMATS = ("ensemble", "hf", "modelyard")


@contextmanager
def opened(folder: Path, threads: int | None, token_budget: int | None = None) -> Iterator[Predictor]:
    """A predictor that is closed at the end. For PyTorch, threads are a setting of the whole process: it is put back,
    else every later step in this process would run with the threads of a latency measurement.

    Args:
        token_budget: of `runtimes.load`.
    """
    with _same_torch_threads(folder, threads):
        predictor = runtimes.load(folder, threads=threads, token_budget=token_budget)
        try:
            yield predictor
        finally:
            predictor.close()


@contextmanager
def _same_torch_threads(folder: Path, threads: int | None) -> Iterator[None]:
    if threads is None or ModelCard.read(folder).format not in TORCH_FORMATS:
        yield
        return
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
