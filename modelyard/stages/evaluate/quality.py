"""Measures a classifier on the test split, through the predictor that serving loads.

Accuracy, balanced accuracy, precision, recall and F1 (macro, micro, weighted and per class), ROC and precision-recall
areas, log-loss, Brier score, calibration error and Matthews correlation, each with a 95 % interval of nominal coverage.
Beside them two baselines on the same split, always the commonest class and TF-IDF with a linear support vector
machine, so that it shows whether the model earns its cost; and the share of test texts that also stand in train.

The report holds `quality.json` (curves, confusion matrix, reliability, the most confident mistakes) and
`predictions.parquet` (row_id, label, predicted, scores).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelyard.methods.evaluation.quality import Answers, Estimate
    from modelyard.methods.evaluation.rows import LabelledRows


SAID = 10  # lines about what was not measured; the report lists all


class Config(BaseModel):
    """Settings of evaluate.quality."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    baselines: bool = Field(True, description="also measure the majority class and a tuned linear model")
    examples: int = Field(20, ge=0, le=200, description="most confident mistakes kept in the report (rows)")
    texts: bool = Field(True, description="show the first 200 characters of those mistakes; off keeps only row ids")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to the model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import document, quality
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.rows import LabelledRows, answer

    data = Dataset.open(context.input("data"))
    rows, train = LabelledRows.read(data, "test"), LabelledRows.read(data, "train")
    with opened(context.input("model"), config.threads) as predictor:
        context.say(t("measuring {count} test rows with {runtime}", count=len(rows), runtime=predictor.runtime))
        answers = answer(predictor, rows, config.batch_rows, lambda done, total: context.progress(done, total, "rows"))
        about = {"runtime": predictor.runtime, "digest": predictor.digest}
    measured = quality.measure(answers, context.seed)
    for estimate in measured.estimates:
        _measure(context, estimate)
    _say_missing(context, measured.missing)
    if rows.left_out:
        context.say(t("{count} test rows without a text or a label were left out", count=len(rows.left_out)))
    value = document.document(measured, context.seed) | {
        "left_out": list(rows.left_out),
        "predictor": about,
        "contamination": _contamination(context, answers, rows, train),
        "mistakes": document.mistakes(answers, rows, config.examples, config.texts),
        "baselines": [],
    }
    if config.baselines:
        validation = LabelledRows.read(data, "validation")
        value |= _baselines(context, answers, rows, train, validation)
    document.write(context.output("report"), value)
    document.write_predictions(context.output("report"), answers, rows)


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


def _contamination(context: Context, answers: Answers, rows: LabelledRows, train: LabelledRows) -> dict[str, Any]:
    """Count test texts that stand in train; if there are any, say so and measure accuracy without them."""
    from modelyard.methods.evaluation.quality import Estimate
    from modelyard.methods.evaluation.rows import contaminated
    from modelyard.methods.statistics.wilson import wilson

    known = contaminated(rows, train)
    found, n = int(known.sum()), len(rows)
    context.measure("data.test_contamination", found / n, about="data", on="data/test", n=n, interval="exact")
    if not found:
        return {"rows": 0, "share": 0.0}
    context.say(t("{found} of {n} test rows also stand in train: the model may know them by heart", found=found, n=n))
    fresh = n - found
    if fresh:
        right = int((answers.right & ~known).sum())
        part = Estimate("accuracy", right / fresh, wilson(right, fresh), fresh, {"text": "not in train"})
        _measure(context, part)
        context.say(t("accuracy on the other {n} rows: {value}", n=fresh, value=f"{part.value:.4f}"))
    return {"rows": found, "share": found / n}


def _baselines(
    context: Context, answers: Answers, rows: LabelledRows, train: LabelledRows, validation: LabelledRows
) -> dict[str, Any]:
    from modelyard.methods.evaluation import comparison

    found = comparison.compare(
        answers, rows, train, validation, context.seed, lambda done, total: context.progress(done, total, "fits")
    )
    for estimate in found.about_data:
        _measure(context, estimate, about="data")
    _measure(context, found.gain)
    linear = found.about_data[-1]
    context.say(
        t(
            "linear baseline {baseline}, model {value}, difference {gain}",
            baseline=f"{linear.value:.4f}",
            value=f"{answers.right.mean():.4f}",
            gain=f"{found.gain.value:+.4f}",
        )
    )
    return found.to_json()


AVERAGES = {
    "macro": "plain mean over the classes that occur or are predicted",
    "micro": "over all decisions together: the accuracy",
    "weighted": "mean over classes, weighted by how often they occur",
}

CLAIMS = (
    Claim("quality.accuracy", "share of rows with the right label", sizing="rate"),
    Claim("quality.balanced_accuracy", "plain mean of the recalls of the classes that occur"),
    Claim("quality.precision", "of the rows given a class, the share that belongs to it; by class", sizing="rate"),
    Claim("quality.recall", "of the rows of a class, the share that was given to it; by class", sizing="rate"),
    Claim("quality.f1", "harmonic mean of precision and recall of a class; by class"),
    *(
        Claim(f"quality.{name}_{kind}", f"{name} of the classes, {what}", sizing="rate" if kind == "micro" else None)
        for name in ("precision", "recall", "f1")
        for kind, what in AVERAGES.items()
    ),
    Claim(
        "quality.roc_auc", "area under the ROC curve of the second class; more classes: mean of one against the rest"
    ),
    Claim("quality.pr_auc", "average precision of the second class; more classes: mean of one against the rest"),
    Claim("quality.mcc", "Matthews correlation of labels and answers, -1 to 1"),
    Claim("quality.top_k_accuracy", "share of rows whose label is among the k best scores; by k", sizing="rate"),
    Claim("quality.log_loss", "mean of -log of the probability given to the right label, in nats", better="lower"),
    Claim("quality.brier", "mean over rows of the summed squared error of the probabilities, 0 to 2", better="lower"),
    Claim("quality.ece", "mean gap of confidence and accuracy in 15 bins of equal mass", better="lower"),
    Claim("quality.gain_over_linear", "accuracy of the model less that of the linear baseline on the same rows"),
    Claim("quality.baseline_majority_accuracy", "accuracy of always the commonest class", subject="lineage"),
    Claim("quality.baseline_linear_accuracy", "accuracy of TF-IDF and a tuned linear SVM", subject="lineage"),
    Claim(
        "data.test_contamination",
        "share of test rows whose text, normalised, also stands in train",
        better="lower",
        subject="lineage",
    ),
)

STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "data": Port("dataset", splits=("train", "validation", "test"), description="test rows, and what came before"),
    },
    outputs={"report": Port("report", description="quality.json and predictions.parquet")},
    claims=CLAIMS,
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
    loads=(
        "modelyard.methods.runtimes",
        "modelyard.methods.preprocessing",
        "modelyard.methods.networks",
        "modelyard.methods.tasks",
    ),
)
