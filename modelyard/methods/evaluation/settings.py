"""Settings that stages which ask a model share: how it is asked, what is asked beside its task. Light."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.methods.data.settings import ColumnName

Label = Annotated[str, Field(min_length=1, max_length=1000)]
Cost = Annotated[float, Field(ge=0, le=1e9, description="cost of one such answer")]
Cutoff = Annotated[int, Field(ge=1, le=1000)]


class Asking(BaseModel):
    """How a model is asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to the model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


class Calibrating(Asking):
    """How a model is asked, and about which rows, by what promises something of its answers (calibrate.*)."""

    part: Literal["auto", "first", "second", "all"] = Field(
        "auto", description="rows it is fitted on; `auto`: the half that no calibrate.scores above has seen, else all"
    )


class Measuring(Asking):
    """How a split is measured."""

    order: tuple[Label, ...] = Field(
        (),
        max_length=1000,
        description="classes from low to high: adds quadratic weighted kappa and the error of ranks",
    )
    costs: dict[Label, dict[Label, Cost]] = Field(
        {},
        description="cost by true class and answer (`{ham: {spam: 10}}`); what is not named costs 1, right answers 0",
    )
    rank_by: ColumnName | None = Field(
        None, description="column of users or queries: also measures the order of each one's rows by score"
    )
    cutoffs: tuple[Cutoff, ...] = Field(
        (1, 5, 10), min_length=1, max_length=8, description="k of NDCG, recall, hit rate and accuracy among the first k"
    )
    answer: ColumnName | None = Field(
        None,
        description="text generation: column of the answer that is wanted; none: `answer`, `output` or `response`; "
        "pairs of texts: column of the other text; none: `text_b`",
    )
    choices: ColumnName | None = Field(
        None,
        description="text generation: column of the choices (a JSON list); the label is the right one or its place",
    )
    samples: int = Field(
        1,
        ge=1,
        le=200,
        description="text generation: answers drawn a record; more than 1 also measure pass@k (answers)",
    )
    temperature: float = Field(0.8, gt=0, le=10, description="text generation: of the draws, if samples is above 1")
    max_new_tokens: int | None = Field(
        None, ge=1, le=100_000, description="text generation: tokens written at most; none: as the model does (tokens)"
    )

    tests: ColumnName | None = Field(
        None, description="text generation: column of Python tests that a written program must pass; needs `run_code`"
    )
    run_code: bool = Field(
        False, description="run what the model wrote: confined, without network, files or other programs (Linux)"
    )
    code_seconds: int = Field(10, ge=1, le=600, description="processor time of a program at most (s)")
    code_megabytes: int = Field(512, ge=64, le=65_536, description="memory of a program at most (MiB)")

    @model_validator(mode="after")
    def _code_may_run(self) -> Measuring:
        if self.tests and not self.run_code:
            raise ValueError("`tests` runs code that a model wrote: say `run_code: true` if it may run here")
        return self

    @model_validator(mode="after")
    def _distinct(self) -> Measuring:
        if len(set(self.order)) != len(self.order) or len(self.order) == 1:
            raise ValueError("`order` names at least two classes, each once")
        return self
