"""Values of tables as people write them, read as what they are: numbers, quantities, dates, yes and no.

    1,234.50  ￥12.5  12%  ３５  1.2万  3.4亿  (120)   numbers
    2024-1-2  2024年1月2日  20240102  2024/01/02 15:04   dates
    是 否 yes no true 0 对                              booleans

A reader returns None for what it cannot read; nothing is guessed from other rows.
"""

from __future__ import annotations

import datetime
import math
import re
import unicodedata
from typing import Literal

from modelyard.methods.data.table_units import convert, parts, scale_of

Order = Literal["ymd", "dmy", "mdy"]
_MINUS = str.maketrans({"−": "-", "–": "-", "﹣": "-", "＋": "+"})
_MONEY = re.compile(
    r"^(?:rmb|cny|usd|eur|hkd|us\$|hk\$|[¥$€£])\s*|\s*(?:rmb|cny|usd|eur|hkd|元整?|块|圆|美元|欧元|[¥$€£])$",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,3})?", re.IGNORECASE)
_TIMES = {"百": 1e2, "千": 1e3, "万": 1e4, "萬": 1e4, "亿": 1e8, "億": 1e8}
_TRUE = frozenset(["true", "t", "yes", "y", "on", "1", "1.0", "是", "有", "对", "真", "√", "✓", "✔"])
_FALSE = frozenset(["false", "f", "no", "n", "off", "0", "0.0", "否", "无", "没有", "错", "假", "×", "✗", "✘"])
_DATE = re.compile(
    r"(?P<a>\d{1,4})\s*(?:[-/.]|年)\s*(?P<b>\d{1,2})\s*(?:[-/.]|月)\s*(?P<c>\d{1,4})\s*[日号]?"
    r"(?:\s*T?\s*(?P<rest>\D*\d.*))?",
    re.IGNORECASE,
)
_COMPACT = re.compile(r"(\d{4})(\d{2})(\d{2})")
_TIME = re.compile(
    r"(?:星期.|周[一二三四五六日])?\s*(?P<half>上午|下午|晚上|中午|凌晨|早上|am|pm)?\s*(?P<h>\d{1,2})\s*(?::|时|点)\s*"
    r"(?:(?P<m>\d{1,2})\s*(?::|分)?\s*(?:(?P<s>\d{1,2})(?:\.(?P<f>\d{1,6})\d*)?\s*秒?)?)?\s*(?P<after>am|pm)?\s*"
    r"(?P<zone>z|[+-]\d{2}:?\d{2})?",
    re.IGNORECASE,
)


LONGEST = 100
"""Characters of the longest value that is read."""


def normal(text: str) -> str:
    """Compatibility form without spaces at the ends, full width and unusual minus signs folded."""
    return unicodedata.normalize("NFKC", text).translate(_MINUS).strip()


def folded(text: str) -> str:
    """What two spellings of a category share: width, case and white space do not count."""
    return " ".join(normal(text).casefold().split())


def number_of(text: str, decimal: Literal[".", ","] = ".") -> float | None:
    """A number with separators, a currency sign, 万 or 亿; with `%` a share (12% is 0.12); in brackets negative.

    Args:
        decimal: `,` reads 1.234,50 as continental Europe writes it.
    """
    text = normal(text[: LONGEST + 1])
    if len(text) > LONGEST:
        return None
    sign = 1.0
    if text.startswith("(") and text.endswith(")"):
        sign, text = -1.0, text[1:-1].strip()
    if text[:1] in "+-" and text[1:2] and text[1:2] not in "0123456789.+-":  # -￥5
        sign, text = (-sign if text[0] == "-" else sign), text[1:].strip()
    text = _MONEY.sub("", text).strip()
    for mark, share in (("%", 0.01), ("‰", 0.001)):
        if text.endswith(mark):
            value = _digits(text[:-1].strip(), decimal)
            return None if value is None else sign * round(value * share, 15)
    factor = 1.0
    while text and text[-1] in _TIMES:
        factor, text = factor * _TIMES[text[-1]], text[:-1].strip()
    value = _digits(_MONEY.sub("", text).strip(), decimal)
    if value is None or not math.isfinite(value * factor):
        return None
    return sign * (value if factor == 1 else float(f"{value * factor:.15g}"))


def _digits(text: str, decimal: str) -> float | None:
    if decimal == ",":
        text = text.replace(".", " ").replace(",", ".").replace(" ", ",")
    if _GROUPED.fullmatch(text):
        text = text.replace(",", "")
    if not _PLAIN.fullmatch(text) or not text.isascii():
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def quantity_of(text: str, unit: str, assume: str | None = None, decimal: Literal[".", ","] = ".") -> float | None:
    """A number in `unit`; one without a unit is in `assume` (`unit` if that is None)."""
    plain = number_of(text, decimal)
    if plain is not None:
        return plain if assume is None else convert(plain, assume, unit)
    found = parts(normal(text)) if len(text) <= LONGEST else None
    if found is None:
        return None
    total = 0.0
    for place, (number, name) in enumerate(found):
        value, symbol = number_of(number, decimal), scale_of(name)
        if value is None or symbol is None or (place and symbol in ("C", "F", "K")):
            return None
        converted = convert(value, symbol, unit)
        if converted is None:
            return None
        total += converted
    return float(f"{total:.15g}")


def boolean_of(text: str) -> bool | None:
    word = folded(text)
    return True if word in _TRUE else False if word in _FALSE else None


def moment_of(text: str, order: Order = "ymd") -> datetime.datetime | None:
    """A date, with a time or without, in ISO 8601 or Chinese; with a zone it becomes UTC.

    Args:
        order: of day, month and year where the year does not come first.
    """
    text = normal(text[: LONGEST + 1])
    compact = _COMPACT.fullmatch(text)
    if compact is not None:
        return _day(int(compact[1]), int(compact[2]), int(compact[3]))
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    fields = _ymd(found["a"], found["b"], found["c"], order)
    day = _day(*fields) if fields is not None else None
    if day is None or not found["rest"]:
        return day
    return _at(day, found["rest"])


def _day(year: int, month: int, day: int) -> datetime.datetime | None:
    try:
        return datetime.datetime(year, month, day)  # noqa: DTZ001 (UTC without zone, as all times in data sets)
    except ValueError:
        return None


def _ymd(a: str, b: str, c: str, order: Order) -> tuple[int, int, int] | None:
    """Year, month and day; None if it is not said which is which."""
    if len(a) == 4 and len(c) <= 2:
        return int(a), int(b), int(c)
    if len(c) == 4 and len(a) <= 2 and order != "ymd":
        day, month = (a, b) if order == "dmy" else (b, a)
        return int(c), int(month), int(day)
    return None


def _at(day: datetime.datetime, text: str) -> datetime.datetime | None:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        return None
    hour = int(found["h"])
    half = (found["half"] or found["after"] or "").casefold()
    if half in ("下午", "晚上", "pm") and hour < 12:
        hour += 12
    elif half in ("凌晨", "am", "上午", "早上") and hour == 12:
        hour = 0
    fraction = int((found["f"] or "0").ljust(6, "0"))
    try:
        moment = day.replace(hour=hour, minute=int(found["m"] or 0), second=int(found["s"] or 0), microsecond=fraction)
        return moment - _offset(found["zone"])
    except (ValueError, OverflowError):
        return None


def _offset(zone: str | None) -> datetime.timedelta:
    if zone is None or zone in "zZ":
        return datetime.timedelta()
    minutes = int(zone[1:3]) * 60 + int(zone[-2:])
    return datetime.timedelta(minutes=-minutes if zone[0] == "-" else minutes)
