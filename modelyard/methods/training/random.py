"""Counter-based random numbers: what is drawn depends on what it is for (seed, purpose, epoch, step …), never on what
was drawn before. A run that continues after a kill therefore draws what it would have drawn; nothing is to be saved.

Philox 4x64 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3") as numpy implements it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A generator of its own for each purpose and place (`generator(seed, "order", epoch)`)."""
    name = f"{seed}/{purpose}/{'/'.join(map(str, counters))}"
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def seed_torch(seed: int, purpose: str, *counters: int) -> None:
    """Put torch's generators (dropout, initial weights) where they belong at this place of the run."""
    torch.manual_seed(int(generator(seed, purpose, *counters).integers(2**63)))


def uniform(seed: int, purpose: str, epoch: int, rows: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[Any]:
    """A number in [0, 1) for each place of each row, whatever stands beside it: [n] float64.

    The finalizer of SplitMix64 (Steele, Lea & Flood 2014) over the key, the row and the place, one after the other: a
    generator of its own for each of millions of rows would take longer than the rest of a step.
    """
    key = generator(seed, purpose, epoch).integers(2**64, dtype=np.uint64)
    mixed = _mix(_mix(key ^ rows.astype(np.uint64)) ^ places.astype(np.uint64))
    result: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return result


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Every bit of the result depends on every bit of the value; sums and products wrap around."""
    value = value + np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
