"""Put the columns of a table right by rules written down beforehand: types, units, ranges, categories, missing values.

Each rule says what becomes of a cell that breaks it: `null`, `remove_row`, `clip` (ranges) or `keep_and_flag` (a column
`flags` says what is wrong). Every cell changed and row removed is in `removed`. Nothing is learned from the rows: what
learns, such as the limits of outliers, runs behind the split (`data.outliers`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName

if TYPE_CHECKING:
    from modelyard.methods.data.table_cleaning import Rule

Unit = Literal[
    "mg", "g", "kg", "t", "lb", "oz", "mm", "cm", "m", "km", "in", "ft", "yd", "mi",
    "ms", "s", "min", "h", "d", "week", "C", "F", "K",
]  # fmt: skip
Limit = Annotated[float, Field(ge=-1e300, le=1e300)]
Word = Annotated[str, Field(max_length=200)]
Action = Literal["null", "remove_row", "keep_and_flag"]


class ColumnRule(BaseModel):
    """What one column must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["number", "integer", "boolean", "date", "datetime", "text"] | None = Field(
        None,
        description="how cells are read: `￥1,234.5`, `12%` (a share), `1.2万`; `是`, `no`; `2024年1月2日`",
    )
    unit: Unit | None = Field(None, description="numbers in this unit: `3斤2两` and `150 lb` become kg; not for money")
    assume: Unit | None = Field(None, description="unit of numbers that come without one; `unit` if not set")
    decimal: Literal[".", ","] = Field(".", description="`,` reads 1.234,50")
    order: Literal["ymd", "dmy", "mdy"] = Field("ymd", description="of dates whose year does not come first")
    min: Limit | None = Field(None, description="smallest value allowed")
    max: Limit | None = Field(None, description="largest value allowed")
    categories: list[Word] | None = Field(None, min_length=1, description="values allowed; case and width do not count")
    synonyms: dict[Word, Word] = Field({}, description="other names of the categories: `{男性: 男, M: 男}`")
    missing: list[Word] = Field([], description="more markers of missing values, such as `999`")
    markers: bool = Field(True, description="an empty cell, `NA`, `null`, `none`, `无`, `-` and the like are missing")
    on_missing: Action = Field("null", description="what becomes of a missing value that was written as a marker")
    on_type: Action = Field("null", description="of what cannot be read as the type or unit; the log keeps it")
    on_category: Action = Field("null", description="of a value that names no category")
    on_range: Literal["null", "remove_row", "clip", "keep_and_flag"] = Field(
        "null", description="of a number out of range"
    )

    @model_validator(mode="after")
    def _consistent(self) -> ColumnRule:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        if self.assume is not None and self.unit is None:
            raise ValueError("`assume` needs a `unit`")
        if self.unit is not None and self.type not in (None, "number"):
            raise ValueError(f"a column with a unit is a number, not `{self.type}`")
        if self.categories is not None and not set(self.synonyms.values()) <= set(self.categories):
            raise ValueError("`synonyms` lead to values that are not among `categories`")
        return self


class Config(BaseModel):
    """Settings of data.clean_table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[ColumnName, ColumnRule] = Field(min_length=1, description="rules by column; other columns stay")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.table_cleaning import clean_table

    found = clean_table(
        Dataset.open(context.input("data")),
        {name: _rule(rule) for name, rule in config.columns.items()},
        context.output("data"),
        context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    account = found.account
    if not account.num_kept:
        context.say(account.line())
        raise InputError(
            t("no row is left of {n:,}", n=account.num_in),
            where="data.clean_table",
            remedy=t("the rules take out every row: look at `removed` of a run with `keep_and_flag`"),
        )
    account.tell(context)
    for (name, reason), count in sorted(found.found.items()):
        context.say(t("column {name}: {reason} in {n:,} cells", name=name, reason=t(reason), n=count))


def _rule(rule: ColumnRule) -> Rule:
    from modelyard.methods.data.table_cleaning import Rule

    given = rule.model_dump()
    return Rule(kind=given.pop("type"), low=given.pop("min"), high=given.pop("max"), **given)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="rows of a table")},
    outputs={
        "data": Port("dataset", ("all",), description="the rows kept, put right"),
        "removed": Port("dataset", ("all",), side=True, description="every cell changed and row removed, with why"),
    },
    claims=CLAIMS,
    libraries=("pyarrow",),
)
