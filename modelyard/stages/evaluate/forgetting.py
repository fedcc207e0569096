"""Measures what an updated model forgot and what it gained, beside the model it was updated from.

Both models answer the test rows of the `old` data and of the new, through the predictor that serving loads. What was
forgotten is the drop of accuracy on the old rows, overall and by class, with a 95 % interval of the paired difference;
what was gained is the rise on the new ones. A rule for the gate: `{claim: forgetting.accuracy_drop, max: 0.01}`, which
holds the interval's upper end against one point.

The report is `forgetting.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from modelyard.methods.evaluation.forgetting import Judged

REPORT = "forgetting.json"


class Config(BaseModel):
    """Settings of evaluate.forgetting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to a model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.base.canonical import canonical_json
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.forgetting import judge
    from modelyard.methods.evaluation.opening import opened

    def note(done: int, total: int) -> None:
        context.progress(done, total, "rows")

    found: dict[str, Judged] = {}
    with (
        opened(context.input("before"), config.threads) as before,
        opened(context.input("model"), config.threads) as after,
    ):
        old = Dataset.open(context.input("old"))
        found["old"] = judge(old, before, after, config.batch_rows, True, note)
        if context.bound("data"):
            new = Dataset.open(context.input("data"))
            found["new"] = judge(new, before, after, config.batch_rows, False, note)
    _measure_old(context, found["old"])
    if "new" in found:
        _measure_new(context, found["new"])
    value = {"version": 1, **{name: judged.to_json() for name, judged in found.items()}}
    (context.output("report") / REPORT).write_bytes(canonical_json(value) + b"\n")


def _measure_old(context: Context, judged: Judged) -> None:
    _drop(context, judged, {})
    for label in sorted(set(judged.labels)):
        _drop(context, judged.of_class(label), {"class": label})
    _rates(context, judged, "old/test")
    pairs = judged.pairs
    context.say(
        t(
            "old test rows: accuracy {before:.4f} before, {after:.4f} after, {drop:+.2f} points",
            before=judged.before.mean(),
            after=judged.after.mean(),
            drop=-100 * pairs.difference,
        )
    )


def _drop(context: Context, judged: Judged, part: dict[str, str]) -> None:
    from modelyard.methods.evaluation.paired import difference_interval

    pairs = judged.pairs
    context.measure(
        "forgetting.accuracy_drop",
        pairs.difference,
        about="model",
        on="old/test",
        n=pairs.n,
        interval=difference_interval(pairs),
        slice=part,
        against="before",
    )


def _measure_new(context: Context, judged: Judged) -> None:
    from modelyard.methods.evaluation.paired import Pairs, difference_interval

    pairs = Pairs.of(judged.after, judged.before)
    context.measure(
        "forgetting.accuracy_gain",
        pairs.difference,
        about="model",
        on="data/test",
        n=pairs.n,
        interval=difference_interval(pairs),
        against="before",
    )
    _rates(context, judged, "data/test")
    context.say(
        t(
            "new test rows: accuracy {before:.4f} before, {after:.4f} after, {gain:+.2f} points",
            before=judged.before.mean(),
            after=judged.after.mean(),
            gain=100 * pairs.difference,
        )
    )


def _rates(context: Context, judged: Judged, on: str) -> None:
    from modelyard.methods.statistics.wilson import wilson

    for port, right in (("before", judged.before), ("model", judged.after)):
        hits, n = int(right.sum()), len(right)
        context.measure("forgetting.accuracy", hits / n, about=port, on=on, n=n, interval=wilson(hits, n))


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the updated model"),
        "before": Port("model", side=True, description="the model it was updated from"),
        "old": Port("dataset", ("test",), side=True, description="the data the old model was tested on"),
        "data": Port("dataset", ("test",), optional=True, description="the new data, for what was gained"),
    },
    outputs={"report": Port("report", description="forgetting.json")},
    claims=(
        Claim(
            "forgetting.accuracy_drop",
            "accuracy of the old model less that of the new on old test rows, paired; by class",
            better="lower",
            subject="pair",
        ),
        Claim(
            "forgetting.accuracy_gain",
            "accuracy of the new model less that of the old on new test rows, paired",
            subject="pair",
        ),
        Claim("forgetting.accuracy", "share of rows with the right label, of either model", sizing="rate"),
    ),
    libraries=("numpy", "scipy", "pyarrow", "tokenizers", "torch", "transformers", "onnxruntime", "openvino"),
    loads=MODEL_CODE,
)
