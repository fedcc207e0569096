"""Let a classifier keep silent where it doubts, so that the answers it gives are wrong no more often than a bound.

The lowest confidence is searched at which this is proven: with probability `confidence` over the calibration rows, the
share of wrong answers among those given is at most `error` (learn then test, fixed sequence, Clopper and Pearson's
exact bound). Answers below it carry `abstained: true`; their label is still there, for who wants it. The threshold
travels inside the model. It holds for rows like these; evaluate.uncertainty measures it on test.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.evaluation.settings import Calibrating


class Config(Calibrating):
    """Settings of calibrate.abstention."""

    error: float = Field(0.05, gt=0, lt=1, description="highest share of wrong answers among those given")
    confidence: float = Field(0.95, ge=0.5, lt=1, description="probability with which that holds")


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.evaluation import calibrating
    from modelyard.methods.postprocessing import bounding
    from modelyard.methods.postprocessing.step import CLASSIFIERS
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training.hooks import Hooks

    hooks = Hooks(context.log, context.progress, context.say)
    rows = calibrating.read(
        context.input("model"), context.input("data"), config, CLASSIFIERS, config.part, context.seed, hooks
    )
    calibrating.warn_of_same_rows(rows, hooks)
    ordering = calibrating.shares(rows.kept_ids, "abstention order", context.seed) < bounding.ORDERING
    sure = rows.answers.scores.max(axis=1)[rows.kept]
    wrong = ~rows.answers.right[rows.kept]
    found = bounding.lowest(sure, wrong, ordering, config.error, config.confidence)
    if found is None:
        least = bounding.provable(sure, wrong, ordering, config.confidence)
        larger = t("give `data.split` a larger `calibration`, or train a better model")
        raise InputError(
            t(
                "on {n} rows no threshold is proven to keep the error under {error} with confidence {sure}",
                n=rows.num,
                error=f"{config.error:g}",
                sure=f"{config.confidence:g}",
            ),
            where="calibration",
            expected=t("a model whose surest answers are better, or more rows"),
            remedy=larger
            if least is None
            else t(
                "say `error: {least}`, the smallest provable on these rows; or {larger}", least=least, larger=larger
            ),
        )
    threshold = found.threshold * (1 - 1e-9)  # what is computed again in another batch may differ in the last bits
    on: dict[str, Any] = {"about": "model", "on": "data/calibration"}
    ends = wilson(found.answered, found.n)
    context.measure("calibrate.answered", found.answered / found.n, n=found.n, interval=ends, **on)
    rate = found.wrong / found.answered
    ends = (0.0, found.upper)
    context.measure("calibrate.answered_error", rate, n=found.answered, interval=ends, **on)
    context.say(
        t(
            "threshold {threshold}: {answered} of {n} rows answered, {wrong} of them wrong, at most {upper} in truth",
            threshold=f"{threshold:.4f}",
            answered=found.answered,
            n=found.n,
            wrong=found.wrong,
            upper=f"{found.upper:.2%}",
        )
    )
    bound = {"error": config.error, "confidence": config.confidence}
    step = {"kind": "abstention", "threshold": threshold, **bound, "part": rows.part, "rows": rows.num}
    calibrating.ship(context.input("model"), context.output("model"), [step])


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="a classifier of texts, tables or images, of any format"),
        "data": Port("dataset", ("calibration",), description="rows the model did not learn from"),
    },
    outputs={"model": Port("model", description="the same model, which abstains where it doubts")},
    claims=(
        Claim("calibrate.answered", "share of the testing rows that are answered", sizing="rate", any_split=True),
        Claim(
            "calibrate.answered_error",
            "share of wrong answers among those given; the upper end is one-sided, at the stage's confidence",
            better="lower",
            any_split=True,
        ),
    ),
    libraries=MODEL_LIBRARIES,
    loads=MODEL_CODE,
)
