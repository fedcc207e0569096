"""Keep a share of one class, so that it is as rare as in real life. Rows are chosen by their id, not by their order."""

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(description="the class that becomes rare")
    share: float = Field(0.1, gt=0, le=1, description="of its rows, what stays (share)")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.changes import ChangeLog
    from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
    from modelyard.methods.data.roles import schema_of
    from modelyard.methods.data.row_random import ranks

    data = Dataset.open(context.input("data"))
    label = data.need("label")
    write_schema(context.output("data"), data.columns)
    with (
        ChangeLog(context.output("removed")) as log,
        SplitWriter(context.output("data"), "all", schema_of(data.columns)) as writer,
    ):
        for batch in data.batches("all"):
            order = ranks(context.seed, "rare", batch.column(ROW_ID).to_pylist())
            rows = batch.to_pylist()
            keep = [
                row[label] != config.label or rank < config.share * 2**64 for row, rank in zip(rows, order, strict=True)
            ]
            for row, stays in zip(rows, keep, strict=True):
                if not stays:
                    log.removed(row[ROW_ID], "rare", "left out to make the class rare", row)
            writer.write(batch.filter(keep))
            log.account.num_in += len(rows)
        log.kept(writer.num_rows)
    log.account.tell(context)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",))},
    outputs={"data": Port("dataset", ("all",)), "removed": Port("dataset", ("all",), side=True)},
    claims=CLAIMS,
    libraries=("pyarrow",),
)
