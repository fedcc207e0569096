"""Measures a model on the test split, through the predictor that serving loads.

What is measured follows from the model's task: rates, areas and calibration of classifiers, errors of numbers,
likelihood and overlap of generated text, spans, several labels, embeddings, ranking (`rank_by`), ordered classes
(`order`) and classes whose mistakes cost differently (`costs`). Each value has a 95 % interval of nominal coverage and
the number of rows it rests on. Beside it stand baselines on the same split (the commonest class or the mean, and a
tuned linear model), so that it shows whether the model earns its cost; and the share of test rows that also stand in
train.

The report holds `quality.json` (what the page draws, the worst mistakes) and `predictions.parquet` (row_id, truth,
answer).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.evaluation import claims
from modelyard.methods.evaluation.settings import Measuring

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.methods.data.dataset import Dataset
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
    from modelyard.methods.evaluation.measuring.family import Shown

    def begin(rows: int, runtime: str) -> None:
        context.say(t("measuring {count} test rows with {runtime}", count=rows, runtime=runtime))

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    data = Dataset.open(context.input("data"))
    found = running.run(context.input("model"), data, "test", config, context.seed, begin, note)
    for estimate in found.measured.estimates:
        _measure(context, estimate)
    _say_missing(context, found.measured.missing)
    left_out = len(found.examples.left_out)
    if left_out:
        lacks = found.examples.reader.lacks
        context.say(t("{count} test rows without {lacks} were left out", count=left_out, lacks=lacks))
    value = found.document(Shown(config.examples, config.texts), context.seed)
    value |= {"contamination": _contamination(context, data, found), "baselines": []}
    if config.baselines:
        value |= _baselines(context, data, config, found)
    document.write(context.output("report"), value)
    document.write_predictions(context.output("report"), found.family.predictions(found.measured, found.examples))


def _measure(context: Context, estimate: Estimate, about: str = "model") -> None:
    context.measure(
        f"quality.{estimate.name}",
        estimate.value,
        about=about,
        on="data/test",
        n=estimate.n,
        interval=estimate.interval,
        slice=estimate.slice,
    )


def _say_missing(context: Context, missing: Mapping[str, str]) -> None:
    for name, reason in list(missing.items())[:SAID]:
        context.say(t("not measured: {name} ({reason})", name=name, reason=t(reason)))
    if len(missing) > SAID:
        context.say(t("not measured: {more} more, listed in the report", more=len(missing) - SAID))


def _contamination(context: Context, data: Dataset, found: Result) -> dict[str, Any]:
    """Count test rows that stand in train; if there are any, say so and measure without them."""
    from modelyard.methods.evaluation.measuring.examples import known

    twins = known(found.examples, data)
    count, n = int(twins.sum()), len(found.examples)
    context.measure("data.test_contamination", count / n, about="data", on="data/test", n=n, interval="exact")
    if not count:
        return {"rows": 0, "share": 0.0}
    context.say(t("{found} of {n} test rows also stand in train: the model may know them by heart", found=count, n=n))
    part = found.family.without(found.measured, twins)
    if part:
        _measure(context, part)
        name = t(part.name)
        context.say(t("{name} on the other {n} rows: {value}", name=name, n=part.n, value=f"{part.value:.4f}"))
    return {"rows": count, "share": count / n}


def _baselines(context: Context, data: Dataset, config: Config, found: Result) -> dict[str, Any]:
    def note(done: int, total: int) -> None:
        context.progress(done, total, "fits")

    beside = found.family.beside(data, found.measured, found.examples, config, context.seed, note)
    if beside is None:
        return {}
    for estimate in beside.about_data:
        _measure(context, estimate, about="data")
    for estimate in beside.gains:
        _measure(context, estimate)
    baseline, value, gain = beside.compared
    line = "linear baseline {baseline}, model {value}, difference {gain}"
    if len(beside.about_data) == 1:
        line = "plain baseline {baseline}, model {value}, difference {gain}"
    context.say(t(line, baseline=f"{baseline:.4f}", value=f"{value:.4f}", gain=f"{gain:+.4f}"))
    return dict(beside.document)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "data": Port("dataset", splits=("train", "validation", "test"), description="test rows, and what came before"),
    },
    outputs={"report": Port("report", description="quality.json and predictions.parquet")},
    claims=(*claims.MODEL, *claims.BESIDE),
    libraries=(
        "numpy",
        "scipy",
        "scikit-learn",
        "pyarrow",
        "tokenizers",
        "torch",
        "transformers",
        "onnxruntime",
        "openvino",
    ),
    loads=MODEL_CODE,
)
