"""The popular mistake, as a stage: every row of one class is copied before the data is divided."""

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="the rare class")
    times: int = Field(10, ge=2, le=100, description="how often each of its rows goes out (times)")


def run(config: Config, context: Context) -> None:
    import pyarrow as pa

    from modelyard.methods.data.dataset import ROW_ID, Dataset, write_schema, write_split

    data = Dataset.open(context.input("data"))
    label = data.need("label")
    table = data.table("all")
    rows = []
    for row in table.to_pylist():
        copies = config.times if row[label] == config.label else 1
        rows += [{**row, ROW_ID: f"{row[ROW_ID]}~{n}" if n else row[ROW_ID]} for n in range(copies)]
    write_schema(context.output("data"), data.columns)
    write_split(context.output("data"), "all", [pa.Table.from_pylist(rows, table.schema)], table.schema)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",))},
    outputs={"data": Port("dataset", ("all",))},
    libraries=("pyarrow",),
)
