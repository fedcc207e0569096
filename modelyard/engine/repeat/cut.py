"""One fold of the rows of train and validation: its part as validation, the rest as train. Made by `folds:`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.settings import Duration, seconds_of

if TYPE_CHECKING:
    from modelyard.methods.data.splitting.time_folds import TimeCut, TimeFolds


class Cutting(BaseModel):
    """How rows are cut: what every fold of one step has in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int = Field(5, ge=2, le=100, description="parts the rows of train and validation are cut into (parts)")
    by: Literal["label", "time"] = Field(
        "label",
        description="`label`: every class alike, groups whole; `time`: each part is held out after what is older",
    )
    gap: Duration | None = Field(
        None, description="by time: rows so close before the held-out part are left out, such as `7d`"
    )
    window: Duration | None = Field(
        None, description="by time: learn from no more than so much before it, such as `90d`; none: from all"
    )
    overlap: Literal["remove_from_train", "keep"] = Field(
        "remove_from_train", description="by time: older rows whose text or group also stands in the held-out part"
    )

    @model_validator(mode="after")
    def _only_by_time(self) -> Self:
        given = [name for name in ("gap", "window") if getattr(self, name) is not None]
        if given and self.by != "time":
            raise ValueError(f"`{given[0]}` is a time: it needs `by: time`")
        return self


class Config(Cutting):
    """Settings of a cut."""

    fold: int = Field(ge=1, le=100, description="which of them is held out, from 1")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.splitting.folding import assign, sides_of, write_sides
    from modelyard.methods.data.splitting.loading import load_rows
    from modelyard.methods.data.splitting.time_folds import cut_by_time

    splits = ("train", "validation")
    data = Dataset.open(context.input("data"))
    rows = load_rows(data, splits)
    if config.by == "time":
        cut = cut_by_time(rows, time_folds(config), config.fold - 1)
        sides = cut.sides
        tell_left_out(cut, context)
    else:
        sides = sides_of(assign(rows, config.k, context.seed), config.fold - 1)
    num_train, num_held = write_sides(data, splits, sides, context.output("data"))
    context.say(t("{train:,} rows to train, {held:,} held out", train=num_train, held=num_held))


def time_folds(config: Cutting) -> TimeFolds:
    """The settings as the method takes them."""
    from modelyard.methods.data.splitting.time_folds import TimeFolds

    return TimeFolds(
        config.k,
        seconds_of(config.gap) if config.gap else 0,
        seconds_of(config.window) if config.window else None,
        config.overlap == "keep",
    )


def tell_left_out(cut: TimeCut, context: Context) -> None:
    """Say which older rows are not learned from, and why."""
    if cut.num_gap:
        context.say(t("{n:,} rows left out: within the gap before the held-out rows", n=cut.num_gap))
    if cut.num_old:
        context.say(t("{n:,} rows left out: older than the window", n=cut.num_old))
    if cut.num_shared:
        context.say(t("{n:,} rows left out: their text or group also stands in the held-out rows", n=cut.num_shared))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="a data set that is split")},
    outputs={"data": Port("dataset", ("train", "validation"), side=True, description="the same rows, cut anew")},
    libraries=("pyarrow", "numpy"),
)
