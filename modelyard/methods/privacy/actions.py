"""What is put in place of a value.

| action | in place of 13800138000 | same value, same mark | undone with the key |
|---|---|---|---|
| label | [PHONE] | no | no |
| mask | *********** | no | no |
| hash | [PHONE:…26 letters] | yes | no (a known value can be compared) |
| pseudonym | +99912345678901 | yes | no (a known value can be compared) |
| token | [PHONE~…letters] | yes | yes |
| remove | nothing | no | no |

`hash` is HMAC-SHA-256 (RFC 2104) cut to 128 bits, under a key of its own for each type, over the value in plain form:
138-0013-8000 and 13800138000 are one person. `token` is AES-SIV (RFC 5297): deterministic authenticated encryption
of the value as it stands, the type as associated data; what a change or another key made fails to open.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.privacy.keys import Key
from modelyard.methods.privacy.pseudonyms import pseudonym
from modelyard.methods.privacy.scanning import plain_value
from modelyard.methods.privacy.spans import TYPES, Span

Action = Literal["label", "mask", "hash", "pseudonym", "token", "remove", "keep"]
KEYED = ("hash", "pseudonym", "token")
HASH_BYTES = 16
HAN = re.compile("[\u3400-\u9fff]")
OPEN = re.compile(rf"\[({'|'.join(name.upper() for name in TYPES)})~([a-z2-7]{{26,4096}})\]")


@dataclass(frozen=True)
class Actions:
    """What is done with which type.

    Attributes:
        default: for types that `by_type` does not name.
        by_type: action by type.
        key: needed by `hash`, `pseudonym` and `token`.

    Raises:
        InputError: an action needs a key and there is none.
    """

    default: Action = "label"
    by_type: Mapping[str, Action] | None = None
    key: Key | None = None

    def __post_init__(self) -> None:
        used = {self.default, *(self.by_type or {}).values()}
        if self.key is None and used & set(KEYED):
            raise InputError(
                t("`{action}` needs a key", action=min(used & set(KEYED))),
                where="key",
                expected=t("a secret of at least 32 bytes"),
                remedy="key: {secret: NAME}",
            )

    def of(self, kind: str) -> Action:
        """The action for a type."""
        return (self.by_type or {}).get(kind, self.default)

    def replace(self, value: str, kind: str) -> str:
        """What stands in place of a value of a type."""
        action = self.of(kind)
        if action == "keep":
            return value
        if action == "remove":
            return ""
        if action == "mask":
            return masked(value)
        if action == "label":
            return f"[{kind.upper()}]"
        if action == "token":
            return f"[{kind.upper()}~{self._seal(value, kind)}]"
        digest = self._key.digest(f"{action}:{kind}", plain_value(value))
        if action == "hash":
            return f"[{kind.upper()}:{_letters(digest[:HASH_BYTES])}]"
        return pseudonym(kind, digest, HAN.search(value) is not None)

    @property
    def _key(self) -> Key:
        assert self.key is not None
        return self.key

    @cached_property
    def _cipher(self) -> AESSIV:
        return AESSIV(self._key.derive("token", 64))

    def _seal(self, value: str, kind: str) -> str:
        return _letters(self._cipher.encrypt(value.encode("utf-8", "surrogatepass"), [kind.encode()]))


def masked(value: str) -> str:
    """Every letter and digit as `*`; separators, @ and the length stay."""
    return "".join("*" if char.isalnum() else char for char in value)


def hide(text: str, spans: list[Span], actions: Actions) -> str:
    """The text with each span replaced; spans in order, without overlaps."""
    pieces: list[str] = []
    last = 0
    for span in spans:
        pieces += (text[last : span.start], actions.replace(text[span.start : span.end], span.type))
        last = span.end
    pieces.append(text[last:])
    return "".join(pieces)


def reveal(text: str, key: Key) -> str:
    """The text with every `token` replaced by the value it holds.

    Raises:
        InputError: a token was changed, or made with another key.
    """
    cipher = AESSIV(key.derive("token", 64))

    def opened(match: re.Match[str]) -> str:
        try:
            sealed = base64.b32decode(match[2].upper() + "=" * (-len(match[2]) % 8))
            return cipher.decrypt(sealed, [match[1].lower().encode()]).decode("utf-8", "surrogatepass")
        except (InvalidTag, binascii.Error):
            raise InputError(
                t("a token cannot be opened"), where=f"[{match[1]}~…]", remedy=t("is it the key it was made with?")
            ) from None

    return OPEN.sub(opened, text)


def _letters(value: bytes) -> str:
    return base64.b32encode(value).decode("ascii").rstrip("=").lower()
