"""What fairness costs: several models by accuracy and by the gap between groups, and which of them no other beats.

The models are whatever steps made them: one trained without a thought of groups (name it first: costs are against it),
with the weights of data.reweight, with the thresholds of calibrate.group_thresholds, with `fairness` of a trainer at
several strengths. Measured on validation, for here one chooses; what was chosen is measured on test by
evaluate.fairness and evaluate.quality, and rules are about that. Validation has helped to train: these values flatter.

The report is `trade_off.json`: the picture with the Pareto front, and intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.evaluation.settings import Label

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.data.group_columns import Grouping
    from modelyard.methods.evaluation.fairness.fronts import Spot

Cut = Annotated[float, Field(ge=-1e18, le=1e18)]
SAID = 10
"""Groups named in one line."""
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Config(BaseModel):
    """Settings of evaluate.trade_off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: tuple[ColumnName, ...] = Field(min_length=1, max_length=10, description="columns whose values are groups")
    bins: dict[ColumnName, Annotated[tuple[Cut, ...], Field(min_length=1, max_length=20)]] = Field(
        {}, description="where a number is cut into groups (`{age: [25, 45]}`)"
    )
    together: int = Field(1, ge=1, le=3, description="also groups of so many columns together at most (columns)")
    metric: Literal["demographic_parity", "equal_opportunity", "equalized_odds", "accuracy"] = Field(
        "demographic_parity", description="whose difference between groups is the gap"
    )
    positive: Label | None = Field(None, description="the class that rates are of; none: the second of two, or each")
    names: tuple[Name, ...] = Field((), max_length=100, description="what the models are called, in order")
    min_n: int = Field(100, ge=10, le=1_000_000, description="rows that a rate of a group needs to be compared (rows)")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to a model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtimes (threads); none: all cores")

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if set(self.bins) - set(self.columns):
            raise ValueError("`bins` cut columns that `columns` does not name")
        if len(set(self.names)) != len(self.names):
            raise ValueError("a name stands twice in `names`")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.fairness import fronts

    folders = context.inputs("models")
    names = _names(config, len(folders))
    data = Dataset.open(context.input("data"))
    spots: list[Spot] = []
    groupings: Sequence[Grouping] = ()
    for place, (folder, name) in enumerate(zip(folders, names, strict=True)):
        one, groupings = _spot(config, data, folder, name, spots)
        spots.append(one)
        context.progress(place + 1, len(folders), "models")
    kept = fronts.front(spots)
    for place, one in enumerate(spots):
        _tell(context, one, place in kept)
    if not kept:
        _tell_sizes(config, context, groupings)
    drawn = fronts.page(spots, config.metric, [one.name for one in CLAIMS])
    blocks.write(context.output("report"), "trade_off", "What fairness costs", drawn)


def _names(config: Config, count: int) -> tuple[str, ...]:
    from modelyard.errors import InputError

    if count < 2:
        raise InputError(
            t("one model is no trade-off"), where="models", expected=t("at least two models"),
            remedy=t("name them: `in: {models: [a, b, c]}`"),
        )  # fmt: skip
    if config.names and len(config.names) != count:
        raise InputError(
            t("{names} names for {count} models", names=len(config.names), count=count), where="names",
            expected=t("one name for each model, or none"),
        )  # fmt: skip
    return config.names or tuple(str(number) for number in range(1, count + 1))


def _spot(
    config: Config, data: Dataset, folder: Path, name: str, before: Sequence[Spot]
) -> tuple[Spot, Sequence[Grouping]]:
    from modelyard.errors import InputError
    from modelyard.methods.data import group_columns
    from modelyard.methods.evaluation import measuring
    from modelyard.methods.evaluation.fairness import fronts
    from modelyard.methods.evaluation.measuring.examples import Examples
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.settings import Measuring

    settings = Measuring(batch_rows=config.batch_rows)
    with opened(folder, config.threads) as predictor:
        if measuring.FAMILIES.get(predictor.task) != "classification":
            raise InputError(
                t("models of the task `{task}` cannot be measured by group yet", task=predictor.task),
                where="models", expected=t("a model that answers with one class"),
            )  # fmt: skip
        family = measuring.find(predictor.task)
        examples = Examples.read(data, "validation", family.reader(data, predictor.task, settings))
        columns = {one: examples.column(one) for one in config.columns}
        groupings = group_columns.divide(columns, config.bins, config.together)
        answers: Any = family.answer(predictor, examples, settings)
    metric, places = f"{config.metric}_difference", _places(config, answers.labels)
    first = before[0] if before else None
    return fronts.spot(name, answers, groupings, places, metric, config.min_n, first), groupings


def _tell_sizes(config: Config, context: Context, groupings: Sequence[Grouping]) -> None:
    """Why no model has a gap, and what would give it one."""
    context.say(
        t("no gap can be measured: fewer than two groups have {count} rows (the setting `min_n`), of the class where "
          "the gap is of a rate of that class; lower it, or make fewer groups with `bins`", count=config.min_n)
    )  # fmt: skip
    for one in groupings:
        sizes = [f"{name}: {size}" for name, size in zip(one.names, one.sizes().tolist(), strict=True)]
        named = "; ".join(sizes[:SAID]) + ("; …" if len(sizes) > SAID else "")
        context.say(t("rows by {by}: {named}", by=one.title, named=named))


def _places(config: Config, labels: Sequence[str]) -> list[int]:
    """Places of the classes whose rates are compared."""
    from modelyard.errors import InputError

    if config.positive is None:
        return [1] if len(labels) == 2 else list(range(len(labels)))
    if config.positive not in labels:
        raise InputError(
            t("`{setting}` does not fit the labels of the model", setting="positive"),
            where=f"positive: {config.positive}", expected=", ".join(labels[:10]),
        )  # fmt: skip
    return [list(labels).index(config.positive)]


def _tell(context: Context, one: Spot, on_front: bool) -> None:
    part, on = {"model": one.name}, {"about": "report", "on": "data/validation"}
    context.measure("trade_off.accuracy", one.accuracy, n=one.n, interval=one.interval, slice=part, **on)
    if one.cost_interval is not None:
        context.measure("trade_off.accuracy_cost", one.cost, n=one.n, interval=one.cost_interval, slice=part, **on)
    if one.gap is None:
        return
    context.measure("trade_off.gap", one.gap, n=one.n, interval=one.gap_interval, slice=part, **on)
    context.measure("trade_off.on_front", float(on_front), n=one.n, interval="exact", slice=part, **on)
    context.say(
        t("{name}: accuracy {accuracy}, gap {gap}{front}", name=one.name, accuracy=f"{one.accuracy:.4f}",
          gap=f"{one.gap:.4f}", front=t("; no other beats it") if on_front else "")
    )  # fmt: skip


CLAIMS = (
    Claim("trade_off.accuracy", "share of validation rows answered rightly; by model", any_split=True),
    Claim("trade_off.gap", "largest difference between groups on validation; by model", better="lower",
          any_split=True),
    Claim("trade_off.accuracy_cost", "accuracy of the first model less this one's, on the same rows; by model",
          better="lower", any_split=True),
    Claim("trade_off.on_front", "1 if no other model is as accurate with as small a gap; by model", any_split=True),
)  # fmt: skip

STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "models": Port("model", many=True, description="the models, the one without mitigation first; name them"),
        "data": Port("dataset", ("validation",), description="validation rows with the columns that make groups"),
    },
    outputs={"report": Port("report", description="trade_off.json")},
    claims=CLAIMS,
    libraries=MODEL_LIBRARIES,
    loads=MODEL_CODE,
)
