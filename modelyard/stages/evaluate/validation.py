"""Measures a model on the validation split: what a search may compare by.

The claims are those of evaluate.quality, on other rows. Validation has helped to choose, so these values flatter the
model that was chosen; a rule asks for test and does not take them. The report holds `validation.json`.
"""

from __future__ import annotations

from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.evaluation import claims
from modelyard.methods.evaluation.settings import Measuring


class Config(Measuring):
    """Settings of evaluate.validation."""


def run(config: Config, context: Context) -> None:
    from modelyard.base.canonical import canonical_json
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.measuring import running

    def begin(rows: int, runtime: str) -> None:
        context.say(t("measuring {count} validation rows with {runtime}", count=rows, runtime=runtime))

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    data = Dataset.open(context.input("data"))
    found = running.run(context.input("model"), data, "validation", config, context.seed, begin, note)
    examples, estimates = found.examples, found.measured.estimates
    if examples.left_out:
        count, lacks = len(examples.left_out), examples.reader.lacks
        context.say(t("{count} validation rows without {lacks} were left out", count=count, lacks=lacks))
    for one in estimates:
        context.measure(
            f"quality.{one.name}",
            one.value,
            about="model",
            on="data/validation",
            n=one.n,
            interval=one.interval,
            slice=one.slice,
        )
    values = [{"name": one.name, "value": one.value, "slice": dict(one.slice)} for one in estimates]
    missing, left_out = dict(found.measured.missing), list(examples.left_out)
    report = {"rows": len(examples), "left_out": left_out, "validation": values, "missing": missing}
    (context.output("report") / "validation.json").write_bytes(canonical_json(report) + b"\n")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "data": Port("dataset", ("validation",), description="validation rows"),
    },
    outputs={"report": Port("report", description="validation.json")},
    claims=claims.MODEL,
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
