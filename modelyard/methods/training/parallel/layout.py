"""How many processes do what: settled from the settings, the number of processes, the model's size and the memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import devices
from modelyard.methods.training.settings_parallel import Parallel

BYTES_A_WEIGHT = 16
"""Of training in fp32 with Adam: the weight, its gradient, two averages."""
SHARE = 0.6
"""Of the memory that these may take; the rest is for activations."""


@dataclass(frozen=True)
class Layout:
    """Processes of each kind; their product is the number of processes.

    Attributes:
        data: groups that each hold a whole copy and read their own rows.
        shard: processes that share the weights of a copy and read their own rows too.
        tensor: processes that share the matrices of each layer, of the same rows.
        pipeline: processes that hold layers one after the other.
    """

    data: int = 1
    shard: int = 1
    tensor: int = 1
    pipeline: int = 1

    @property
    def processes(self) -> int:
        return self.data * self.shard * self.tensor * self.pipeline

    @property
    def readers(self) -> int:
        """Parts that a batch is cut into."""
        return self.data * self.shard

    @property
    def cuts_model(self) -> bool:
        """Whether no process holds the whole model."""
        return self.shard * self.tensor * self.pipeline > 1

    def __str__(self) -> str:
        parts = ((name, getattr(self, name)) for name in ("data", "shard", "tensor", "pipeline"))
        return " · ".join(f"{name} {count}" for name, count in parts if count > 1) or "data 1"


def settle(parallel: Parallel, processes: int, num_weights: int, device: torch.device) -> Layout:
    """The layout for so many processes.

    Args:
        num_weights: of the whole model.

    Raises:
        InputError: the settings ask for another number of processes.
    """
    fixed = parallel.tensor * parallel.pipeline
    rest = processes // fixed
    if processes % fixed:
        raise _mismatch(parallel, processes)
    data, shard = parallel.data, parallel.shard
    if data == "auto" and shard == "auto":
        whole = parallel.layout == "data" or parallel.pipeline > 1 or only_data(parallel)
        whole = whole or (parallel.layout == "auto" and _fits(num_weights // fixed, processes, device))
        data, shard = (rest, 1) if whole else (1, rest)
    elif data == "auto":
        data = rest // int(shard)
    elif shard == "auto":
        # A number of groups says how many hold a copy each; the rest shares one, unless the layout forbids it.
        shard = 1 if parallel.layout == "data" or parallel.pipeline > 1 else rest // data
    found = Layout(int(data), int(shard), parallel.tensor, parallel.pipeline)
    if found.processes != processes:
        raise _mismatch(parallel, processes)
    return found


def only_data(parallel: Parallel) -> bool:
    """Whether a setting is chosen that whole copies alone can follow."""
    return parallel.compression != "none" or parallel.synchronize_every > 1


def _fits(num_weights: int, processes: int, device: torch.device) -> bool:
    """Whether every process can hold a whole copy, with what its training needs."""
    memory = devices.memory_bytes(device)
    if memory is None:
        return True
    each = memory / processes if device.type == "cpu" else memory
    return num_weights * BYTES_A_WEIGHT <= SHARE * each


def _mismatch(parallel: Parallel, processes: int) -> InputError:
    counts = {name: getattr(parallel, name) for name in ("data", "shard", "tensor", "pipeline")}
    asked = ", ".join(f"{name} {count}" for name, count in counts.items() if count not in (1, "auto"))
    return InputError(
        t("{asked} cannot be laid out over {processes} processes", asked=asked or "data 1", processes=processes),
        where="parallel",
        expected=t("data · shard · tensor · pipeline = the processes of the profile"),
        remedy=t("set `processes:` in the profile, or the counts under `parallel:`"),
    )
