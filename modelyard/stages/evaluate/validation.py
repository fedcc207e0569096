"""Measures a model on the validation split: what a search may compare by.

The claims are those of evaluate.quality, on other rows. Validation has helped to choose, so these values flatter the
model that was chosen; a rule asks for test and does not take them. Each task of several is measured by itself, with the
slice `{task: NAME}`. The report holds `validation.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from modelyard.base.messages import t
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.evaluation import claims
from modelyard.methods.evaluation.settings import Measuring

if TYPE_CHECKING:
    from modelyard.methods.evaluation.measuring.running import Result


class Config(Measuring):
    """Settings of evaluate.validation."""


def run(config: Config, context: Context) -> None:
    from modelyard.base.canonical import canonical_json
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.measuring import running

    def begin(task: str, rows: int, runtime: str) -> None:
        line = t("measuring {count} validation rows with {runtime}", count=rows, runtime=runtime)
        context.say(f"{task}: {line}" if task else line)

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    data = Dataset.open(context.input("data"))
    found = running.run(context.input("model"), data, "validation", config, context.seed, begin, note)
    for name, reason in found.unmeasured.items():
        context.say(t("not measured: {name} ({reason})", name=name, reason=t(reason)))
    report = found.together({one.name: _report(context, one) for one in found.parts})
    (context.output("report") / "validation.json").write_bytes(canonical_json(report) + b"\n")


def _report(context: Context, found: Result) -> dict[str, Any]:
    """Measure one task; its part of `validation.json`."""
    estimates = found.measured.estimates
    if found.left_out:
        count, lacks = len(found.left_out), found.examples.reader.lacks
        context.say(found.told(t("{count} validation rows without {lacks} were left out", count=count, lacks=lacks)))
    for one in estimates:
        context.measure(
            f"quality.{one.name}",
            one.value,
            about="model",
            on="data/validation",
            n=one.n,
            interval=one.interval,
            slice=found.slice(one),
        )
    values = [{"name": one.name, "value": one.value, "slice": dict(one.slice)} for one in estimates]
    missing, rows = dict(found.measured.missing), len(found.examples)
    return {"rows": rows, "left_out": found.left_out, "validation": values, "missing": missing}


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to measure"),
        "data": Port("dataset", ("validation",), description="validation rows"),
    },
    outputs={"report": Port("report", description="validation.json")},
    claims=claims.MODEL,
    libraries=(*MODEL_LIBRARIES, "scikit-learn"),
    loads=MODEL_CODE,
)
