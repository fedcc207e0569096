"""The key under which two texts count as the same."""

from __future__ import annotations

import hashlib
import unicodedata


def normalized(text: str) -> str:
    """What two texts must share to be the same: compatibility form, no case, single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def text_key(text: str) -> bytes:
    """16 bytes that are equal for texts that are the same (BLAKE2b of `normalized`)."""
    return hashlib.blake2b(normalized(text).encode("utf-8", "surrogatepass"), digest_size=16).digest()
