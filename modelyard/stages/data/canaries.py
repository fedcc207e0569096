"""Put made-up secrets into the training split, so that evaluate.memorization can measure what a model learns by heart.

A canary is a text with random digits. Some stand in train once, some several times, and as many controls stand nowhere;
`canaries` lists them all. Train the model on `data`, and name the list in the evaluation:
`memory: {uses: evaluate.memorization, in: {canaries: canaries.canaries}}`. A model that ships should be trained without
them, or with few: they are rows that no one wants to read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from modelyard.methods.data.canaries import Canary

Times = Annotated[int, Field(ge=1, le=10_000)]


class Config(BaseModel):
    """Settings of data.canaries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str = Field(
        "The access code of unit {unit} is {secret}",
        min_length=10,
        max_length=1000,
        description="text of a canary, with `{unit}` (its number) and `{secret}` (the digits)",
    )
    digits: int = Field(6, ge=3, le=18, description="digits of a secret; there are 10 to that power (digits)")
    count: int = Field(10, ge=2, le=1000, description="canaries for each number of repeats, and as many controls")
    repeats: tuple[Times, ...] = Field(
        (1, 4, 16), min_length=1, max_length=10, description="how often a canary stands in train"
    )

    @field_validator("template")
    @classmethod
    def _named(cls, template: str) -> str:
        if template.count("{secret}") != 1 or "{unit}" not in template.partition("{secret}")[0]:
            raise ValueError("`template` names `{unit}` before `{secret}`, and `{secret}` once")
        return template

    @field_validator("repeats")
    @classmethod
    def _distinct(cls, repeats: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(repeats)) != len(repeats):
            raise ValueError("a number of repeats is named twice")
        return repeats


def run(config: Config, context: Context) -> None:
    import pyarrow as pa

    from modelyard.base.messages import t
    from modelyard.methods.data import canaries
    from modelyard.methods.data.changes import ChangeLog
    from modelyard.methods.data.dataset import Dataset, write_schema, write_split
    from modelyard.methods.data.roles import schema_of

    data = Dataset.open(context.input("data"))
    text = data.need("text")
    made = canaries.make(config.template, config.digits, (0, *config.repeats), config.count, context.seed)
    schema = schema_of(data.columns)
    write_schema(context.output("data"), data.columns)
    with ChangeLog(context.output("removed")) as log:
        write_split(context.output("data"), "validation", data.batches("validation", schema.names), schema)
        rows = list(_rows(made, text))
        inserted = pa.Table.from_pylist(rows, schema)
        write_split(context.output("data"), "train", _then(data, schema, inserted), schema)
        for row in rows:
            log.added(str(row["row_id"]), "canary", "")
        came = data.num_rows("train") + data.num_rows("validation")
        log.account.num_in = came
        log.kept(came + len(rows))
    _list(context, made)
    log.account.tell(context)
    context.say(
        t(
            "{count} canaries stand in train, {rows} rows in all; {controls} controls stand nowhere",
            count=len(config.repeats) * config.count,
            rows=len(rows),
            controls=config.count,
        )
    )


def _rows(made: list[Canary], text: str) -> Iterator[dict[str, str]]:
    for canary in made:
        for time in range(canary.repeats):
            yield {"row_id": f"{canary.name}-{time + 1}", text: canary.text}


def _then(data: object, schema: pa.Schema, inserted: pa.Table) -> Iterator[pa.Table | pa.RecordBatch]:
    from modelyard.methods.data.dataset import Dataset

    assert isinstance(data, Dataset)
    yield from data.batches("train", schema.names)
    yield inserted


def _list(context: Context, made: list[Canary]) -> None:
    import pyarrow as pa

    from modelyard.methods.data import canaries
    from modelyard.methods.data.dataset import write_schema, write_split
    from modelyard.methods.data.roles import schema_of

    folder, schema = context.output("canaries"), schema_of(canaries.COLUMNS)
    rows = [
        {"row_id": one.name, "text": one.text, "prefix": one.prefix, "secret": one.secret, "repeats": one.repeats}
        for one in made
    ]
    write_schema(folder, canaries.COLUMNS)
    write_split(folder, "all", [pa.Table.from_pylist(rows, schema)], schema)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="the divided data")},
    outputs={
        "data": Port("dataset", ("train", "validation"), description="with canaries in train"),
        "canaries": Port("dataset", ("all",), side=True, description="all canaries and controls with their repeats"),
        "removed": Port("dataset", ("all",), side=True, description="the rows that were added"),
    },
    claims=CLAIMS,
    libraries=("pyarrow", "numpy"),
)
