"""Quantities with units as people write them: `175 cm`, `1.2万公里`, `3斤2两`, `5 ft 11 in`, `98.6°F`, `1小时30分`.

Factors are those of the SI (BIPM, The International System of Units, 9th edition) and of the international pound, inch
and mile (exact since 1959); Chinese market units (市制) follow the metric law of 1929: 1 斤 = 500 g, 1 里 = 500 m.
Money is not converted: its factors change every day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class _Scale:
    """value in the base unit = value * factor + offset"""

    kind: str
    factor: float
    offset: float = 0.0


_SCALES = {
    **{name: _Scale("mass", factor) for name, factor in
       {"mg": 1e-6, "g": 1e-3, "kg": 1.0, "t": 1e3, "lb": 0.45359237, "oz": 0.028349523125, "jin": 0.5,
        "liang": 0.05}.items()},
    **{name: _Scale("length", factor) for name, factor in
       {"mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3, "in": 0.0254, "ft": 0.3048, "yd": 0.9144, "mi": 1609.344,
        "li": 500.0, "chi": 1 / 3, "cun": 1 / 30}.items()},
    **{name: _Scale("time", factor) for name, factor in
       {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "week": 604800.0}.items()},
    "K": _Scale("temperature", 1.0),
    "C": _Scale("temperature", 1.0, 273.15),
    "F": _Scale("temperature", 5 / 9, 459.67 * 5 / 9),
}  # fmt: skip
# Other names of the units, after compatibility normalization (℃ is °C, ㎏ is kg) and in lower case.
_NAMES = {
    "mg": "毫克 milligram milligrams", "g": "克 gram grams", "kg": "千克 公斤 kgs kilogram kilograms kilo",
    "t": "吨 ton tons tonne tonnes", "lb": "磅 lbs pound pounds", "oz": "盎司 ounce ounces", "jin": "斤 市斤",
    "liang": "两", "mm": "毫米", "cm": "厘米 公分 centimeter centimeters", "m": "米 公尺 meter meters metre metres",
    "km": "千米 公里 kilometer kilometers", "in": "英寸 inch inches \"", "ft": "英尺 foot feet '",
    "yd": "码 yard yards", "mi": "英里 mile miles", "li": "里 华里", "chi": "尺", "cun": "寸",
    "ms": "毫秒 millisecond milliseconds",
    "s": "秒 秒钟 sec secs second seconds", "min": "分 分钟 mins minute minutes", "h": "时 小时 钟头 hr hrs hour hours",
    "d": "天 日 day days", "week": "周 星期 weeks wk wks", "c": "°c 摄氏度 celsius", "f": "°f 华氏度 fahrenheit",
    "k": "开 开尔文 kelvin",
}  # fmt: skip
_PROPER = {"c": "C", "f": "F", "k": "K"}
_UNITS = {alias: _PROPER.get(name, name) for name, others in _NAMES.items() for alias in (name, *others.split())}
_PART = re.compile(
    r"\s*(?P<number>[^\s\d]?[\d.,]+(?:e[+-]?\d+)?\s*[百千万亿]{0,2})\s*"
    r"(?P<unit>[^\d\s.,+\-百千万亿][^\d\s.,+\-]*)\s*"
)


def parts(text: str) -> list[tuple[str, str]] | None:
    """Numbers and units of a normalized text, `5 ft 11 in` as two; None if it is not made of these alone."""
    found = []
    place = 0
    while place < len(text):
        part = _PART.match(text, place)
        if part is None:
            return None
        found.append((part["number"].strip(), part["unit"]))
        place = part.end()
    return found or None


def scale_of(name: str) -> str | None:
    """Symbol of a unit by any of its names, None if it is none."""
    return _UNITS.get(name.casefold())


def convert(value: float, unit: str, to: str) -> float | None:
    """A value in another unit of the same kind; None if the kinds differ."""
    here, there = _SCALES[unit], _SCALES[to]
    if here.kind != there.kind:
        return None
    if unit == to:
        return value
    found = (value * here.factor + here.offset - there.offset) / there.factor
    return round(found, 12) if abs(found) < 1e6 else found
