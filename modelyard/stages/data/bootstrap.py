"""Draw the training rows anew, so that models trained on them differ: bagging.

Used once for each model, each time with another `number` and on the data set as it was split (`in: {data: split}`); the
models then answer together through combine.ensemble. Validation goes through unchanged. `bootstrap` draws with
replacement: about 63 % of the rows, some several times; `subsample` takes each row or not.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS


class Config(BaseModel):
    """Settings of data.bootstrap."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int = Field(ge=1, le=100_000, description="which sample: every model of a bag needs its own")
    method: Literal["bootstrap", "subsample"] = Field("bootstrap", description="with replacement, or without")
    share: float = Field(1.0, gt=0, le=1, description="rows drawn over rows there are, on average (share)")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.bootstrap import draw
    from modelyard.methods.data.dataset import Dataset

    account = draw(
        Dataset.open(context.input("data")),
        config.method,
        config.share,
        config.number,
        context.seed,
        context.output("data"),
        context.output("removed"),
        lambda done, total: context.progress(done, total, "rows"),
    )
    account.tell(context)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="rows that are divided")},
    outputs={
        "data": Port("dataset", ("train", "validation"), description="a sample of train; validation unchanged"),
        "removed": Port("dataset", ("all",), side=True, description="rows not drawn and rows drawn again"),
    },
    claims=CLAIMS,
    libraries=("pyarrow", "numpy"),
)
