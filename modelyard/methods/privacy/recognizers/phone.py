"""Phone numbers: Chinese mobile, landline and service numbers, E.164, and the national forms of other countries.

Sources: the numbering plan of the Ministry of Industry and Information Technology (mobile 1[3-9], area codes 010, 02x,
03xx-09xx), ITU-T E.164 (country codes), the North American Numbering Plan (NXX-NXX-XXXX). A number whose form alone
says little (467 3395) counts only beside a word such as `phone` or 电话.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.methods.privacy.spans import Span
from modelyard.methods.privacy.view import Number, View

TYPES = ("phone",)
REACH = 34
WORDS = re.compile(
    r"\b(?:phones?|telephone|tele?|mobile|mob|cell(?:ular|phone)?|call(?:s|ed|ing|er)?|fax|desk|contact|whatsapp|"
    r"sms|messages?|text(?:ed|ing)?|dial(?:ed|ing)?|rings?|reach(?:ed)?|hotline|voicemail|answer(?:s|ed|ing)?|"
    r"registered|viber|signal|line|extension|(?:my|his|her|their|our|your|new|home|work|office|emergency) numbers?)\b|"
    r"电话|手机|手機|電話|座机|固话|热线|拨打|致电|来电|短信|联系|聯繫|号码|传真|客服|手机号|打给|呼叫|机主|微信"
)
OTHER = re.compile(
    r"(?:订单|单号|流水|编号|工单|批次|序列|快递|运单|账单|金额|合同|库存|order|tracking|invoice|serial|batch|sku|"
    r"ref(?:erence)?|ticket|item|isbn|version|amount|price|zip|id)"
    r"(?:号|号码|no\.?|number|#|为|是|[:#： ]){0,4}$"
)
TELEPHONE = re.compile(r"(?<![a-z0-9])(?:tel|phone|mobile|mob|cell|call|fax|ph|vx|wx|v)$")
MOBILE = re.compile(r"1[3-9][0-9]{9}")
MOBILE_PREFIX = re.compile(r"(?:\(?(?:\+ ?86|0086|86)\)?[ \-]{0,2})$")
AREA = re.compile(r"0(?:10|2[0-57-9]|3[1357][0-9]|4(?:[1345][0-9]|[12789][0-9])|5[1-9][0-9]|6(?:3[1-5]|6[0238]|9[12])|"
                  r"7[1-79][0-9]|8(?:1[236-8]|2[5-7]|3[0-9]|[4-9][0-9])|9[0139][0-9]|9[47][0-9])")  # fmt: skip
COUNTRY = re.compile(
    r"1|7|2(?:0|7|1[1-368]|[2-4][0-9]|5[0-8]|6[0-9]|9[01789])|3(?:[0-469]|5[0-9]|7[0-8]|8[0-35-79])|"
    r"4(?:[013-9]|2[0138])|5(?:[1-8]|0[0-9]|9[0-9])|6(?:[0-6]|7[02-9]|8[0-35-9]|9[0-2])|8(?:[1246]|5[02356]|80|86)|"
    r"9(?:[0-58]|6[0-8]|7[0-7]|9[2-68])"
)
AMERICAN = re.compile(r"1?[2-9][0-9]{2}[2-9][0-9]{6}")
EXTENSION = re.compile(r"[ ,]?(?:x|ext\.?|extension|转|分机)[ :：]?[0-9]{1,6}(?![0-9])")
AMERICAN_LAYOUTS = ((3, 3, 4), (1, 3, 3, 4), (3, 7), (1, 3, 7))
MOBILE_LAYOUTS = ((11,), (3, 4, 4), (3, 8), (7, 4), (3, 3, 5), (4, 3, 4), (4, 7))
NATIONAL_LAYOUTS = ((4, 3, 3), (5, 3, 3), (5, 6), (2, 2, 2, 2, 2), (2, 4, 4), (3, 4, 4), (4, 2, 2, 2), (3, 3, 4),
                    (4, 3, 4), (3, 3, 2, 2), (2, 8), (4, 6), (4, 7), (3, 7), (3, 8), (5, 5))  # fmt: skip
BARE_LAYOUTS = ((3, 3, 3), (2, 3, 3), (3, 2, 3), (2, 2, 2, 2), (2, 3, 2, 2), (3, 3, 2, 2), (2, 3, 3, 4), (2, 3, 4),
                (2, 4, 4), (3, 3, 4), (1, 3, 3, 4), (2, 6), (3, 4, 4))  # fmt: skip
DATES = ((4, 2, 2), (2, 2, 4), (4, 2, 2, 2), (4, 2, 2, 2, 2), (4, 2, 2, 2, 2, 2), (4, 4), (1, 2, 4), (2, 1, 4))


def find(view: View) -> Iterator[Span]:
    """Phone numbers of a text."""
    for number in view.numbers:
        found = _judge(view, number)
        if found:
            score, evidence, start = found
            yield Span(start, _end(view, number.end), "phone", score, evidence)


def _judge(view: View, number: Number) -> tuple[float, str, int] | None:
    """Score, evidence and start (the sign and the country code belong to it), or None."""
    text, start = view.text, number.start
    if _glued(view, number):
        return None
    opening = start - 1 if start and text[start - 1] == "(" else start
    sign = opening - 1 if opening and text[opening - 1] == "+" else opening
    if not number.broken and sign < opening:
        return _international(number, sign)
    found = _chinese(view, number) or (None if number.broken else _service(number) or _foreign(text, number))
    named = not number.broken and WORDS.search(view.before(start, REACH)) is not None
    if found is None:
        return (0.7, "context", opening) if named and number.whole and _phone_like(text, number) else None
    score, evidence = found
    if OTHER.search(view.before(start, 14)):
        return 0.4, "looks like a phone, named otherwise", start
    opening = _with_prefix(view, number, opening) if evidence == "mobile" else opening
    return (round(min(0.98, score + 0.1), 2), f"{evidence}, context", opening) if named else (score, evidence, opening)


def _glued(view: View, number: Number) -> bool:
    """Whether letters or digits touch it, other than words such as `tel` and extensions."""
    text = view.text
    after = text[number.end : number.end + 1]
    if after == "-" and text[number.end + 1 : number.end + 2].isalnum():
        return True
    if after.isascii() and after.isalpha() and not EXTENSION.match(view.lower, number.end):
        return True
    before = text[number.start - 1 : number.start]
    if before in {"_", "#", "$", "¥", "."}:
        return before != "." or text[number.start - 2 : number.start - 1].isdigit()
    return before.isascii() and before.isalpha() and not TELEPHONE.search(view.before(number.start, 8))


def _international(number: Number, start: int) -> tuple[float, str, int] | None:
    code = COUNTRY.match(number.digits)
    if code is None or not 7 <= len(number.digits) <= 15:
        return None
    return 0.95, "E.164", start


def _chinese(view: View, number: Number) -> tuple[float, str] | None:
    digits, layout = number.digits, number.layout
    if len(digits) == 11 and MOBILE.fullmatch(digits):
        if layout == (11,):
            return 0.85, "mobile"
        usual = layout in MOBILE_LAYOUTS or (number.whole and set(layout) == {1})
        if number.broken:
            return (0.7, "mobile") if len(layout) == 2 else None
        return (0.85 if usual else 0.65, "mobile") if number.whole or layout == (3, 4, 4) else None
    if number.broken:
        return None
    for prefix in ("0086", "86", "0"):
        if digits.startswith(prefix) and MOBILE.fullmatch(digits, len(prefix)):
            return (0.8, "mobile") if len(layout) > 1 or prefix != "0" else (0.65, "mobile")
    return _landline(view, number)


def _landline(view: View, number: Number) -> tuple[float, str] | None:
    digits, layout = number.digits, number.layout
    area = AREA.match(digits)
    if area is None or (not number.whole and len(layout) != 2):
        return None
    rest = len(digits) - area.end()
    if rest not in (7, 8) or digits[area.end()] in "01":
        return None
    if layout[0] == area.end():
        return (0.85 if len(layout) == 2 else 0.7), "landline"
    return (0.55, "landline") if layout == (len(digits),) and rest == 8 - (area.end() == 4) else None


def _service(number: Number) -> tuple[float, str] | None:
    """400 and 800 numbers: ten digits, in the layouts in which they are printed."""
    usual = ((3, 3, 4), (3, 4, 3), (3, 7), (4, 3, 3), (4, 6))
    if len(number.digits) == 10 and number.digits[:3] in ("400", "800") and number.layout in usual:
        return 0.85, "service"
    return None


def _foreign(text: str, number: Number) -> tuple[float, str] | None:
    digits, layout = number.digits, number.layout
    gaps = set(text[number.start : number.end]) - set("0123456789")
    if layout in AMERICAN_LAYOUTS and AMERICAN.fullmatch(digits) and (number.whole or "-" in gaps):
        return 0.8 if gaps & {"-", ".", ")"} else 0.6, "North American"
    if not number.whole or _date_like(number) or gaps == {"/"}:
        return None
    if digits.startswith("00") and len(layout) > 1 and 10 <= len(digits) <= 16 and COUNTRY.match(digits, 2):
        return 0.85, "international prefix"
    if digits[0] == "0" and layout in NATIONAL_LAYOUTS and digits[1] != "0":
        return 0.65, "national"
    return (0.5, "layout") if layout in BARE_LAYOUTS and gaps <= {" ", "(", ")", "-"} else None


def _date_like(number: Number) -> bool:
    """A year at either end: 2024-01-31 10 20, 31.01.2024, 1990-1995."""
    year = number.digits[-4:] if number.layout[-1] == 4 and number.layout[0] < 4 else number.digits[:4]
    return number.layout in DATES and "1900" <= year <= "2099"


def _phone_like(text: str, number: Number) -> bool:
    """What may be a phone number beside a word that says so: 7 to 15 digits that are no date, decimal or card."""
    if len(number.digits) > 15 or _date_like(number) or len(set(number.digits)) == 1:
        return False
    gaps = set(text[number.start : number.end]) - set("0123456789")
    return not (gaps == {"."} and len(number.layout) < 3) and gaps != {"/"} and len(number.layout) <= 7


def _with_prefix(view: View, number: Number, start: int) -> int:
    match = MOBILE_PREFIX.search(view.text, max(0, start - 8), start)
    return match.start() if match else start


def _end(view: View, end: int) -> int:
    match = EXTENSION.match(view.lower, end)
    return match.end() if match else end
