"""A contract as a project file states it. Light: the stage's Config is read at every start of the command line."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.methods.data.settings import ColumnName, Duration

Kind = Literal["string", "integer", "number", "boolean", "time", "binary"]
Category = Annotated[str, Field(max_length=1_000)]
LONGEST_PATTERN = 500
_NOT_REGULAR = re.compile(r"\(\?[=!]|\(\?<[=!]|\(\?P=|\\[1-9]|\(\?>|[*+?}]\+")


class ColumnRule(BaseModel):
    """What the values of one column must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Kind | None = Field(None, description="texts that can be read as the type are of it")
    required: bool = Field(True, description="the column must be there")
    max_missing: float = Field(1.0, ge=0, le=1, description="share of missing values and NaN; at 0 each one counts")
    min: float | None = Field(None, ge=-1e300, le=1e300, description="least number")
    max: float | None = Field(None, ge=-1e300, le=1e300, description="greatest number")
    min_length: int | None = Field(None, ge=0, le=1 << 28, description="characters (of an image: bytes)")
    max_length: int | None = Field(None, ge=0, le=1 << 28, description="characters (of an image: bytes)")
    pattern: str | None = Field(
        None, min_length=1, max_length=LONGEST_PATTERN,
        description="regular expression (RE2: linear time, no look-around, no back-references) for the whole value",
    )  # fmt: skip
    categories: list[Category] | None = Field(None, min_length=1, max_length=10_000, description="the values allowed")
    unique: bool = Field(False, description="no value twice")

    @model_validator(mode="after")
    def _consistent(self) -> ColumnRule:
        for low, high, what in ((self.min, self.max, ""), (self.min_length, self.max_length, "_length")):
            if low is not None and high is not None and low > high:
                raise ValueError(f"`min{what}` {low:g} is above `max{what}` {high:g}: no value can be both")
        if self.pattern is not None:
            if _NOT_REGULAR.search(self.pattern):
                raise ValueError(
                    "`pattern` uses look-around, a back-reference or a possessive count, which RE2 does not have: "
                    "they can take exponential time"
                )
            try:
                re.compile(self.pattern)
            except re.error as error:
                if not re.search(r"\\[pPzCQ]|\(\?[a-zA-Z-]*U|\[\[:", self.pattern):  # RE2 knows some that re does not
                    raise ValueError(f"`pattern` is no regular expression: {error}") from None
        return self


class RowsRule(BaseModel):
    """How many rows may come."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min: int = Field(0, ge=0, le=1 << 50, description="rows at least")
    max: int | None = Field(None, ge=0, le=1 << 50, description="rows at most")


class FreshnessRule(BaseModel):
    """How old the newest row may be. The clock is no input: the moment to count from is named or taken from data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: ColumnName | None = Field(None, description="of times; the column with the role `time` if not set")
    max_age: Duration | None = Field(None, description="of the newest row, such as `7d`")
    as_of: str | None = Field(
        None, max_length=40, description="ISO 8601, UTC (a date: its whole day); rows later than it break a rule of "
        "their own; without it the newest moment of the reference",
    )  # fmt: skip

    @model_validator(mode="after")
    def _moment(self) -> FreshnessRule:
        if self.as_of is not None:
            try:
                datetime.datetime.fromisoformat(self.as_of)
            except ValueError:
                raise ValueError(
                    f"`as_of` is no moment: {self.as_of!r}; write 2024-06-30 or 2024-06-30T12:00"
                ) from None
        return self


class LabelsRule(BaseModel):
    """How the labels may be spread."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_share: float = Field(0.0, ge=0, le=1, description="share of the rows that every label has at least")
    max_share: float = Field(1.0, ge=0, le=1, description="share of the rows that any label has at most")
    max_labels: int = Field(100_000, ge=1, le=100_000, description="different labels")


class DriftRule(BaseModel):
    """How far columns may have moved from the reference; both the index and the test must say so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_psi: float = Field(0.1, gt=0, le=10, description="population stability index; 0.1 is small, 0.25 large")
    alpha: float = Field(0.01, gt=0, lt=0.5, description="level of the test, all columns together (Holm)")
    min_rows: int = Field(500, ge=100, le=1 << 40, description="of either side; with fewer the rule is not kept")
    columns: list[ColumnName] | None = Field(None, min_length=1, description="those compared; all if not set")


class Contract(BaseModel):
    """The rules. A rule that cannot be judged is not kept: what is unknown is not good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[ColumnName, ColumnRule] = Field({}, max_length=10_000, description="rules by column")
    other_columns: Literal["allow", "refuse"] = Field("allow", description="columns without rules")
    unique: list[list[ColumnName]] = Field([], max_length=20, description="columns that together have no value twice")
    rows: RowsRule = Field(RowsRule(), description="how many rows")
    freshness: FreshnessRule = Field(FreshnessRule(), description="how old the newest row")
    labels: LabelsRule = Field(LabelsRule(), description="how the labels are spread")
    drift: DriftRule = Field(DriftRule(), description="how far from the reference; only with one")
