"""Runtimes: one `load` for a model in any format; a runtime is one file, named in `model.json`'s `format`.

A model folder holds `model.json` (`ModelCard` in model_folder.py), its weights and its preprocessing files. Each
runtime module has `open_network(folder, card, threads) -> Network`; everything around it (preprocessing, batching by
length, answers) is the same for all tasks that give a row of numbers a record, and lives in batching.py. Tasks that
answer otherwise (spans, generated text) name another module as their opener. Heavy libraries are imported by the
runtime that needs them only: an ONNX model is served without torch.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.runtimes.predictor import Predictor

FORMATS = ("ensemble", "gbdt", "hf", "modelyard", "onnx", "openvino", "recorded")
WHOLE = ("ensemble", "recorded")
"""The formats that have a runtime; each is a module of this package. Those of WHOLE open models of any task."""


def load(path: Path | str, threads: int | None = None, *, token_budget: int | None = None) -> Predictor:
    """Open a model folder of any format. Its files are checked before anything parses them.

    Texts longer than the model's `max_length` are cut there, the end is not read.

    Args:
        path: the model folder.
        threads: threads inside one call of the engine; None leaves it to the engine (all cores). For the torch
            runtimes this is a setting of the whole process.
        token_budget: padded tokens computed in one go: a batch is sorted by length and cut into such pieces. None takes
            what was measured best for the engine.

    Raises:
        InputError: the folder is not a model, names files outside itself, brings code, or its parts do not fit.
        DependencyError: the library of that format is not installed.
    """
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.runtimes.validation import check, refuse

    folder = Path(path)
    card = ModelCard.read(folder)
    refuse(check(folder, card))
    return open_checked(folder, card, threads, token_budget)


def open_checked(folder: Path, card: ModelCard, threads: int | None, token_budget: int | None) -> Predictor:
    """Open a model folder that `validation.check` has passed: those of WHOLE by their format, others by their task."""
    from modelyard.methods import tasks

    name = card.format if card.format in WHOLE else tasks.find(card.task).opener
    opener = importlib.import_module(f"{__name__}.{name}")
    predictor: Predictor = opener.open_predictor(folder, card, threads, token_budget)
    return predictor
