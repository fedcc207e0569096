"""Measures a model on the test split, through the predictor that serving loads.

What is measured follows from the model's task: rates, areas and calibration of classifiers, errors of numbers,
likelihood and overlap of generated text, spans, several labels, embeddings, ranking (`rank_by`), ordered classes
(`order`) and classes whose mistakes cost differently (`costs`). Each value has a 95 % interval of nominal coverage and
the number of rows it rests on. Beside it stand baselines on the same split (the commonest class or the mean, and a
tuned linear model), so that it shows whether the model earns its cost; and the share of test rows that also stand in
train.

Of a model of several tasks each task is measured so, on the test rows whose column of it is not empty; its evidence has
the slice `{task: NAME}`.

The report holds `quality.json` (what the page draws, the worst mistakes) and `predictions.parquet` (row_id, truth,
answer).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.evaluation import claims
from modelyard.methods.evaluation.settings import Measuring

if TYPE_CHECKING:
    from modelyard.methods.evaluation.estimates import Estimate
    from modelyard.methods.evaluation.measuring.running import Result


SAID = 10  # lines about what was not measured; the report lists all


class Config(Measuring):
    """Settings of evaluate.quality."""

    baselines: bool = Field(True, description="also measure the commonest class or the mean, and a tuned linear model")
    examples: int = Field(20, ge=0, le=200, description="worst mistakes kept in the report (rows)")
    texts: bool = Field(True, description="show the first 200 characters of those mistakes; off keeps only row ids")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import document
    from modelyard.methods.evaluation.measuring import running

    def begin(task: str, rows: int, runtime: str) -> None:
        line = t("measuring {count} test rows with {runtime}", count=rows, runtime=runtime)
        context.say(f"{task}: {line}" if task else line)

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    data = Dataset.open(context.input("data"))
    found = running.run(context.input("model"), data, "test", config, context.seed, begin, note)
    for name, reason in found.unmeasured.items():
        context.say(t("not measured: {name} ({reason})", name=name, reason=t(reason)))
    reports = {one.name: _report(context, config, one) for one in found.parts}
    document.write(context.output("report"), found.together(reports))
    document.write_predictions(context.output("report"), found.predictions())


def _report(context: Context, config: Config, found: Result) -> dict[str, Any]:
    """Measure one task; its part of `quality.json`."""
    from modelyard.methods.evaluation.measuring.family import Shown

    for estimate in found.measured.estimates:
        _measure(context, found, estimate)
    _say_missing(context, found)
    if found.left_out:
        count, lacks = len(found.left_out), found.examples.reader.lacks
        context.say(found.told(t("{count} test rows without {lacks} were left out", count=count, lacks=lacks)))
    value = found.document(Shown(config.examples, config.texts), context.seed)
    value |= {"contamination": _contamination(context, config, found), "baselines": []}
    return value | (_baselines(context, config, found) if config.baselines else {})


def _measure(context: Context, found: Result, estimate: Estimate, about: str = "model") -> None:
    context.measure(
        f"quality.{estimate.name}",
        estimate.value,
        about=about,
        on="data/test",
        n=estimate.n,
        interval=estimate.interval,
        slice=found.slice(estimate),
    )


def _say_missing(context: Context, found: Result) -> None:
    missing = found.measured.missing
    for name, reason in list(missing.items())[:SAID]:
        context.say(found.told(t("not measured: {name} ({reason})", name=name, reason=t(reason))))
    if len(missing) > SAID:
        context.say(found.told(t("not measured: {more} more, listed in the report", more=len(missing) - SAID)))


def _contamination(context: Context, config: Config, found: Result) -> dict[str, Any]:
    """Count test rows that stand in train; if there are any, say so and measure without them."""
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.estimates import Estimate
    from modelyard.methods.evaluation.measuring.running import in_train

    train = Dataset.open(context.input("train")) if context.bound("train") else None
    twins = in_train(found, train, config)
    if twins is None:
        line = t("not measured: whether test rows stand in train, as no training rows to compare them with are known")
        context.say(found.told(line))
        return {}
    count, n = int(twins.sum()), len(found.examples)
    part = found.slice(Estimate("test_contamination", count / n, None, n))
    context.measure(
        "data.test_contamination", count / n, about="data", on="data/test", n=n, interval="exact", slice=part
    )
    if not count:
        return {"rows": 0, "share": 0.0}
    line = t("{found} of {n} test rows also stand in train: the model may know them by heart", found=count, n=n)
    context.say(found.told(line))
    without = found.family.without(found.measured, twins)
    if without:
        _measure(context, found, without)
        name, value = t(without.name), f"{without.value:.4f}"
        context.say(found.told(t("{name} on the other {n} rows: {value}", name=name, n=without.n, value=value)))
    return {"rows": count, "share": count / n}


def _baselines(context: Context, config: Config, found: Result) -> dict[str, Any]:
    def note(done: int, total: int) -> None:
        context.progress(done, total, "fits")

    examples = found.examples
    beside = found.family.beside(examples.data, found.measured, examples, config, context.seed, note)
    if beside is None:
        return {}
    for estimate in beside.about_data:
        _measure(context, found, estimate, about="data")
    for estimate in beside.gains:
        _measure(context, found, estimate)
    baseline, value, gain = beside.compared
    line = "linear baseline {baseline}, model {value}, difference {gain}"
    if len(beside.about_data) == 1:
        line = "plain baseline {baseline}, model {value}, difference {gain}"
    said = t(line, baseline=f"{baseline:.4f}", value=f"{value:.4f}", gain=f"{gain:+.4f}")
    context.say(found.told(said))
    return dict(beside.document)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "data": Port("dataset", splits=("train", "validation", "test"), description="test rows, and what came before"),
        "train": Port(
            "dataset",
            ("train",),
            optional=True,
            side=True,
            description="rows the model was trained on, where `data` is test throughout",
        ),
    },
    outputs={"report": Port("report", description="quality.json and predictions.parquet")},
    claims=(*claims.MODEL, *claims.BESIDE),
    libraries=(*MODEL_LIBRARIES, "scikit-learn"),
    loads=MODEL_CODE,
)
