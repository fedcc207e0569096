"""Take some of the rows: a first, quick run on big data, to find what is wrong before the long one.

Rows are drawn by their ids and the seed, so that their order does not count and a larger sample holds the smaller one.
With `by` every value of that column keeps its share. It stands before data.split; every figure further down is of the
sample, which the report says. Take the step out for the run that counts.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS
from modelyard.methods.data.settings import ColumnName

REASON = "not in the sample"


class Config(BaseModel):
    """Settings of data.sample."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int = Field(10_000, ge=10, le=100_000_000, description="rows to take; all, if there are fewer")
    by: ColumnName | None = Field(None, description="column whose values keep their shares, such as the label's")


def run(config: Config, context: Context) -> None:
    import numpy as np
    import pyarrow as pa

    from modelyard.methods.data.account import Account
    from modelyard.methods.data.dataset import Dataset, SplitWriter, write_schema
    from modelyard.methods.data.roles import schema_of
    from modelyard.methods.data.sampling import drawn_places

    data = Dataset.open(context.input("data"))
    taken = np.zeros(data.num_rows("all"), dtype=np.bool_)
    taken[drawn_places(data, ["all"], config.rows, context.seed, config.by)[0]] = True
    write_schema(context.output("data"), data.columns)
    start = 0
    with SplitWriter(context.output("data"), "all", schema_of(data.columns)) as writer:
        for batch in data.batches("all"):
            writer.write(batch.filter(pa.array(taken[start : start + batch.num_rows])))
            start += batch.num_rows
            context.progress(start, len(taken), "rows")
    num = int(taken.sum())
    account = Account(num_in=len(taken), num_kept=num)
    if num < len(taken):
        account.removed[REASON] = len(taken) - num
        context.say(t("a sample: {n:,} of {total:,} rows; every figure below is of it", n=num, total=len(taken)))
    account.tell(context)
    share = num / max(1, len(taken))
    context.measure("data.sample_rate", share, about="data", on="", n=max(1, len(taken)), interval="exact")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("all",), description="rows that are not divided yet")},
    outputs={"data": Port("dataset", ("all",), description="the rows that were drawn, in their order")},
    claims=(
        *CLAIMS,
        Claim("data.sample_rate", "share of the rows that were drawn", subject="lineage", any_split=True),
    ),
    libraries=("pyarrow", "numpy"),
)
