"""To ONNX: one file, dynamic in rows and length, compared with its source on real inputs before it is believed.

The graph comes from `torch.export` through the exporter of torch (`dynamo=True`): no tracing with one input's shapes
burned in.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods import networks
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.hf import INPUT_NAMES as HF_INPUT_NAMES
from modelyard.methods.runtimes.hf import open_module
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.modelyard import input_names
from modelyard.methods.runtimes.onnx import FILE, OUTPUT, OnnxNetwork
from modelyard.methods.runtimes.validation import check, refuse

OPSET = 20
TOLERANCE = 1e-3
"""Largest difference of a logit that still counts as the same network (measured on sound exports: 1e-5 and less)."""

WIDTHS = {"input_ids": "tokens", "attention_mask": "tokens", "ngram_ids": "ngrams", "ngram_weights": "ngrams"}
"""Name of the second, dynamic axis of each input."""


@dataclass(frozen=True)
class Exported:
    """What `export` made.

    Attributes:
        path: model.onnx.
        input_names: in the order of the graph.
        max_error: largest absolute difference of a logit from the source, over the batches compared.
    """

    path: Path
    input_names: tuple[str, ...]
    max_error: float


class _Logits(torch.nn.Module):
    """The module with its inputs in a fixed order and logits as its only output."""

    def __init__(self, module: torch.nn.Module, input_names: tuple[str, ...]) -> None:
        super().__init__()
        self.module = module
        self.input_names = input_names

    def forward(self, *arrays: torch.Tensor) -> torch.Tensor:
        output: Any = self.module(**dict(zip(self.input_names, arrays, strict=True)))
        logits: torch.Tensor = output if isinstance(output, torch.Tensor) else output.logits
        return logits


def source_module(folder: Path, card: ModelCard) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """The torch module of a model folder and the names of its inputs. Raises InputError if it has none."""
    refuse(check(folder, card))
    if card.format == "hf":
        return open_module(folder, attention="eager"), HF_INPUT_NAMES
    if card.format == "modelyard":
        module = networks.load(folder, card.network)
        return module, input_names(module)
    raise InputError(
        t("a model of format `{format}` cannot be exported again", format=card.format),
        where=str(folder),
        expected="hf, modelyard",
        remedy=t("name the trained model as the input: `in: {model: <training step>}`"),
    )


def export(
    folder: Path, card: ModelCard, target: Path, batches: Sequence[Arrays], tolerance: float = TOLERANCE
) -> Exported:
    """Write the network of `folder` to `target/model.onnx`.

    Args:
        batches: at least one batch of real arrays, of several lengths if there can be: what the result is checked on.
        tolerance: largest difference of a logit allowed.

    Raises:
        InputError: the model has no torch form.
        StageError: the exporter fails, or ONNX Runtime answers differently from torch.
    """
    module, names = source_module(folder, card)
    wrapped = _Logits(module, names).eval()
    path = target / FILE
    _write(wrapped, _example(batches[0], names), names, path)
    error = max(_difference(wrapped, path, [{name: batch[name] for name in names} for batch in batches]))
    if not error <= tolerance:
        raise StageError(
            t("the exported network differs from its source by {error:.2g}", error=error),
            where=str(path),
            expected=t("at most {tolerance}", tolerance=tolerance),
            remedy=t("please report it; another `engine` does not help, both start from this file"),
        )
    return Exported(path, names, error)


def _example(batch: Arrays, names: Sequence[str]) -> tuple[torch.Tensor, ...]:
    """Two rows at least: torch.export burns in a size of 1."""
    rows = {name: batch[name][:2] for name in names}
    if any(array.shape[0] < 2 for array in rows.values()):
        rows = {name: np.repeat(array, 2, axis=0) for name, array in rows.items()}
    if any(array.shape[1] < 2 for array in rows.values()):
        rows = {name: np.repeat(array, 2, axis=1) for name, array in rows.items()}
    return tuple(torch.from_numpy(np.ascontiguousarray(rows[name])) for name in names)


def _write(module: torch.nn.Module, example: tuple[torch.Tensor, ...], names: Sequence[str], path: Path) -> None:
    rows = torch.export.Dim("rows", min=1, max=1 << 16)
    widths = {axis: torch.export.Dim(axis, min=1, max=1 << 16) for axis in WIDTHS.values()}
    shapes = tuple({0: rows, 1: widths[WIDTHS[name]]} for name in names)
    try:
        with torch.inference_mode(), _quiet():
            program: Any = torch.onnx.export(
                module,
                example,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(names),
                output_names=[OUTPUT],
                dynamic_shapes=(shapes,),
                verbose=False,
            )
            onnx.save_model(strip(program.model_proto), path)
    except Exception as error:  # the exporter raises from many libraries
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise StageError(t("the network cannot be exported to ONNX: {error}", error=first), where=str(path)) from error


def strip(model: Any) -> Any:
    """Without what names the machine it was made on (stack traces, class paths) and without stale shapes."""
    del model.graph.value_info[:], model.metadata_props[:], model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    for item in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    return model


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints its progress and warns about its own internals; neither is for the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _difference(module: torch.nn.Module, path: Path, batches: Sequence[Arrays]) -> Iterator[float]:
    network = OnnxNetwork(path, None)
    try:
        for batch in batches:
            with torch.inference_mode():
                wanted = module(*(torch.from_numpy(array) for array in batch.values())).numpy()
            yield largest_difference(wanted, network.logits(batch))
    finally:
        network.close()


def largest_difference(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """Largest absolute difference; infinite if shapes differ or either is not a number."""
    if wanted.shape != found.shape or not (np.isfinite(wanted).all() and np.isfinite(found).all()):
        return float("inf")
    return float(np.abs(wanted - found).max(initial=0.0))


def metadata(card: ModelCard) -> Mapping[str, Any]:
    """What model.json of an exported model takes over from its source."""
    return {
        "task": card.task,
        "labels": card.labels,
        "preprocessing": card.preprocessing,
        "inputs": card.inputs,
        "outputs": card.outputs,
        "licence": card.licence,
    }
