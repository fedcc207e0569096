"""Counter-based random numbers: what is drawn depends on what it is for (seed, purpose, epoch, step …), never on what
was drawn before. A run that continues after a kill therefore draws what it would have drawn; nothing is to be saved.

Philox 4x64 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3") as numpy implements it.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A generator of its own for each purpose and place (`generator(seed, "order", epoch)`)."""
    name = f"{seed}/{purpose}/{'/'.join(map(str, counters))}"
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))


def seed_torch(seed: int, purpose: str, *counters: int) -> None:
    """Put torch's generators (dropout, initial weights) where they belong at this place of the run."""
    torch.manual_seed(int(generator(seed, purpose, *counters).integers(2**63)))
