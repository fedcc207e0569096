"""The one module that knows devices: which there are, what they can, how many threads, how to be deterministic."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import PartialState

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training.settings import DeviceName

DEVICE, THREADS = "MODELYARD_DEVICE", "MODELYARD_THREADS"
"""Where work runs is not the project's business: whoever starts it may say so in the environment."""


def pick(name: DeviceName = "auto") -> torch.device:
    """The device to train on; `auto` takes what accelerate finds (CUDA, Ascend NPU, Apple …), else what a vendor has
    registered with torch, else the CPU.

    Raises:
        InputError: the named device is not on this machine.
    """
    if name == "auto":
        name = os.environ.get(DEVICE) or name  # type: ignore[assignment]
    if name == "cpu":
        return torch.device("cpu")
    found: torch.device = PartialState().device
    if found.type == "cpu":
        found = torch.accelerator.current_accelerator(check_available=True) or found
    if name in ("auto", found.type):
        return found
    raise InputError(
        t("no device `{name}` on this machine", name=name),
        where="device",
        expected=found.type,
        remedy=t("set `device: auto` or run where the device is"),
    )


def _module(device: torch.device) -> Any:
    """`torch.cuda`, or what stands beside it for another kind of device; None for the CPU."""
    return None if device.type == "cpu" else torch.get_device_module(device)


def _asked(device: torch.device, name: str, *arguments: Any) -> Any:
    """What the device's module answers to a function that not every module has; None without one."""
    function = getattr(_module(device), name, None)
    return None if function is None else function(*arguments)


def supports_bf16(device: torch.device) -> bool:
    """Whether bf16 is computed by the hardware, not emulated."""
    if device.type == "cuda":
        return bool(_asked(device, "get_device_capability", device) >= (8, 0))
    if device.type == "cpu":
        flags = cpu_flags()
        return "avx512_bf16" in flags or "amx_bf16" in flags or "bf16" in flags
    return device.type == "npu" or bool(_asked(device, "is_bf16_supported"))


def supports_fp8(device: torch.device) -> bool:
    """Whether matrix products of fp8 are computed by the hardware."""
    return device.type == "cuda" and bool(_asked(device, "get_device_capability", device) >= (8, 9))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or on the host."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def release(device: torch.device) -> None:
    """Give back memory that is held but not used."""
    _asked(device, "empty_cache")


def peak_bytes(device: torch.device) -> int | None:
    """Most memory of the device that tensors took at once so far; None for the CPU and what does not tell."""
    found = _asked(device, "max_memory_allocated", device)
    return None if found is None else int(found)


def take(number: int) -> tuple[str, str] | None:
    """Compute on the accelerator of this number from here on; its type and how its processes talk to each other.

    None if the machine has none.
    """
    found = torch.accelerator.current_accelerator(check_available=True)
    if found is None:
        return None
    torch.accelerator.set_device_index(number % torch.accelerator.device_count())
    return found.type, torch.distributed.get_default_backend_for_device(found.type)


def memory_bytes(device: torch.device) -> int | None:
    """Memory of the device, of the whole machine for the CPU; None where it is not told."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError, AttributeError):
        return None


def cpu_flags() -> frozenset[str]:
    """What the processor says it can, in Linux's names; empty where that is not told."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as stream:
            lines = [line for line in stream if line.startswith(("flags", "Features"))]
    except OSError:
        return frozenset()
    return frozenset(lines[0].split(":", 1)[1].split()) if lines else frozenset()


def usable_cores() -> int:
    """Processor cores this process may run on, at most MODELYARD_THREADS, else at most OMP_NUM_THREADS."""
    limit = os.environ.get(THREADS) or os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    return min(int(limit), _cores()) if limit.isdecimal() and int(limit) else _cores()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe(device: torch.device) -> str:
    """The device in words, for the run's record."""
    name = _asked(device, "get_device_name", device)
    return str(name) if name else f"{device.type} {platform.machine()}"


@contextmanager
def reproducible(device: torch.device, threads: int) -> Iterator[None]:
    """Deterministic kernels and a fixed number of threads inside; everything as it was after.

    The order of a sum depends on how many threads share it, so the number belongs to the result.
    """
    before_threads = torch.get_num_threads()
    before = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    before_fill = memory.fill_uninitialized_memory
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with random_state_kept(device):
        try:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(True)
            # Filling fresh memory only serves code that reads it before writing; it costs time here.
            memory.fill_uninitialized_memory = False
            yield
        finally:
            torch.set_num_threads(before_threads)
            torch.use_deterministic_algorithms(before)
            memory.fill_uninitialized_memory = before_fill


def random_state_kept(device: torch.device) -> Any:
    """A context after which torch's random states are what they were, on the CPU and on the device."""
    if device.type == "mps" or not hasattr(_module(device), "get_rng_state"):
        return torch.random.fork_rng(devices=[])
    return torch.random.fork_rng(devices=[device.index or 0], device_type=device.type)


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given, so that a clock means something."""
    if device.type == "mps":
        _asked(device, "synchronize")
    else:
        _asked(device, "synchronize", device)
