"""Values that belong to nobody: what our own replacements look like, so that a second pass finds nothing new.

Pseudonyms are taken from ranges that are reserved, unassigned or invalid, so that none can hit a real person:

| type | form | why it is nobody's |
|---|---|---|
| phone | +999 and 11 digits | country code 999 is reserved (ITU-T E.164) |
| email | …@pseudonym.invalid | top-level domain of RFC 2606 |
| resident_id | 99 and 16 characters | no region 99 in GB/T 2260 |
| hk_id | ZZZ and 6 digits, check in brackets | cards have one or two letters |
| macau_id | 0/6 digits/digit | cards begin with 1, 5, 7 |
| taiwan_id | A0 and 8 digits | the second sign is 1, 2, 8 or 9 |
| credit_code | ZZ and 16 digits | Z is no sign of GB 32100 |
| bank_card | 9999 and 12 digits | 9 with a country code that is not given out (ISO/IEC 7812) |
| iban | XX00 and 18 digits | XX is user-assigned, check digits 00 are never right |
| ssn | 000- and 666- | never issued as area |
| plate | 某 and 6 signs | no province |
| passport | ZZ and 8 digits | no country's form |
| ip_address | 240.0.0.0/4 | reserved (RFC 1112) |
| mac_address | 03:… | a group address is nobody's card |
| birth_date | 18xx-xx-xx | nobody alive |
| wechat, secrets | alias-…, secret-… | marked |
| qq | 0 and 11 digits | numbers do not begin with 0 |
| person_name | 某 and five signs of old cycles, or `Alias Xy…` | 某 is no surname |
| address | 某省某市…号, or … Alias Street | no such place |
| company, place | Alias Xy… Company, Alias Xy… Place | no such name |
"""

from __future__ import annotations

import re

from modelyard.methods.privacy.spans import TYPES, Span

CYCLE = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥乾坤震巽坎离艮兑"
TOKEN = "[a-z2-7]"
LABEL = re.compile(rf"\[(?:{'|'.join(name.upper() for name in TYPES)})(?:[:~]{TOKEN}{{26,4096}})?\]")
FORMS = (
    ("+999", re.compile(r"\+999[0-9]{11}(?![0-9])")),
    ("pseudonym.invalid", re.compile(rf"p-{TOKEN}{{26}}@pseudonym\.invalid")),
    ("99", re.compile(r"(?<![0-9A-Za-z])99[0-9]{15}[0-9X](?![0-9A-Za-z])")),
    ("ZZZ", re.compile(r"(?<![0-9A-Za-z])ZZZ[0-9]{6}\([0-9]\)")),
    ("0/", re.compile(r"(?<![0-9A-Za-z])0/[0-9]{6}/[0-9](?![0-9A-Za-z])")),
    ("A0", re.compile(r"(?<![0-9A-Za-z])A0[0-9]{8}(?![0-9A-Za-z])")),
    ("ZZ", re.compile(r"(?<![0-9A-Za-z])ZZ(?:[0-9]{16}|[0-9]{8})(?![0-9A-Za-z])")),
    ("9999", re.compile(r"(?<![0-9A-Za-z])9999[0-9]{12}(?![0-9A-Za-z])")),
    ("XX00", re.compile(r"(?<![0-9A-Za-z])XX00[0-9]{18}(?![0-9A-Za-z])")),
    ("-", re.compile(r"(?<![0-9A-Za-z-])(?:000|666)-[0-9]{2}-[0-9]{4}(?![0-9A-Za-z-])")),
    (
        "某",
        re.compile(rf"某(?:[A-Z0-9]{{6}}(?![0-9A-Za-z])|省某市某路[0-9]{{10}}号|[{CYCLE}]{{5}})"),
    ),
    (".", re.compile(r"(?<![0-9.])2(?:4[0-9]|5[0-4])(?:\.[0-9]{1,3}){3}(?!\.?[0-9])")),
    ("03:", re.compile(r"(?<![0-9A-Za-z:])03(?::[0-9a-f]{2}){5}(?![0-9A-Za-z:])")),
    ("-", re.compile(r"(?<![0-9-])18[0-9]{2}-[01][0-9]-[0-3][0-9](?![0-9-])")),
    ("alias-", re.compile(rf"alias-{TOKEN}{{14}}(?![0-9A-Za-z_\-])")),
    ("secret-", re.compile(rf"secret-{TOKEN}{{26}}(?![0-9A-Za-z_\-])")),
    ("0", re.compile(r"(?<![0-9A-Za-z])0[0-9]{11}(?![0-9A-Za-z])")),
    ("Alias", re.compile(r"Alias Xy[a-z]{8}(?: (?:Company|Place)|(?![a-z]))|[0-9]{10} Alias Street")),
)
REACH = 64
BLANK = "["


def without_labels(text: str) -> str:
    """The text with our labels blanked out, of the same length: `[PHONE]` is no word that makes a number a phone."""
    if "[" not in text:
        return text
    return LABEL.sub(lambda match: BLANK * len(match.group()), text)


def forms_in(text: str) -> list[re.Pattern[str]]:
    """The forms of values above whose mark stands in the text."""
    return [form for mark, form in FORMS if mark in text]


def is_reserved(text: str, span: Span, forms: list[re.Pattern[str]]) -> bool:
    """Whether a find is one of the values above, for at least half of it, or holds no letter and no digit."""
    if not any(map(str.isalnum, text[span.start : span.end])):
        return True
    low, high = max(0, span.start - REACH), min(len(text), span.end + REACH)
    return any(
        2 * (min(match.end(), span.end) - max(match.start(), span.start)) >= span.end - span.start
        for form in forms
        for match in form.finditer(text, low, high)
    )
