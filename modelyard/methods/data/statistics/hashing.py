"""64-bit hashes of Arrow values, the same on every machine: what sketches, samples and comparisons are made of.

Two different values meet with probability n²/2^65: at 10 million values, 3 in a million.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
MISSING = np.uint64(0)


def hashes(values: pa.Array) -> Hashes:
    """A hash for each value; equal values have equal ones whatever integer or float type they stand in.

    Missing values hash to MISSING, which no value does.
    """
    kind = values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        found = _numbers(values)
    elif pa.types.is_temporal(kind) and not pa.types.is_duration(kind):
        found = _of_strings(values.cast(pa.string()))
    elif _is_text(kind) or _is_bytes(kind):
        found = _of_strings(values)
    else:
        texts = [None if value is None else json.dumps(value, sort_keys=True, default=str) for value in _python(values)]
        found = _of_strings(pa.array(texts, pa.string()))
    found[found == MISSING] = np.uint64(1)
    found[_nulls(values)] = MISSING
    return found


def draws(row_ids: pa.Array | Iterable[str], seed: int, purpose: str) -> Hashes:
    """A random 64-bit number for each row, from the seed, the row's id and what it is for: the order of rows, and how
    they were cut into batches, changes nothing."""
    key = hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=32).digest()
    ids = row_ids.to_pylist() if isinstance(row_ids, pa.Array | pa.ChunkedArray) else list(row_ids)
    return np.array([_hash(str(name).encode("utf-8", "surrogatepass"), key) for name in ids], dtype=np.uint64)


def mix(hashed: Iterable[Hashes]) -> Hashes:
    """One hash for several columns' hashes, their order counted."""
    total: Hashes | None = None
    for one in hashed:
        total = _scramble(one) if total is None else _scramble(total * np.uint64(0x9E3779B97F4A7C15) + one)
    if total is None:
        raise ValueError("no column to mix")
    return total


def _hash(value: bytes, key: bytes = b"") -> int:
    return int.from_bytes(hashlib.blake2b(value, digest_size=8, key=key).digest(), "little")


def _of_strings(values: pa.Array) -> Hashes:
    """Each distinct value is hashed once: labels repeat."""
    encoded = values.dictionary_encode()
    distinct = [item if isinstance(item, bytes) else item.encode() for item in encoded.dictionary.to_pylist()]
    known = np.array([_hash(item) for item in distinct], dtype=np.uint64)
    places = encoded.indices.fill_null(0).to_numpy(zero_copy_only=False)
    return known[places] if len(known) else np.zeros(len(values), dtype=np.uint64)


def _numbers(values: pa.Array) -> Hashes:
    """Whole floats hash as integers, so that a column may change its type without every row changing."""
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if pa.types.is_integer(values.type):
        numbers = values.fill_null(0).to_numpy(zero_copy_only=False)
        return _scramble(numbers.astype(np.int64, casting="unsafe").view(np.uint64))
    floats = values.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False).copy()
    floats[np.isnan(floats)] = np.nan  # one of the many bit patterns that are not a number
    whole = np.isfinite(floats) & (np.abs(floats) < 2**62) & (floats == np.floor(floats))
    bits = floats.view(np.uint64) ^ np.uint64(0x5851F42D4C957F2D)
    return _scramble(np.where(whole, np.where(whole, floats, 0.0).astype(np.int64).view(np.uint64), bits))


def _scramble(values: Hashes) -> Hashes:
    """The finalizer of splitmix64 (Steele, Lea, Flood, OOPSLA 2014), a bijection of 64 bits."""
    mixed = values + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def _nulls(values: pa.Array) -> NDArray[np.bool_]:
    return np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def _python(values: pa.Array) -> list[Any]:
    found: list[Any] = values.to_pylist()
    return found


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
