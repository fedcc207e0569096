"""Runtime `openvino`: OpenVINO on the CPU."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.quiet_openvino import openvino

FILE = "model.xml"
OUTPUT = "logits"


class OpenvinoNetwork:
    """Implements `batching.Network`. A request serves one thread at a time; idle ones wait in a queue."""

    token_budget = 512

    def __init__(self, path: Path, threads: int | None) -> None:
        library = openvino()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            # Without this, processors with bf16 answer differently from those without.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        if threads:
            settings["INFERENCE_NUM_THREADS"] = str(threads)
        try:
            self._compiled: Any = library.Core().compile_model(str(path), "CPU", settings)
        except RuntimeError as error:
            raise InputError(t("OpenVINO cannot load the model: {error}", error=error), where=str(path)) from None
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.input_names = tuple(value.any_name for value in self._compiled.inputs)
        self.runtime = f"openvino {library.__version__.split('-')[0]}"
        names = [name for value in self._compiled.outputs for name in value.names]
        if OUTPUT not in names:
            found = t("the outputs are {names}", names=", ".join(sorted(names)))
            raise InputError(found, where=str(path), expected=f"`{OUTPUT}` [rows, classes]")

    def logits(self, arrays: Arrays) -> NDArray[np.float32]:
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            request.infer(arrays, share_inputs=True)
            result: NDArray[np.float32] = request.get_tensor(OUTPUT).data.copy()
        finally:
            self._idle.put(request)
        return result

    def close(self) -> None:
        self._idle = queue.SimpleQueue()
        self._compiled = None


def open_network(folder: Path, card: ModelCard, threads: int | None) -> OpenvinoNetwork:
    return OpenvinoNetwork(folder / FILE, threads)
