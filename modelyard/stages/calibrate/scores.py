"""Make a classifier's probabilities honest: of the answers it gives with 80 %, four in five shall be right.

Fitted by likelihood on rows that no model learned from (`data.split: calibration`), and shipped inside the model, so
that what is measured, served and exported answers so: `temperature` changes no answer, only how sure it is; `platt`,
`vector` and `isotonic` have more numbers, need more rows and may change answers. `auto` takes what has the least
log-loss on rows left out of the fit, and nothing if nothing helps.

A stage `calibrate.conformal` or `calibrate.abstention` below needs rows that are new to these probabilities: so half of
the rows are used here, the other half there. Without such a stage say `part: all`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.evaluation.settings import Asking

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEW = 100


class Config(Asking):
    """Settings of calibrate.scores."""

    method: Literal["auto", "temperature", "platt", "vector", "isotonic"] = Field(
        "auto", description="what is fitted; `auto`: the least cross-validated log-loss, or nothing"
    )
    part: Literal["first", "second", "all"] = Field(
        "first", description="rows it is fitted on: one half by a hash of their ids, or all"
    )
    folds: int = Field(5, ge=2, le=50, description="parts for the cross-validated loss (parts)")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.evaluation import calibrating
    from modelyard.methods.postprocessing import fitting
    from modelyard.methods.postprocessing.step import CLASSIFIERS
    from modelyard.methods.training.hooks import Hooks

    hooks = Hooks(context.log, context.progress, context.say)
    rows = calibrating.read(
        context.input("model"), context.input("data"), config, CLASSIFIERS, config.part, context.seed, hooks
    )
    num = rows.num
    if num < 2 * config.folds:
        raise InputError(
            t("{n} rows are too few to calibrate on", n=num),
            where="calibration",
            expected=t("at least {n}, better hundreds", n=2 * config.folds),
            remedy=t("give `data.split` a larger `calibration`, or say `part: all`"),
        )
    if num < FEW:
        context.say(t("{n} rows to calibrate on are few: what is fitted is rough", n=num))
    logs, actual = rows.logs[rows.kept], rows.answers.actual[rows.kept]
    order = calibrating.shares(rows.kept_ids, "folds", context.seed)
    folds = order.argsort(kind="stable").argsort(kind="stable") % config.folds
    methods = list(fitting.FITS) if config.method == "auto" else [config.method]
    held = {name: fitting.cross_fitted(name, logs, actual, folds) for name in methods}
    means = {"none": float(fitting.losses(logs, actual).mean())}
    means |= {name: float(fitting.losses(found, actual).mean()) for name, found in held.items()}
    chosen = min(means, key=lambda name: means[name]) if config.method == "auto" else config.method
    _tell(means, chosen, context)
    after = held.get(chosen, logs)
    _measure(logs, after, actual, context)
    steps = []
    if chosen != "none":
        steps = [fitting.fit(chosen, logs, actual) | {"part": config.part, "rows": num}]
        if chosen == "temperature":
            context.say(t("temperature {value}", value=f"{steps[0]['temperature']:.4f}"))
    calibrating.ship(context.input("model"), context.output("model"), steps)


def _tell(means: dict[str, float], chosen: str, context: Context) -> None:
    from modelyard.base.messages import t

    values = ", ".join(f"{name} {value:.4f}" for name, value in means.items())
    context.say(t("log-loss on rows left out of the fit: {values}", values=values))
    if chosen == "none":
        context.say(t("nothing helps: the model is passed on as it is"))
    else:
        context.say(t("taken: {method}", method=chosen))
        if not means[chosen] < means["none"]:
            context.say(t("it does not help on rows left out of the fit"))


def _measure(before: NDArray[np.float64], after: NDArray[np.float64], actual: Any, context: Context) -> None:
    """What the fit is worth on rows left out of it, and how many answers change."""
    from modelyard.base.messages import t
    from modelyard.methods.evaluation.intervals import bootstrap_t
    from modelyard.methods.postprocessing import fitting
    from modelyard.methods.statistics.wilson import wilson

    n = len(actual)
    on: dict[str, Any] = {"about": "model", "on": "data/calibration", "n": n}
    losses = fitting.losses(after, actual)
    gains = fitting.losses(before, actual) - losses
    context.measure("calibrate.log_loss", losses.mean(), interval=bootstrap_t(losses, seed=context.seed), **on)
    context.measure("calibrate.log_loss_gain", gains.mean(), interval=bootstrap_t(gains, seed=context.seed), **on)
    changed = int((before.argmax(axis=1) != after.argmax(axis=1)).sum())
    context.measure("calibrate.changed_answers", changed / n, interval=wilson(changed, n), **on)
    if changed:
        context.say(t("{changed} of {n} answers change", changed=changed, n=n))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="a classifier of texts, tables or images, of any format"),
        "data": Port("dataset", ("calibration",), description="rows the model did not learn from"),
    },
    outputs={"model": Port("model", description="the same model, with honest probabilities")},
    claims=(
        Claim("calibrate.log_loss", "mean log-loss (nats) of rows left out of the fit", better="lower", any_split=True),
        Claim("calibrate.log_loss_gain", "log-loss before less that after, on the same rows", any_split=True),
        Claim(
            "calibrate.changed_answers",
            "share of the rows that get another label",
            better="lower",
            sizing="rate",
            any_split=True,
        ),
    ),
    libraries=MODEL_LIBRARIES,
    loads=MODEL_CODE,
)
