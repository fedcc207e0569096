"""What stands under `search:` and `folds:` in a project file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, Tag, model_validator

from modelyard.engine.repeat.cut import Cutting

Number = int | float
Better = Literal["higher", "lower"]
Method = Literal["auto", "grid", "random", "tpe"]
MAX_TRIALS = 10_000


class Span(BaseModel):
    """A range of numbers to search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Number = Field(ge=-1e300, le=1e300, description="the least value, itself tried")
    high: Number = Field(ge=-1e300, le=1e300, description="the greatest value, itself tried")
    log: bool = Field(False, description="spread evenly over orders of magnitude: for rates and strengths")
    step: Number | None = Field(None, gt=0, le=1e300, description="only every so many, from `low` on")

    @model_validator(mode="after")
    def _in_order(self) -> Span:
        if not self.low < self.high:
            raise ValueError(f"`low` must be less than `high`; they are {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError("with `log`, `low` must be greater than 0")
        if self.log and self.step is not None:
            raise ValueError("one of `log` and `step`, not both")
        return self


class Choices(BaseModel):
    """Values to choose from, two numbers included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: tuple[JsonValue, ...] = Field(min_length=1, max_length=1000, description="the values to try")


Values = Annotated[tuple[JsonValue, ...], Field(min_length=1, max_length=1000)]


def _form(value: Any) -> str:
    """Which of the three ways to write a setting's values this is, so that problems speak of that one."""
    if isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value):
        return "choices"
    return "span" if isinstance(value, Span | dict) else "list"


Tried = Annotated[
    Annotated[Span, Tag("span")] | Annotated[Choices, Tag("choices")] | Annotated[Values, Tag("list")],
    Discriminator(_form),
]


class Objective(BaseModel):
    """What a trial is judged by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = Field(min_length=3, max_length=300, description="`step.claim`: a listed step and what it measures")
    better: Better | None = Field(None, description="which direction is good; none: as the claim says")
    slice: dict[str, str] = Field(default_factory=dict, description="of a subgroup: `{class: spam}`")


class Choose(BaseModel):
    """With several objectives: which point of the Pareto front wins."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    within: float = Field(
        0.0, ge=0, le=1e300, description="points so near the best of the first objective count as equal in it"
    )


class SearchConfig(BaseModel):
    """Settings of `search`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: tuple[str, ...] = Field(min_length=1, max_length=50, description="steps above that make one trial")
    space: dict[str, Tried] = Field(
        min_length=1,
        max_length=50,
        description="`step.setting` to what is tried: a list, `[low, high]` for a number, or `{low, high, log, step}`",
    )
    objective: str | Objective | tuple[str | Objective, ...] = Field(
        description="`step.claim`, measured without test data; several make a Pareto front"
    )
    method: Method = Field(
        "auto", description="`grid` tries all; `random`; `tpe` learns from trials; `auto`: grid if `trials` allows it"
    )
    trials: int | None = Field(
        None, ge=1, le=MAX_TRIALS, description="trials at most (trials); none: all of a grid, else 20"
    )
    batch: int = Field(
        4,
        ge=1,
        le=256,
        description="`tpe`: trials proposed at a time, which may run side by side; 1 learns most (trials)",
    )
    timeout: float | None = Field(
        None, gt=0, le=1e9, description="begin no trial after so long; the next run goes on (seconds)"
    )
    choose: Choose = Field(default_factory=Choose, description="with several objectives: which point wins")

    def objectives(self) -> tuple[Objective, ...]:
        """All of them, each in full."""
        given = self.objective if isinstance(self.objective, tuple) else (self.objective,)
        return tuple(Objective(claim=item) if isinstance(item, str) else item for item in given)


class FoldsConfig(Cutting):
    """Settings of `folds`."""

    steps: tuple[str, ...] = Field(min_length=1, max_length=50, description="steps above that make one fold's model")
    validation: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of each fold's training rows that steps which learn get as validation, so that only "
        "evaluate.* steps see the held-out part; none: 0.2 around a search, else the held-out part is validation",
    )
    predictions: bool = Field(True, description="have each model answer the rows it did not see")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to a model at a time (rows)")
