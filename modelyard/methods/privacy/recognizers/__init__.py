"""The closed table of recognisers: one module a family, each with TYPES and `find(view)`.

A recogniser yields spans in the offsets of `View.text`; it looks for nothing in texts that cannot hold what it seeks
(no digit, no @, no Chinese character), and its patterns need time in proportion to the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from modelyard.methods.privacy.recognizers import (
    account,
    address_en,
    address_zh,
    bank_card,
    birth_date,
    company,
    credit_code,
    email,
    iban,
    name_en,
    name_zh,
    network,
    passport,
    phone,
    plate,
    resident_id,
    secret,
    ssn,
)
from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import View

Recognizer = Callable[[View], Iterator[Span]]


@dataclass(frozen=True, slots=True)
class Family:
    """One module: what it finds, how, and the least number of digits a text needs for it to be asked at all."""

    find: Recognizer
    types: tuple[str, ...]
    digits: int


RECOGNIZERS = tuple(
    Family(module.find, module.TYPES, digits)
    for module, digits in (
        (email, 0), (secret, 0), (birth_date, 0), (network, 0), (account, 0), (plate, 2), (passport, 5),
        (resident_id, 6), (phone, 7), (credit_code, 8), (bank_card, 8), (iban, 8), (ssn, 9), (address_zh, 0),
        (address_en, 1), (name_zh, 0), (name_en, 0), (company, 0),
    )
)  # fmt: skip
