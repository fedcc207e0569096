"""The training rows of a fold cut once more: what steps that learn get as train and validation. Made by `folds:`.

The held-out part of the fold is not in it, so nothing that stops early, chooses settings or fits a threshold on
validation can see the rows that the fold is measured on.
"""

from __future__ import annotations

from pydantic import Field

from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage
from modelyard.engine.repeat.cut import Cutting, tell_left_out, time_folds


class Config(Cutting):
    """Settings of a cut within."""

    validation: float = Field(gt=0, lt=1, description="share of the rows for validation; by time: the newest")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.splitting.choosing import split_stratified
    from modelyard.methods.data.splitting.folding import write_sides
    from modelyard.methods.data.splitting.loading import load_rows
    from modelyard.methods.data.splitting.time_folds import newest

    data = Dataset.open(context.input("data"))
    rows = load_rows(data, ("train",))
    if config.by == "time":
        cut = newest(rows, config.validation, time_folds(config))
        sides = cut.sides
        tell_left_out(cut, context)
    else:
        sides = split_stratified(rows, config.validation, 0.0, context.seed)
    num_train, num_held = write_sides(data, ("train",), sides, context.output("data"))
    context.say(t("{train:,} rows to train, {held:,} to validation", train=num_train, held=num_held))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train",), description="a fold")},
    outputs={"data": Port("dataset", ("train", "validation"), side=True, description="its training rows, cut again")},
    libraries=("pyarrow", "numpy"),
)
