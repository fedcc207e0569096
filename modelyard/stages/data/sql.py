"""Read the rows of one SELECT from a database into a data set.

The URL is SQLAlchemy's (`postgresql://user@host/database`, `sqlite:///reviews.db`); one with a password must be a
secret. Only a single SELECT is sent, in a read-only transaction, with bound parameters. Rows stream in constant memory.
With `key` (a unique column) rows come in its order and a fetch that was killed goes on after the last row it had.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from modelyard.core.project import SecretName
from modelyard.core.stage import Context, Stage
from modelyard.methods.data.fetching import CLAIMS, OUTPUTS, FetchSettings, without_password
from modelyard.methods.data.settings import ColumnName, text_of
from modelyard.methods.data.sql_text import query_problem

Url = Annotated[str, Field(min_length=1, max_length=2_000)]
Parameter = bool | int | float | str | None


class Config(FetchSettings):
    """Settings of data.sql."""

    url: Url | SecretName = Field(description="database URL as SQLAlchemy writes it, or `{secret: NAME}`")
    query: str = Field(min_length=1, max_length=100_000, description="one SELECT; `:name` stands for a parameter")
    parameters: dict[ColumnName, Parameter] = Field({}, description="values of the query's parameters")
    key: ColumnName | None = Field(
        None, description="unique column, whole numbers or text: gives the order and where a killed fetch goes on"
    )
    order_by: list[ColumnName] = Field([], description="columns that give the order, if neither key nor query does")
    timeout_s: int = Field(3_600, ge=1, le=864_000, description="longest time for one statement; seconds")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str | SecretName) -> str | SecretName:
        return without_password(url)

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str) -> str:
        if problem := query_problem(query):
            raise ValueError(problem)
        return query

    @model_validator(mode="after")
    def _one_order(self) -> Config:
        if self.key and self.order_by:
            raise ValueError("`key` gives the order already: leave `order_by` out")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.arrival import arriving, hand_over
    from modelyard.methods.data.sql import Database, Query

    database = Database(text_of(config.url, context.secret), context.base, config.timeout_s, context.say)
    query = Query(config.query, config.parameters, config.key, tuple(config.order_by))
    if not query.is_ordered:
        context.say(t("the query has no ORDER BY: rows, and with them row ids, may come in another order next time"))
    arrival = arriving(config, context, database.name, resumable=config.key is not None)
    try:
        if not arrival.done:
            rows = database.rows(query, arrival.cursor)
            more = arrival.gather(rows, config.max_rows, lambda done: context.progress(done, done, "rows"))
            if more:
                context.say(t("only the first {n:,} rows: `max_rows`", n=arrival.num_rows))
    finally:
        database.close()
    hand_over(arrival, config, context)


STAGE = Stage(
    config=Config,
    run=run,
    outputs=OUTPUTS,
    claims=CLAIMS,
    libraries=("pyarrow", "sqlalchemy"),
    refresh="refresh",
    extra="sql",
)
