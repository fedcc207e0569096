"""The closed table of recognisers: one module a family, each with TYPES and `find(view)`.

A recogniser yields spans in the offsets of `View.text`; it looks for nothing in texts that cannot hold what it seeks
(no digit, no @, no Chinese character), and its patterns need time in proportion to the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
RECOGNIZERS: tuple[tuple[Recognizer, tuple[str, ...]], ...] = tuple(
    (module.find, module.TYPES)
    for module in (
        email, resident_id, credit_code, bank_card, iban, ssn, plate, passport, network, secret, birth_date, account,
        phone, address_zh, address_en, name_zh, name_en, company,
    )
)  # fmt: skip
