"""Take a release of the store as it is: its model, and the data set it was measured on.

So a released model goes on (`train.update`), is measured again, or is what a new one is compared with. `release` is a
name (its `production` alias, else the newest version), `name@3`, or `name:alias`. What the step gives are the released
artifacts themselves; their digests stand in the run's key, so a step below runs again if the alias has moved, and only
then. Name a version where the same project shall give the same result in a year.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    """Settings of model.release."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release: str = Field(
        min_length=1, max_length=300, description="`name`, `name@3` or `name:alias`, as `modelyard release list` has it"
    )
    data: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="step of the released project whose data set is given, if it was measured on several",
    )


def run(config: Config, context: Context) -> None:
    """The engine has put the released artifacts on the outputs; see engine/released.py."""


STAGE = Stage(
    config=Config,
    run=run,
    outputs={
        "model": Port("model", description="the released model"),
        "data": Port(
            "dataset",
            ("train", "validation", "test"),
            optional=True,
            side=True,
            description="the data set the release was measured on, if a step takes it",
        ),
    },
    release="release",
)
