"""Rules about single values: for each a mask of the rows of a batch that break it.

Missing values, of which NaN is one, break `missing` alone. An infinity breaks any range. Regular expressions run in RE2
(Arrow's), in time linear in the text.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.contracts.moments import in_utc
from modelyard.methods.data.contracts.settings import ColumnRule, Kind
from modelyard.methods.data.statistics.columns import as_floats, as_mask

Mask = NDArray[np.bool_]
_READABLE = {
    "integer": r"\A\s*[+-]?[0-9]{1,18}\s*\z",
    "number": r"\A\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?\s*\z",
    "boolean": r"\A\s*(?i:true|false|yes|no|0|1)\s*\z",
    "time": r"\A\s*[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?\s*\z",
}


@dataclass(frozen=True)
class Check:
    """One rule about the values of one column.

    Attributes:
        rule: its name: `type`, `missing`, `range`, `length`, `pattern`, `category`, `later than as_of`.
        expected: in the words of the project file.
        breaks: the rows of a batch that break it.
    """

    rule: str
    expected: str
    breaks: Callable[[pa.Array], Mask]


def checks_of(rule: ColumnRule, kind: pa.DataType) -> Iterator[Check]:
    """The rules that can be judged row by row."""
    if rule.max_missing == 0:
        yield Check("missing", "max_missing: 0", lambda values: as_mask(values.is_null()))
    if rule.type is not None and is_text(kind) and rule.type in _READABLE:
        pattern = _READABLE[rule.type]
        yield Check("type", f"type: {rule.type}", lambda values: _misses(values, pattern))
    if rule.type == "integer" and pa.types.is_floating(kind):
        yield Check("type", "type: integer", _fractions)
    if rule.min is not None or rule.max is not None:
        yield Check(
            "range", _between(rule.min, rule.max, ""), lambda values: _outside(_numbers(values), rule.min, rule.max)
        )
    if rule.min_length is not None or rule.max_length is not None:
        expected = _between(rule.min_length, rule.max_length, "_length")
        yield Check("length", expected, lambda values: _outside(_lengths(values), rule.min_length, rule.max_length))
    if rule.pattern is not None:
        whole = rf"\A(?:{rule.pattern})\z"
        try_pattern(whole)
        yield Check("pattern", f"pattern: {rule.pattern}", lambda values: _misses(values.cast(pa.string()), whole))
    if rule.categories is not None:
        allowed = pa.array(rule.categories, pa.string())
        some = ", ".join(rule.categories[:5]) + (", …" if len(rule.categories) > 5 else "")
        yield Check("category", f"categories: [{some}]", lambda values: _strange(values, allowed))


def wrong_type(rule: ColumnRule, kind: pa.DataType) -> bool:
    """Whether no value of a column can be of the type asked for."""
    fits: dict[Kind, Callable[[pa.DataType], bool]] = {
        "string": is_text,
        "integer": lambda given: pa.types.is_integer(given) or pa.types.is_floating(given) or is_text(given),
        "number": lambda given: pa.types.is_integer(given) or pa.types.is_floating(given) or is_text(given),
        "boolean": lambda given: pa.types.is_boolean(given) or is_text(given),
        "time": lambda given: pa.types.is_timestamp(given) or pa.types.is_date(given) or is_text(given),
        "binary": lambda given: pa.types.is_binary(given) or pa.types.is_large_binary(given),
    }
    return rule.type is not None and not fits[rule.type](kind)


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def try_pattern(pattern: str) -> None:
    """Raises InputError if RE2 does not take a pattern (wrong, or so large that it would need too much memory)."""
    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid as error:
        raise InputError(
            t("the pattern cannot be used: {error}", error=str(error)[:300]), where=pattern[:100], expected="RE2"
        ) from None


def without_nan(values: pa.Array) -> pa.Array:
    """The values with NaN as missing: no number was measured."""
    if not pa.types.is_floating(values.type):
        return values
    return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)


def later_than(moment: datetime.datetime, expected: str) -> Check:
    """The rule that no time is `moment` (UTC) or later."""
    limit = pa.scalar(moment.replace(tzinfo=None), pa.timestamp("us"))

    def breaks(values: pa.Array) -> Mask:
        return as_mask(pc.greater_equal(in_utc(values), limit).fill_null(False))

    return Check("later than as_of", expected, breaks)


def _misses(values: pa.Array, pattern: str) -> Mask:
    return as_mask(pc.invert(pc.match_substring_regex(values, pattern)).fill_null(False))


def _strange(values: pa.Array, allowed: pa.Array) -> Mask:
    return as_mask(pc.and_(values.is_valid(), pc.invert(pc.is_in(values.cast(pa.string()), value_set=allowed))))


def _fractions(values: pa.Array) -> Mask:
    numbers = as_floats(values)
    return np.asarray(np.isinf(numbers) | (np.isfinite(numbers) & (numbers != np.floor(numbers))))


def _numbers(values: pa.Array) -> NDArray[np.float64]:
    """Numbers, and of texts those that can be read as one; NaN for the others."""
    if not is_text(values.type):
        return as_floats(values)
    readable = pc.match_substring_regex(values, _READABLE["number"]).fill_null(False)
    texts = pc.utf8_trim_whitespace(pc.if_else(readable, values, None))
    return as_floats(pc.if_else(pc.starts_with(texts, "+"), pc.utf8_slice_codeunits(texts, 1), texts))


def _lengths(values: pa.Array) -> NDArray[np.float64]:
    return as_floats(pc.utf8_length(values) if is_text(values.type) else pc.binary_length(values.cast(pa.binary())))


def _outside(numbers: NDArray[np.float64], low: float | None, high: float | None) -> Mask:
    with np.errstate(invalid="ignore"):
        below = numbers < low if low is not None else np.zeros(len(numbers), dtype=bool)
        above = numbers > high if high is not None else np.zeros(len(numbers), dtype=bool)
    return np.asarray(below | above | np.isinf(numbers))


def _between(low: float | None, high: float | None, what: str) -> str:
    ends = [f"min{what}: {low:g}" if low is not None else "", f"max{what}: {high:g}" if high is not None else ""]
    return ", ".join(filter(None, ends))
