"""One fold of the rows of train and validation: its part as validation, the rest as train. Made by `folds:`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    """Settings of a cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(ge=2, le=100, description="parts (parts)")
    fold: int = Field(ge=1, le=100, description="which of them is held out, from 1")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.splitting.folding import write_fold

    data = Dataset.open(context.input("data"))
    num_train, num_held = write_fold(data, context.output("data"), config.k, config.fold - 1, context.seed)
    context.say(t("{train:,} rows to train, {held:,} held out", train=num_train, held=num_held))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="a data set that is split")},
    outputs={"data": Port("dataset", ("train", "validation"), side=True, description="the same rows, cut anew")},
    libraries=("pyarrow", "numpy"),
)
