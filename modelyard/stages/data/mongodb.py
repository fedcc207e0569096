"""Read the documents of one MongoDB collection into a data set, in the order of `_id`.

`query` and `projection` are MongoDB's own, as extended JSON. Objects become columns (`user.name`), lists JSON text; ids
become text, Decimal128 a number. Documents stream in constant memory, and a fetch that was killed goes on after the
last `_id` it had. A URL with a password must be a secret. Nothing is written, and no script runs on the server.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, field_validator

from modelyard.core.project import SecretName
from modelyard.core.stage import Context, Stage
from modelyard.methods.data.fetching import CLAIMS, OUTPUTS, FetchSettings, without_password
from modelyard.methods.data.mongo_query import script_in
from modelyard.methods.data.settings import ColumnName, text_of

Url = Annotated[str, StringConstraints(pattern=r"^mongodb(\+srv)?://[^\s]{1,2000}$")]
Name = Annotated[str, Field(min_length=1, max_length=120)]


class Config(FetchSettings):
    """Settings of data.mongodb."""

    url: Url | SecretName = Field(description="`mongodb://host/`, or `{secret: NAME}`")
    database: Name = Field(description="name of the database")
    collection: Name = Field(description="name of the collection")
    query: dict[str, JsonValue] = Field({}, description="which documents: `{stars: {$gte: 3}}`; without it all")
    projection: dict[ColumnName, Literal[0, 1]] = Field({}, description="which fields: `{body: 1}`, or `{image: 0}`")
    timeout_s: int = Field(3_600, ge=1, le=864_000, description="longest time for the whole query; seconds")

    @field_validator("url")
    @classmethod
    def _no_password(cls, url: str | SecretName) -> str | SecretName:
        return without_password(url)

    @field_validator("query")
    @classmethod
    def _no_scripts(cls, query: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if script := script_in(query):
            raise ValueError(f"a query without scripts (`{script}`)")
        return query


def run(config: Config, context: Context) -> None:
    from urllib.parse import unquote

    from modelyard.base.messages import t
    from modelyard.methods.data import mongo
    from modelyard.methods.data.arrival import arriving, hand_over
    from modelyard.methods.data.egress.reply import masked_url

    url = text_of(config.url, context.secret)
    password = unquote(url.partition("://")[2].partition("/")[0].rpartition("@")[0].partition(":")[2])
    selection = mongo.Selection(config.database, config.collection, config.query, config.projection, config.timeout_s)
    arrival = arriving(config, context, f"{masked_url(url, [password])} {config.database}.{config.collection}")
    if not arrival.done and arrival.cursor and arrival.cursor["mixed"]:
        context.say(t("begins anew: the ids of this collection are of several types"))
        arrival.restart()
    if not arrival.done:
        with mongo.errors(url, password):
            client = mongo.connect(url)
            try:
                found = mongo.documents(client, selection, arrival.cursor)
                more = arrival.gather(found, config.max_rows, lambda done: context.progress(done, done, "rows"))
            finally:
                client.close()
        if more:
            context.say(t("only the first {n:,} rows: `max_rows`", n=arrival.num_rows))
    hand_over(arrival, config, context)


STAGE = Stage(
    config=Config,
    run=run,
    outputs=OUTPUTS,
    claims=CLAIMS,
    libraries=("pyarrow", "pymongo"),
    refresh="refresh",
    extra="mongodb",
)
