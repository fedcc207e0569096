"""A device named `fake` that torch does not know: a PrivateUse1 backend in Python, as a vendor's plug-in is in C++.

Each of its tensors is a handle to a tensor in ordinary memory; every operation reaches one function, which hands it to
the CPU. So it proves where things go (names of devices, transfers, random state, what is asked of the device's
module), and nothing of speed, memory, streams, or numbers of another arithmetic. Registering is for the whole process:
tests use a process of their own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils import _pytree as tree

NAME = "fake"
CPU = torch.device("cpu")
calls: dict[str, int] = {}
"""Operations that reached the device, and how often."""
_libraries: list[torch.library.Library] = []


class Module:
    """What `torch.fake` is."""

    synchronized = emptied = 0

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        torch.default_generator.manual_seed(seed)

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        return torch.zeros(1, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        pass

    def synchronize(self, device: Any = None) -> None:
        Module.synchronized += 1

    def empty_cache(self) -> None:
        Module.emptied += 1

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


held: dict[int, torch.Tensor] = {}
"""The numbers of a tensor of the device, by its storage: torch copies handles as it likes, but never that. What is no
longer used stays here, which a small test can afford."""


def wrap(numbers: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch._C._acc.create_empty_tensor(numbers.shape, numbers.dtype)
    held[found.untyped_storage()._cdata] = numbers
    return found


def unwrap(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.device.type == NAME:
        return held[value.untyped_storage()._cdata]
    if isinstance(value, torch.device) and value.type == NAME:
        return CPU
    return value


def compute(operation: Any, *arguments: Any, **named: Any) -> Any:
    """Every operation of the device: the same one on the CPU; what it changes in place it returns."""
    calls[str(operation)] = calls.get(str(operation), 0) + 1
    # A handle has no strides of its own: what looks dense may be held otherwise.
    operation = torch.ops.aten.reshape.default if operation is torch.ops.aten.view.default else operation
    plain, plain_named = tree.tree_map(unwrap, (arguments, named))
    if "_fused_" in str(operation):  # these kernels trust that all of their tensors are dense
        plain = tree.tree_map(lambda value: value.contiguous() if isinstance(value, torch.Tensor) else value, plain)
    result = operation(*plain, **plain_named)
    given = [value for value in tree.tree_leaves((arguments, named)) if isinstance(value, torch.Tensor)]
    known = {id(unwrap(value)): value for value in given}

    def handle(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return known[id(value)] if id(value) in known else wrap(value)

    return tree.tree_map(handle, result)


def copy_from(source: torch.Tensor, target: torch.Tensor, non_blocking: bool = False) -> torch.Tensor:
    calls["transfer"] = calls.get("transfer", 0) + 1
    unwrap(target).copy_(unwrap(source))
    return target


def register() -> None:
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend(NAME, backend_module=Module())
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(compute, "PrivateUse1")
    aten = torch.library.Library("aten", "IMPL")
    aten.impl("_copy_from", copy_from, "PrivateUse1")
    _libraries.extend((everything, aten))
