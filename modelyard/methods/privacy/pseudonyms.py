"""Replacements that look like the value but belong to nobody, made from the key and the value alone.

The same value under the same key is replaced alike in every row, data set and run. The forms and why they are nobody's
stand in `reserved`. A pseudonym of this kind cannot be undone: it can be compared, by whoever has the key, with the
pseudonym of a value that is already known. Two values may share one where a form has few values (dates of birth).
"""

from __future__ import annotations

from collections.abc import Callable

from modelyard.methods.privacy.reserved import CYCLE

BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aeiou"


class _Draw:
    """Numbers drawn one after the other from 32 bytes."""

    def __init__(self, digest: bytes) -> None:
        self._rest = int.from_bytes(digest, "big")

    def below(self, limit: int) -> int:
        self._rest, value = divmod(self._rest, limit)
        return value

    def digits(self, count: int) -> str:
        return str(self.below(10**count)).zfill(count)

    def token(self, count: int) -> str:
        return "".join(BASE32[self.below(32)] for _ in range(count))

    def cycle(self, count: int) -> str:
        return "".join(CYCLE[self.below(len(CYCLE))] for _ in range(count))


def pseudonym(kind: str, digest: bytes, chinese: bool) -> str:
    """A replacement for a value of a type from its keyed digest (32 bytes); `chinese` chooses names and addresses."""
    return _FORMS[kind](_Draw(digest), chinese)


def _date(draw: _Draw, chinese: bool) -> str:
    return f"18{draw.digits(2)}-{1 + draw.below(12):02d}-{1 + draw.below(28):02d}"


def _alias(draw: _Draw) -> str:
    return "Alias Xy" + "".join(CONSONANTS[draw.below(16)] + VOWELS[draw.below(5)] for _ in range(4))


def _plate(draw: _Draw, chinese: bool) -> str:
    signs = "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"
    return "某" + signs[draw.below(24)] + "".join(signs[draw.below(34)] for _ in range(5))


def _address(draw: _Draw, chinese: bool) -> str:
    return f"某省某市某路{draw.digits(10)}号" if chinese else f"{draw.digits(10)} Alias Street"


def _ip(draw: _Draw, chinese: bool) -> str:
    return f"{240 + draw.below(15)}.{draw.below(256)}.{draw.below(256)}.{draw.below(256)}"


_FORMS: dict[str, Callable[[_Draw, bool], str]] = {
    "phone": lambda draw, _: "+999" + draw.digits(11),
    "email": lambda draw, _: f"p-{draw.token(26)}@pseudonym.invalid",
    "resident_id": lambda draw, _: "99" + draw.digits(15) + "0123456789X"[draw.below(11)],
    "hk_id": lambda draw, _: f"ZZZ{draw.digits(6)}({draw.below(10)})",
    "macau_id": lambda draw, _: f"0/{draw.digits(6)}/{draw.below(10)}",
    "taiwan_id": lambda draw, _: "A0" + draw.digits(8),
    "credit_code": lambda draw, _: "ZZ" + draw.digits(16),
    "bank_card": lambda draw, _: "9999" + draw.digits(12),
    "iban": lambda draw, _: "XX00" + draw.digits(18),
    "ssn": lambda draw, _: f"{('000', '666')[draw.below(2)]}-{draw.digits(2)}-{draw.digits(4)}",
    "plate": _plate,
    "passport": lambda draw, _: "ZZ" + draw.digits(8),
    "ip_address": _ip,
    "mac_address": lambda draw, _: "03" + "".join(f":{draw.below(256):02x}" for _ in range(5)),
    "url_secret": lambda draw, _: "secret-" + draw.token(26),
    "api_key": lambda draw, _: "secret-" + draw.token(26),
    "birth_date": _date,
    "wechat": lambda draw, _: "alias-" + draw.token(14),
    "qq": lambda draw, _: "0" + draw.digits(11),
    "person_name": lambda draw, chinese: "某" + draw.cycle(5) if chinese else _alias(draw),
    "address": _address,
    "company": lambda draw, _: f"{_alias(draw)} Company",
    "place": lambda draw, _: f"{_alias(draw)} Place",
}
