"""Measures a classifier on the validation split: what a search may compare by.

The claims are those of evaluate.quality, on other rows. Validation has helped to choose, so these values flatter the
model that was chosen; a rule asks for test and does not take them. The report holds `validation.json`.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    """Settings of evaluate.validation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to the model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.base.canonical import canonical_json
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import quality
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.rows import LabelledRows, answer

    rows = LabelledRows.read(Dataset.open(context.input("data")), "validation")
    with opened(context.input("model"), config.threads) as predictor:
        answers = answer(predictor, rows, config.batch_rows, lambda done, total: context.progress(done, total, "rows"))
    if rows.left_out:
        context.say(t("{count} validation rows without a text or a label were left out", count=len(rows.left_out)))
    measured = quality.measure(answers, context.seed)
    for one in measured.estimates:
        context.measure(
            f"quality.{one.name}",
            one.value,
            about="model",
            on="data/validation",
            n=one.n,
            interval=one.interval,
            slice=one.slice,
        )
    values = [{"name": one.name, "value": one.value, "slice": dict(one.slice)} for one in measured.estimates]
    report = {"rows": len(rows), "left_out": list(rows.left_out), "validation": values, "missing": measured.missing}
    (context.output("report") / "validation.json").write_bytes(canonical_json(report) + b"\n")


_RATES = ("accuracy", "precision", "recall", "precision_micro", "recall_micro", "f1_micro", "top_k_accuracy")
_HIGHER = {
    "accuracy": "share of rows with the right label",
    "balanced_accuracy": "plain mean of the recalls of the classes that occur",
    "precision": "of the rows given a class, the share that belongs to it; by class",
    "recall": "of the rows of a class, the share that was given to it; by class",
    "f1": "harmonic mean of precision and recall of a class; by class",
    **{
        f"{name}_{kind}": f"{name}, {kind} average over the classes"
        for name in ("precision", "recall", "f1")
        for kind in ("macro", "micro", "weighted")
    },
    "roc_auc": "area under the ROC curve of the second class; more classes: mean of one against the rest",
    "pr_auc": "average precision of the second class; more classes: mean of one against the rest",
    "mcc": "Matthews correlation of labels and answers, -1 to 1",
    "top_k_accuracy": "share of rows whose label is among the k best scores; by k",
}
_LOWER = {
    "log_loss": "mean of -log of the probability given to the right label, in nats",
    "brier": "mean over rows of the summed squared error of the probabilities, 0 to 2",
    "ece": "mean gap of confidence and accuracy in 15 bins of equal mass",
}

STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "data": Port("dataset", ("validation",), description="validation rows"),
    },
    outputs={"report": Port("report", description="validation.json")},
    claims=(
        *(Claim(f"quality.{n}", d, sizing="rate" if n in _RATES else None) for n, d in _HIGHER.items()),
        *(Claim(f"quality.{n}", d, better="lower") for n, d in _LOWER.items()),
    ),
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
