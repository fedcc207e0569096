"""Let a model answer with a set of labels, or an interval, that holds the truth with a stated probability.

Split conformal prediction: whatever the model is, the set of a new row of the same kind misses the truth with
probability at most `error` (the chance is over the calibration rows too). A hard row gets a large set. `by: class`
gives every class this guarantee, `by: <column>` every value of a column that is part of the record (tables): a record
must hold it then; null, or a value not seen here, gets the largest threshold of all. `by: answer` (numbers) every bin
of the answered value: harder ones get wider intervals. `by: width` (numbers) every bin of the width that `cqr` or
`normalized` expects: so wide intervals hold as often as narrow ones. Rows that come from elsewhere, or another time,
are no such rows: measure the coverage by evaluate.uncertainty.

Intervals of numbers have one width (`method: split`), the width that errors near the answer suggest (`normalized`), or
that of quantiles the model has learned (`cqr`): the promise is the same, the widths are not.

Answers carry `set` (labels, the likeliest first) or `interval`. The thresholds travel inside the model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.evaluation.settings import Calibrating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.evaluation.calibrating import Rows

BINNED: dict[str, Literal["answer", "width"]] = {"answer": "answer", "width": "width"}


class Config(Calibrating):
    """Settings of calibrate.conformal."""

    error: float = Field(0.1, gt=0, lt=1, description="highest share of sets or intervals that miss the truth")
    score: Literal["lac", "aps", "raps"] = Field(
        "lac",
        description="classes: `lac` the smallest sets; `aps` larger where the model doubts; `raps` the same without "
        "long tails of many classes",
    )
    method: Literal["split", "normalized", "cqr"] = Field(
        "split",
        description="numbers: `split` one width; `normalized` wider where errors are expected to be larger; `cqr` the "
        "quantiles of a model that was trained with `quantiles`, moved until they hold",
    )
    by: str = Field(
        "all",
        min_length=1,
        max_length=200,
        description="for whom it holds: `all` rows together, each `class`, each bin of the `answer` or of the `width` "
        "of intervals that differ in it (numbers), or each value of a column of the record",
    )
    empty: bool = Field(False, description="classes: whether a set may be empty; else it holds at least the answer")
    penalty: float = Field(0.01, ge=0, le=10, description="`raps`: added to the score for each place beyond `free`")
    free: int = Field(5, ge=0, le=100_000, description="`raps`: places without penalty (labels)")
    bins: int = Field(5, ge=2, le=100, description="`by: answer`, `by: width`: bins of equal mass (bins)")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.evaluation import calibrating
    from modelyard.methods.postprocessing.step import CLASSIFIERS, NUMBERS
    from modelyard.methods.training.hooks import Hooks

    hooks = Hooks(context.log, context.progress, context.say)
    rows = calibrating.read(
        context.input("model"),
        context.input("data"),
        config,
        (*CLASSIFIERS, *NUMBERS),
        config.part,
        context.seed,
        hooks,
    )
    num = rows.num
    if num + 1 < 1 / config.error:
        raise InputError(
            t("{n} rows are too few for an error of {error}", n=num, error=f"{config.error:g}"),
            where="calibration",
            expected=t("at least {n}, better hundreds", n=int(1 / config.error)),
            remedy=t("give `data.split` a larger `calibration`, or say `part: all`"),
        )
    calibrating.warn_of_same_rows(rows, hooks)
    step = _sets(config, rows) if rows.card.labels else _intervals(config, rows, context)
    also = _column(config.by, rows, step, context) if "groups" in step else None
    context.say(t("sets for {goal} of the rows, from {n} rows", goal=f"{1 - config.error:.0%}", n=num))
    _tell_open(step, context)
    context.measure("calibrate.rows", num, about="model", on="data/calibration", n=num, unit="rows", interval="exact")
    shipped = step | {"error": config.error, "by": config.by, "part": rows.part, "rows": num}
    calibrating.ship(context.input("model"), context.output("model"), [shipped], also)


def _sets(config: Config, rows: Rows) -> dict[str, Any]:
    from modelyard.methods.postprocessing import enclosing
    from modelyard.methods.postprocessing.conformal import Thresholds, threshold

    answers = rows.answers
    actual = answers.actual[rows.kept]
    scores = enclosing.own_scores(answers.scores[rows.kept], actual, config.score, config.penalty, config.free)
    if config.by in BINNED:
        _refuse(config.by)
    if config.by == "class":
        found = enclosing.by_class(scores, actual, len(rows.card.labels), config.error)
    elif config.by == "all":
        found = Thresholds(threshold(scores, config.error))
    else:
        found = enclosing.by_group(scores, _groups(config.by, rows), config.by, config.error)
    about = {"score": config.score, "penalty": config.penalty, "free": config.free, "empty": config.empty}
    return {"kind": "conformal_set", **about, **found.to_json()}


def _intervals(config: Config, rows: Rows, context: Context) -> dict[str, Any]:
    from modelyard.base.messages import t
    from modelyard.methods.evaluation import calibrating
    from modelyard.methods.postprocessing import bounding, enclosing, interval_fitting, intervals
    from modelyard.methods.postprocessing.conformal import threshold
    from modelyard.methods.postprocessing.quantiles import levels_of

    if config.by == "class" or (config.by == "width" and config.method == "split"):
        _refuse(config.by)
    answers = [one for one, keep in zip(rows.said, rows.kept.tolist(), strict=True) if keep]
    truths = rows.answers.actual[rows.kept]
    levels = levels_of(rows.card.postprocessing)
    ordering = calibrating.shares(rows.kept_ids, "difficulty", context.seed) < bounding.ORDERING
    if config.method == "cqr" and interval_fitting.outer(levels, config.error) is None:
        _refuse_quantiles(levels)
    shape, left = interval_fitting.shape(config.method, answers, truths, levels, config.error, ordering)
    if config.method == "cqr":
        context.say(t("the quantiles {low} and {high} are moved until they hold", low=shape.low, high=shape.high))
    scores = shape.scores(answers, truths)[left]
    if config.by == "all":
        found: dict[str, Any] = {"threshold": threshold(scores, config.error)}
    elif config.by in BINNED:
        values = intervals.placing(BINNED[config.by], shape, answers)[left]
        found = enclosing.by_bin(scores, values, config.bins, config.error) | {"binned": config.by}
    else:
        groups = [name for name, keep in zip(_groups(config.by, rows), left.tolist(), strict=True) if keep]
        found = enclosing.by_group(scores, groups, config.by, config.error).to_json()
    return {"kind": "conformal_interval", **shape.to_json(), **found}


def _refuse_quantiles(levels: Sequence[float]) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError

    raise InputError(
        t("the model answers no quantiles on either side of 0.5"),
        where="method",
        expected=", ".join(f"{one:g}" for one in levels) or t("a model trained with `quantiles: [0.05, 0.95]`"),
        remedy=t("train it with `quantiles`, or say `method: normalized`"),
    )


def _refuse(by: str) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError

    raise InputError(
        t("`by: {by}` does not fit the task of the model or its method", by=by),
        where="by",
        expected=t(
            "`class` for labels, `answer` for numbers, `width` for numbers by `normalized` or `cqr`, `all` or a column "
            "for both"
        ),
    )


def _groups(column: str, rows: Rows) -> list[str]:
    """The group of each kept row, as its record tells it: a served record must tell it too."""
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.postprocessing.conformal import group_of

    found = []
    for record, keep in zip(rows.examples.records(), rows.kept.tolist(), strict=True):
        if column not in record:
            raise InputError(
                t("no column `{name}`", name=column),
                where="by",
                expected=", ".join(record),
                remedy=t("a column of the record, or `all`, `class`, `answer`, `width`"),
            )
        if keep:
            found.append(group_of(record, column))
    return found


def _column(by: str, rows: Rows, step: dict[str, Any], context: Context) -> dict[str, Any]:
    """The column that records must hold, with a value for golden ones; says what records of no known group get."""
    from modelyard.base.messages import t
    from modelyard.methods.postprocessing.conformal import UNKNOWN, known, limit

    groups = known(step["groups"])
    widest = max(groups, key=lambda name: limit(groups[name]), default=UNKNOWN)
    named = widest if widest != UNKNOWN else "null"
    context.say(
        t(
            "a record without `{name}` is refused; null, or a value not seen here, has the largest threshold: "
            "that of `{group}`",
            name=by,
            group=named,
        )
    )
    return {by: next((record[by] for record in rows.examples.records() if record[by] is not None), None)}


def _tell_open(step: dict[str, Any], context: Context) -> None:
    """Which classes, groups or bins have too few rows for a threshold."""
    from modelyard.base.messages import t

    parts = [*step.get("classes", ()), *step.get("groups", {}).values(), *step.get("bins", ())]
    num = sum(one is None for one in parts)
    if num:
        context.say(
            t("{n} of {total} have too few rows for a threshold: they exclude nothing", n=num, total=len(parts))
        )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="a model that answers labels or numbers, of any format"),
        "data": Port("dataset", ("calibration",), description="rows the model did not learn from"),
    },
    outputs={"model": Port("model", description="the same model, whose answers carry sets or intervals")},
    claims=(Claim("calibrate.rows", "rows the thresholds rest on", "rows", any_split=True),),
    libraries=MODEL_LIBRARIES,
    loads=MODEL_CODE,
)
