"""Runtime `onnx`: ONNX Runtime on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.batching import Arrays
from modelyard.methods.runtimes.model_folder import ModelCard

FILE = "model.onnx"
OUTPUT = "logits"


class OnnxNetwork:
    """Implements `batching.Network`. A session may be run from several threads at once."""

    token_budget = 256

    def __init__(self, path: Path, threads: int | None) -> None:
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Waiting threads must not spin: the processor they burn is the server's.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the library's exceptions share no base class
            raise InputError(t("ONNX Runtime cannot load the model: {error}", error=error), where=str(path)) from None
        self.input_names = tuple(value.name for value in self._session.get_inputs())
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        names = [value.name for value in self._session.get_outputs()]
        if OUTPUT not in names:
            found = t("the outputs are {names}", names=", ".join(names))
            raise InputError(found, where=str(path), expected=f"`{OUTPUT}` [rows, classes]")

    def logits(self, arrays: Arrays) -> NDArray[np.float32]:
        result: NDArray[np.float32] = self._session.run([OUTPUT], arrays)[0]
        return result

    def close(self) -> None:
        self._session = None


def open_network(folder: Path, card: ModelCard, threads: int | None) -> OnnxNetwork:
    return OnnxNetwork(folder / FILE, threads)
