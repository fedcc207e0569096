"""Measures what an updated model forgot and what it gained, beside the model it was updated from.

Both models answer the test rows of the `old` data and of the new, through the predictor that serving loads. What was
forgotten is the drop of accuracy on the old rows, overall and by class, with a 95 % interval of the paired difference;
what was gained is the rise on the new ones. A rule for the gate: `{claim: forgetting.accuracy_drop, max: 0.01}`, which
holds the interval's upper end against one point. Of language models it is the ratio of perplexities on the same rows:
`{claim: forgetting.perplexity_ratio, max: 1.05}`.

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
    from collections.abc import Callable, Mapping

    from modelyard.methods.evaluation.forgetting import Judged
    from modelyard.methods.evaluation.forgetting_language import Told
    from modelyard.methods.runtimes.predictor import Predictor

WRITES = "text-generation"
REPORT = "forgetting.json"


class Config(BaseModel):
    """Settings of evaluate.forgetting."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to a model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
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
        if WRITES in (before.task, after.task):
            _language(config, context, before, after, note)
            return
        old = Dataset.open(context.input("old"))
        found["old"] = judge(old, before, after, config.batch_rows, True, note)
        if context.bound("data"):
            new = Dataset.open(context.input("data"))
            found["new"] = judge(new, before, after, config.batch_rows, False, note)
    _measure_old(context, found["old"])
    if "new" in found:
        _measure_new(context, found["new"])
    _write(context, found)


def _write(context: Context, found: Mapping[str, Judged | Told]) -> None:
    from modelyard.base.canonical import canonical_json

    value = {"version": 1, **{name: judged.to_json() for name, judged in found.items()}}
    (context.output("report") / REPORT).write_bytes(canonical_json(value) + b"\n")


def _language(
    config: Config, context: Context, before: Predictor, after: Predictor, note: Callable[[int, int], None]
) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.forgetting_language import judge

    found: dict[str, Told] = {}
    for name, port in (("old", "old"), ("new", "data")):
        if context.bound(port):
            data = Dataset.open(context.input(port))
            found[name] = told = judge(data, before, after, config.batch_rows, context.seed, note)
            _measure_language(context, told, port)
    _write(context, found)


def _measure_language(context: Context, told: Told, port: str) -> None:
    claim = "forgetting.perplexity_ratio" if port == "old" else "forgetting.new_perplexity_ratio"
    ratio, ends = told.ratio()
    on = f"{port}/test"
    context.measure(claim, ratio, about="model", on=on, n=told.n, interval=ends, against="before")
    both = [told.perplexity(losses) for losses in (told.before, told.after)]
    for about, (value, interval) in zip(("before", "model"), both, strict=True):
        context.measure("forgetting.perplexity", value, about=about, on=on, n=told.n, interval=interval)
    line = "old test rows: perplexity {before:.4g} before, {after:.4g} after, {ratio:.3f} times"
    if port != "old":
        line = "new test rows: perplexity {before:.4g} before, {after:.4g} after, {ratio:.3f} times"
    context.say(t(line, before=both[0][0], after=both[1][0], ratio=ratio))


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
        Claim(
            "forgetting.perplexity_ratio",
            "perplexity of the new language model over that of the old on old test rows, paired",
            better="lower",
            subject="pair",
        ),
        Claim(
            "forgetting.new_perplexity_ratio",
            "perplexity of the new language model over that of the old on new test rows, paired; below 1 it learned",
            better="lower",
            subject="pair",
        ),
        Claim("forgetting.perplexity", "of a token, of either language model", better="lower"),
        Claim("forgetting.accuracy", "share of rows with the right label, of either model", sizing="rate"),
    ),
    libraries=("numpy", "scipy", "pyarrow", "tokenizers", "torch", "transformers", "onnxruntime", "openvino"),
    loads=MODEL_CODE,
)
