"""What the torch runtimes (`hf`, `modelyard`) share: a module in evaluation mode that answers arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.methods.runtimes.batching import Arrays


class TorchNetwork:
    """Implements `batching.Network` with a module in fp32 on the CPU.

    Args:
        answering: computes the module's logits with its weights and less work; the module itself by default.
    """

    token_budget = 512

    def __init__(
        self,
        module: torch.nn.Module,
        input_names: tuple[str, ...],
        threads: int | None,
        answering: torch.nn.Module | None = None,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._module: torch.nn.Module | None = module.eval()
        self._answering: torch.nn.Module | None = answering or module
        self.input_names = input_names
        self.runtime = f"torch {torch.__version__}"

    def logits(self, arrays: Arrays) -> NDArray[np.float32]:
        if self._answering is None:
            raise RuntimeError("the predictor is closed")
        with torch.inference_mode():
            output: Any = self._answering(**{name: torch.from_numpy(array) for name, array in arrays.items()})
        logits = output if isinstance(output, torch.Tensor) else output.logits
        result: NDArray[np.float32] = logits.float().numpy()
        return result

    @property
    def module(self) -> torch.nn.Module:
        """The network itself, in evaluation mode, for who needs its gradients."""
        if self._module is None:
            raise RuntimeError("the predictor is closed")
        return self._module

    def close(self) -> None:
        self._module = self._answering = None
