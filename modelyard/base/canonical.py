"""Canonical JSON and digests: the one way anything in the house gets its identity.

A digest is `sha256:` and 64 hex digits of the SHA-256 of the canonical bytes. Canonical JSON is UTF-8, keys
sorted, no spaces, no NaN or infinity (RFC 8785 in spirit; floats as Python's shortest repr).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"

PREFIX = "sha256:"


def canonical_json(value: object) -> bytes:
    """Bytes of `value` as canonical JSON. Raises ValueError on NaN, infinity or a non-JSON type."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def digest_bytes(data: bytes) -> str:
    return PREFIX + hashlib.sha256(data).hexdigest()


def digest_json(value: object) -> str:
    return digest_bytes(canonical_json(value))


def digest_file(path: Path, chunk_bytes: int = 1 << 20) -> str:
    """SHA-256 of a file's bytes, read in chunks."""
    hasher = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(chunk_bytes):
            hasher.update(chunk)
    return PREFIX + hasher.hexdigest()


def short(digest: str) -> str:
    """The first 12 hex digits, for people."""
    return digest.removeprefix(PREFIX)[:12]
