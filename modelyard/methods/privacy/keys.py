"""The key of a de-identification: at least 32 bytes from a secret, and what is derived from it for each purpose."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re

from modelyard.base.messages import t
from modelyard.errors import InputError

LEAST_BYTES = 32
LEAST_SYMBOLS = 8


class Key:
    """A key that cannot be shown: no attribute is printed, and only derived values leave it."""

    def __init__(self, value: bytes) -> None:
        self._value = value

    @classmethod
    def of(cls, text: str, where: str = "") -> Key:
        """A key from a secret's text: hexadecimal digits (64 or more), Base64 (43 or more), or 32 or more bytes of it.

        Raises:
            InputError: it is shorter, or so regular that it can be guessed. The message never holds the key.
        """
        value = _bytes(text.strip())
        if len(value) < LEAST_BYTES:
            raise InputError(
                t("the key has {n} bytes", n=len(value)), where=where, expected=t("at least 32 bytes"), remedy=_remedy()
            )
        if len(set(value)) < LEAST_SYMBOLS or _repeats(value):
            raise InputError(
                t("the key repeats itself"), where=where, expected=t("at least 32 random bytes"), remedy=_remedy()
            )
        return cls(value)

    def derive(self, purpose: str, size: int = 32) -> bytes:
        """Bytes for one purpose only (HKDF-Expand of RFC 5869 with SHA-256; `purpose` is its info)."""
        found, block = b"", b""
        for count in range(1, 2 + size // 32):
            block = hmac.digest(self._value, block + purpose.encode() + bytes([count]), "sha256")
            found += block
        return found[:size]

    def digest(self, purpose: str, value: str) -> bytes:
        """HMAC-SHA-256 of a value under the key of one purpose; 32 bytes."""
        return hmac.digest(self.derive(purpose), value.encode("utf-8", "surrogatepass"), "sha256")

    def __repr__(self) -> str:
        return "Key(…)"

    def __reduce__(self) -> str:
        raise TypeError("a key is not stored")


def fingerprint(key: Key) -> str:
    """Eight hexadecimal digits that tell two keys apart and say nothing about them."""
    return hashlib.sha256(key.derive("fingerprint")).hexdigest()[:8]


def _remedy() -> str:
    return t("make one with `python -c 'import secrets; print(secrets.token_hex(32))'`")


def _bytes(text: str) -> bytes:
    if re.fullmatch(r"(?:[0-9a-fA-F]{2}){32,}", text):
        return bytes.fromhex(text)
    if len(text) >= 43 and re.fullmatch(r"[0-9A-Za-z+/_\-]+={0,2}", text):
        try:
            return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
        except binascii.Error:
            pass
    return text.encode()


def _repeats(value: bytes) -> bool:
    """Whether it is one block over and over (0123456789abcdef twice)."""
    return any(
        value == (value[:size] * (len(value) // size + 1))[: len(value)] for size in range(1, len(value) // 2 + 1)
    )
