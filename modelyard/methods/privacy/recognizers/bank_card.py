"""Payment cards: the issuer's range (ISO/IEC 7812, public BIN ranges), the length that goes with it, and Luhn's check.

One random number in ten passes Luhn, so the range must be known; without it only a word such as 卡号 makes a card.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.checksums import luhn
from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import AS_DIGITS, Number, View

TYPES = ("bank_card",)
REACH = 30
WORDS = re.compile(
    r"卡号|卡號|银行卡|储蓄卡|信用卡|借记卡|尾号|账号|帐号|账户|銀行|开户|工行|建行|农行|中行|招行|"
    r"\bcards?\b|credit|debit|\bcc\b|visa|mastercard|amex|\bpan\b|account"
)
OTHER = re.compile(
    r"(?:订单|单号|流水|编号|工单|运单|快递|order|tracking|invoice|serial|ref|imei|sku|isbn)[^0-9]{0,12}$"
)
RANGES: tuple[tuple[re.Pattern[str], tuple[int, ...], str], ...] = tuple(
    (re.compile(prefix), lengths, name)
    for prefix, lengths, name in (
        (r"62|81", (16, 17, 18, 19), "UnionPay"),
        (r"4", (13, 16, 19), "Visa"),
        (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720", (16,), "Mastercard"),
        (r"3[47]", (15,), "American Express"),
        (r"30[0-5]|3095|36|3[89]", (14, 16, 17, 18, 19), "Diners Club"),
        (r"35(?:2[89]|[3-8])", (16, 17, 18, 19), "JCB"),
        (r"2131|1800", (15,), "JCB"),
        (r"6011|64[4-9]|65", (16, 17, 18, 19), "Discover"),
        (r"220[0-4]", (16, 17, 18, 19), "Mir"),
        (r"60|6521|6522|82|508", (16,), "RuPay"),
        (r"955[89]|6013|603[0-9]|98", (16, 19), "a Chinese bank"),
        (r"50|5[6-8]|6304|67|63[0-9]{2}", (12, 13, 14, 15, 16, 17, 18, 19), "Maestro"),
    )
)


def find(view: View) -> Iterator[Span]:
    """Card numbers of a text."""
    for number in view.numbers:
        if len(number.digits) >= 12 and not _glued(view, number):
            found = _judge(view, number)
            if found:
                yield Span(number.start, number.end, "bank_card", *found)
    for start, end in view.mixed:
        digits = view.text[start:end].translate(AS_DIGITS)
        if digits.isdigit() and luhn(digits) and _issuer(digits):
            yield Span(start, end, "bank_card", 0.7, "checksum, issuer, letters for digits")


def _judge(view: View, number: Number) -> tuple[float, str] | None:
    digits = number.digits
    issuer = _issuer(digits)
    named = WORDS.search(view.before(number.start, REACH)) is not None
    if (
        len(set(digits)) == 1
        or "." in view.text[number.start : number.end]
        or (not number.whole and len(number.layout) == 1 and len(digits) < 15)
    ):
        return None
    if OTHER.search(view.before(number.start, 24)):
        return (0.4, "checksum, named otherwise") if luhn(digits) else None
    if luhn(digits):
        if issuer:
            unsure = 0.45 if len(digits) in (17, 18) or number.broken else 0.5 if len(digits) < 14 else 0.9
            return (0.98 if named else unsure), f"checksum, issuer{', context' * named}"
        return (0.65, "checksum, context") if named else None
    exact = issuer is not None and len(digits) in (15, 16, 19) and not number.broken
    return (0.55, "issuer, context, wrong check digit") if named and exact else None


def _issuer(digits: str) -> str | None:
    for prefix, lengths, name in RANGES:
        if len(digits) in lengths and prefix.match(digits):
            return name
    return None


def _glued(view: View, number: Number) -> bool:
    sides = view.text[max(0, number.start - 1) : number.start], view.text[number.end : number.end + 1]
    return any(side.isascii() and (side.isalpha() or side in "_") for side in sides if side)
