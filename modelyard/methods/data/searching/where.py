"""Conditions on rows: `label=spam`, `length>=10`, `text~free`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import Problem, UsageError
from modelyard.methods.data.dataset import Column

_FORM = re.compile(r"(?P<name>.+?)\s*(?P<sign>!=|<=|>=|=|<|>|~)\s*(?P<value>.*)", re.S)
_COMPARE = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


@dataclass(frozen=True)
class Condition:
    """One condition. `~` is "contains", without regard to case; no value means "is missing or empty"."""

    column: str
    sign: str
    value: str

    def mask(self, values: pa.Array) -> pa.Array:
        """True for the rows that fit. Missing values fit `!=` and an empty `=` only."""
        if self.value == "" and self.sign in ("=", "!="):
            empty = values.is_null()
            if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                empty = pc.or_(empty, pc.equal(values.fill_null(""), ""))
            return empty if self.sign == "=" else pc.invert(empty)
        if self.sign == "~":
            return pc.match_substring(values.cast(pa.string()), self.value, ignore_case=True).fill_null(False)
        found = _COMPARE[self.sign](values, self.scalar(values.type))
        return found.fill_null(self.sign == "!=")

    def scalar(self, kind: pa.DataType) -> pa.Scalar:
        """The value in the column's type. Raises UsageError if it cannot be one."""
        try:
            return pa.scalar(self.value).cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise UsageError(
                t("`{value}` is no value of the column `{name}`", value=self.value[:60], name=self.column),
                expected=t("a value of the type {kind}", kind=kind),
            ) from None


def parse_conditions(texts: Sequence[str], columns: Sequence[Column]) -> list[Condition]:
    """Read conditions. Raises UsageError with every one that cannot be read or names no column."""
    names = [column.name for column in columns]
    found, problems = [], []
    for text in texts:
        match = _match(text, names)
        if match is None:
            problems.append(
                Problem("", t("`{text}` is no condition", text=text[:80]), "column=value, != < <= > >= ~",
                        did_you_mean(re.split(r"[!<>=~]", text, maxsplit=1)[0].strip(), names))
            )  # fmt: skip
        else:
            found.append(match)
    if problems:
        raise UsageError.of(problems)
    return found


def _match(text: str, names: Sequence[str]) -> Condition | None:
    """The longest column name that the text begins with counts, so that names may hold signs."""
    for name in sorted(names, key=len, reverse=True):
        if text.startswith(name):
            match = _FORM.fullmatch("x" + text[len(name) :])
            if match and match["name"] == "x":
                return Condition(name, match["sign"], match["value"])
    return None


def fitting(batch: pa.RecordBatch, conditions: Sequence[Condition]) -> pa.RecordBatch:
    """The rows of a batch that fit all conditions."""
    for condition in conditions:
        batch = batch.filter(condition.mask(batch.column(condition.column)))
    return batch
