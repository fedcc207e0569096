"""A threshold for each group, so that the groups' rates differ by no more than `gap`: fairness after training.

Of two classes the positive one is answered from another score on in every group. Fitted at the highest accuracy on
rows the model did not learn from (`calibration` of data.split, or validation), and shipped inside the model. Its
answers need the group's columns at prediction: a record without them is refused. In many places it is against the law
to decide by a protected attribute, whatever the purpose: ask before you ship it. evaluate.fairness measures the gap on
test; here it flatters.

The report `group_thresholds.json` shows the accuracy that every gap would have cost.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName
from modelyard.methods.evaluation.settings import Asking

Cut = Annotated[float, Field(ge=-1e18, le=1e18)]
GAPS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0)


class Config(Asking):
    """Settings of calibrate.group_thresholds."""

    columns: tuple[ColumnName, ...] = Field(
        min_length=1, max_length=5, description="columns whose values are groups; several: their combinations"
    )
    bins: dict[ColumnName, Annotated[tuple[Cut, ...], Field(min_length=1, max_length=20)]] = Field(
        {}, description="where a number is cut into groups (`{age: [25, 45]}`)"
    )
    metric: Literal["demographic_parity", "equal_opportunity", "equalized_odds"] = Field(
        "equal_opportunity", description="whose gap is kept small: selection rates, true positive rates, or both rates"
    )
    gap: float = Field(0.02, ge=0.01, le=1, description="largest difference between two groups on the fitting rows")
    positive: str | None = Field(None, max_length=1000, description="the class of the rates; none: the second")
    min_n: int = Field(
        100, ge=10, le=1_000_000, description="rows a group needs for its own threshold; smaller ones share one (rows)"
    )

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if set(self.bins) - set(self.columns):
            raise ValueError("`bins` cut columns that `columns` does not name")
        return self


def run(config: Config, context: Context) -> None:
    import numpy as np

    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.group_columns import divide
    from modelyard.methods.evaluation import calibrating
    from modelyard.methods.postprocessing import group_fitting
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training.hooks import Hooks

    hooks = Hooks(context.log, context.progress, context.say)
    rows = calibrating.read(
        context.input("model"), context.input("data"), config, ("tabular-classification",), "all", context.seed, hooks
    )
    labels = rows.card.labels
    positive = config.positive if config.positive is not None else labels[-1]
    if len(labels) != 2 or positive not in labels:
        raise InputError(
            t("thresholds by group are for two classes, of which `positive` is one"),
            where="positive",
            expected=", ".join(labels[:10]),
        )
    columns = {name: rows.examples.column(name) for name in config.columns}
    grouping = divide(columns, config.bins, len(columns))[-1]
    place = labels.index(positive)
    scores, actual = rows.answers.scores[:, place], rows.answers.actual == place
    groups = np.flatnonzero(grouping.sizes() >= config.min_n).tolist()
    if len(groups) < 2:
        raise InputError(
            t("fewer than two groups have {count} rows", count=config.min_n), where="calibration",
            remedy=t("give `data.split` a larger `calibration`, or lower `min_n`"),
        )  # fmt: skip
    found = group_fitting.fit(scores, actual, grouping.codes, groups, config.metric, config.gap)
    if found is None:
        raise InputError(
            t("no thresholds keep the gap under {gap}", gap=f"{config.gap:g}"), where="gap",
            remedy=t("allow a larger `gap`"),
        )  # fmt: skip
    names = {grouping.names[code]: threshold for code, threshold in found.thresholds.items()}
    for name, threshold in names.items():
        context.say(t("{group}: `{label}` from {value}", group=name, label=positive, value=f"{threshold:.4f}"))
    small = [name for code, name in enumerate(grouping.names) if code not in groups]
    if small:
        named = ", ".join(small[:10])
        context.say(t("fewer than {count} rows, one threshold for all: {named}", count=config.min_n, named=named))
    context.say(t("the model's answers need the columns {columns}", columns=", ".join(config.columns)))
    chosen = group_fitting.apply(scores, grouping.codes, found.thresholds, found.default)
    hits, n = int((chosen == actual).sum()), len(actual)
    on: dict[str, Any] = {"about": "model", "on": "data/calibration"}
    context.measure("calibrate.group_accuracy", hits / n, n=n, interval=wilson(hits, n), **on)
    context.measure("calibrate.group_gap", found.gap, n=found.rows, interval=None, **on)
    _draw(config, context, group_fitting, (scores, actual, grouping.codes, groups))
    step = {
        "kind": "group_thresholds", "by": list(config.columns), "bins": {k: list(v) for k, v in config.bins.items()},
        "positive": positive, "thresholds": names, "default": found.default, "metric": config.metric,
        "gap": config.gap, "rows": n, "part": "all",
    }  # fmt: skip
    also = {name: next((value for value in values if value is not None), None) for name, values in columns.items()}
    calibrating.ship(context.input("model"), context.output("model"), [step], also)


def _draw(config: Config, context: Context, group_fitting: Any, rows: tuple[Any, ...]) -> None:
    """Accuracy over the gap allowed, on the fitting rows."""
    from modelyard.methods.evaluation import blocks

    fitted = [(gap, group_fitting.fit(*rows, config.metric, gap)) for gap in GAPS]
    points = tuple((gap, one.hits / one.rows) for gap, one in fitted if one is not None)
    lines = blocks.Lines(
        "Accuracy by the gap allowed", "gap", "accuracy", (blocks.Series(config.metric, points),),
        note="On the rows the thresholds were fitted on, which flatters.",
    )  # fmt: skip
    blocks.write(context.output("report"), "group_thresholds", "Thresholds by group", [lines])


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="a classifier of tables with two classes"),
        "data": Port("dataset", ("calibration",), description="rows the model did not learn from"),
    },
    outputs={
        "model": Port("model", description="the same model, with a threshold for each group"),
        "report": Port("report", description="group_thresholds.json"),
    },
    claims=(
        Claim("calibrate.group_accuracy", "accuracy with the thresholds, on the rows they were fitted on",
              sizing="rate", any_split=True),
        Claim("calibrate.group_gap", "largest gap with the thresholds, on the rows they were fitted on",
              better="lower", any_split=True),
    ),
    libraries=MODEL_LIBRARIES,
    loads=MODEL_CODE,
)  # fmt: skip
