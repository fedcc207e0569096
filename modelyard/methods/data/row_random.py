"""Random numbers by row: what is drawn depends on (seed, purpose, row id, counters) alone.

So a row is treated the same whatever the order of rows, the number of workers or where a killed run went on. Philox
4x64 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3") as numpy implements it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def generator(seed: int, purpose: str, row_id: str, *counters: int) -> np.random.Generator:
    """A generator of its own for each row, purpose and counter (an epoch, the number of a copy)."""
    return np.random.Generator(np.random.Philox(key=_key(seed, purpose, row_id, counters)))


def ranks(seed: int, purpose: str, row_ids: Iterable[str]) -> NDArray[np.uint64]:
    """A 64-bit number for each row; sorting by it is a random order that adding other rows does not change."""
    found = [_key(seed, purpose, row_id, ()) & 0xFFFF_FFFF_FFFF_FFFF for row_id in row_ids]
    return np.array(found, np.uint64)


def _key(seed: int, purpose: str, row_id: str, counters: tuple[int, ...]) -> int:
    name = f"{seed}/{purpose}/{'/'.join(map(str, counters))}/{row_id}"
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest(), "little")
