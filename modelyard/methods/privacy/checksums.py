"""Check digits of identifiers. Every function takes plain upper-case characters without separators."""

from __future__ import annotations

import datetime
from functools import cache

from modelyard.methods.privacy.tables import regions

RESIDENT_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
RESIDENT_CHECKS = "10X98765432"
CREDIT_SYMBOLS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
CREDIT_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)
TAIWAN_LETTERS = "ABCDEFGHJKLMNPQRSTUVXYWZIO"
FIRST_YEAR, LAST_YEAR = 1890, 2049
"""Years of birth that are plausible. Fixed: what is found must not depend on the day it is looked for."""
IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FK", "FO", "GL", "NL", "SD"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "MN", "XK"), 20),
    **dict.fromkeys(("CH", "CR", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ", "OM", "SO", "TL"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("LY", "PT", "ST"), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV"), 28),
    **dict.fromkeys(("BR", "EG", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU"), 30),
    **dict.fromkeys(("MT", "SC"), 31),
    **dict.fromkeys(("LC",), 32),
    **dict.fromkeys(("RU",), 33),
}
"""Characters of an IBAN by country (ISO 13616 registry)."""


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: every second digit from the right doubled, digits summed, a multiple of ten."""
    total = sum(map(int, digits[-1::-2])) + sum(_DOUBLED[digit] for digit in digits[-2::-2])
    return total % 10 == 0


_DOUBLED = {str(digit): sum(divmod(2 * digit, 10)) for digit in range(10)}


def resident_check(digits: str) -> str:
    """The 18th character of a resident identity number (GB 11643-1999; ISO 7064 MOD 11-2) from its first 17."""
    total = sum(weight * int(digit) for weight, digit in zip(RESIDENT_WEIGHTS, digits, strict=True))
    return RESIDENT_CHECKS[total % 11]


def credit_check(code: str) -> str:
    """The 18th character of a unified social credit code (GB 32100-2015, MOD 31) from its first 17."""
    total = sum(weight * CREDIT_SYMBOLS.index(char) for weight, char in zip(CREDIT_WEIGHTS, code, strict=True))
    return CREDIT_SYMBOLS[-total % 31]


def iban(code: str) -> bool:
    """ISO 13616: length by country, and ISO 7064 MOD 97-10 with the first four characters put last."""
    if IBAN_LENGTHS.get(code[:2]) != len(code):
        return False
    return int("".join(str(int(char, 36)) for char in code[4:] + code[:4])) % 97 == 1


def hong_kong(code: str) -> bool:
    """Hong Kong identity card: one or two letters, six digits, a check of 0-9 or A; weights 9 … 1, MOD 11."""
    body = code[:-1].rjust(8)
    total = sum(weight * _hong_kong_value(char) for weight, char in zip(range(9, 1, -1), body, strict=True))
    return (total + (10 if code[-1] == "A" else int(code[-1]))) % 11 == 0


def _hong_kong_value(char: str) -> int:
    return 36 if char == " " else int(char, 36)


def taiwan(code: str) -> bool:
    """Taiwan national identification and resident certificate: letter values 10 … 35, weights 1 9 8 … 1 1, MOD 10."""
    first = TAIWAN_LETTERS.index(code[0]) + 10
    second = TAIWAN_LETTERS.index(code[1]) % 10 if code[1].isalpha() else int(code[1])
    digits = [second, *map(int, code[2:])]
    total = first // 10 + 9 * (first % 10) + sum(map(int.__mul__, digits, (8, 7, 6, 5, 4, 3, 2, 1, 1)))
    return total % 10 == 0


def plausible_date(digits: str) -> bool:
    """YYYYMMDD, a day that was, of a person who may live."""
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:8])
    if not (FIRST_YEAR <= year <= LAST_YEAR and 1 <= month <= 12 and 1 <= day <= 31):
        return False
    return day <= 28 or _is_date(year, month, day)


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        datetime.date(year, month, day)
    except ValueError:
        return False
    return True


@cache
def known_provinces() -> frozenset[str]:
    """First two digits of GB/T 2260; 71, 81, 82 and 83 with the residence permits for Taiwan, Hong Kong and Macau."""
    return frozenset(code[:2] for code in regions()["codes"]) | {"71", "81", "82", "83"}


@cache
def known_regions() -> frozenset[str]:
    """Six-digit codes of GB/T 2260 that are or were in force, and the whole of Taiwan, Hong Kong and Macau."""
    codes = {city + ends[at : at + 2] for city, ends in regions()["codes"].items() for at in range(0, len(ends), 2)}
    return frozenset(codes | {"710000", "810000", "820000", "830000"})
