"""Asks the model a checklist of behaviours that you wrote down, and measures how often each fails.

`tests` is a YAML or JSONL file of tests in the manner of CheckList (Ribeiro et al. 2020): MFT (a simple text has one
right answer), INV (the answer stays when something that does not matter changes), DIR (the probability of a label, or a
number, falls or rises when something that matters changes). It asks classifiers of texts and tables, models of several
labels, of numbers, and of spans. Templates with fill-ins make many cases of one line. A rule for the gate:
`{claim: checklist.failure_rate, slice: {test: negation}, max: 0.1}`. Cases come from your templates, not from the
world: the interval says how sure the rate is for texts made so.

The report holds `checklist.json`, with cases that failed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelyard.methods.evaluation.blocks import Block
    from modelyard.methods.evaluation.checklist.running import Outcome


class Config(BaseModel):
    """Settings of evaluate.checklist."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tests: str = Field(min_length=1, max_length=1000, description="file of tests, YAML or JSONL (relative: project's)")
    most: int = Field(500, ge=1, le=100_000, description="cases of one test at most, chosen by their texts (cases)")
    examples: int = Field(3, ge=0, le=100, description="failed cases of each test kept in the report (cases)")
    batch_rows: int = Field(256, ge=1, le=8192, description="records given to the model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.checklist import running, suite
    from modelyard.methods.evaluation.opening import opened

    found = suite.read(context.base / config.tests)
    with opened(context.input("model"), config.threads) as predictor:
        outcomes = running.run(predictor, found, config.most, config.batch_rows, context.seed)
    for one in (running.overall(outcomes), *(outcome.estimate for outcome in outcomes)):
        context.measure(
            f"checklist.{one.name}", one.value, about="model", on="", n=one.n, interval=one.interval, slice=one.slice
        )
    for outcome in outcomes:
        words = t("{name} ({kind}): {failed} of {cases} cases fail", name=outcome.test.name, kind=outcome.test.kind,
                  failed=len(outcome.failures), cases=outcome.num_cases)  # fmt: skip
        context.say(words)
        if outcome.num_refused:
            context.say(t("{name}: the model would not read {n} records, which fail: {reason}", name=outcome.test.name,
                          n=outcome.num_refused, reason=outcome.reason))  # fmt: skip
    blocks.write(context.output("report"), "checklist", "Checklist", _blocks(outcomes, config.examples))


def _blocks(outcomes: Sequence[Outcome], most: int) -> list[Block]:
    from modelyard.methods.evaluation.blocks import Figures, Table

    tests = tuple((one.test.name, one.test.kind, one.test.capability, one.num_cases) for one in outcomes)
    failed = tuple(
        (one.test.name, " → ".join(failure.texts[:4]), " → ".join(failure.answers[:4]))
        for one in outcomes
        for failure in one.failures[:most]
    )
    found: list[Block] = [
        Figures("Share of cases that fail", ("checklist.failure_rate",)),
        Table("Tests", ("test", "kind", "capability", "cases"), tests),
    ]
    return [*found, Table("Cases that failed", ("test", "texts", "answers"), failed)] if failed else found


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of the file of tests."""
    from modelyard.methods.data.augmentation.digests import digest_of

    return digest_of(config.tests, base)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"model": Port("model", description="the model to ask")},
    outputs={"report": Port("report", description="checklist.json")},
    claims=(
        Claim(
            "checklist.failure_rate",
            "share of the cases of a checklist that fail; by test",
            better="lower",
            sizing="rate",
            any_split=True,
        ),
    ),
    libraries=("numpy", "pyarrow", "tokenizers", "torch", "transformers", "onnxruntime", "openvino"),
    loads=MODEL_CODE,
    external=("tests",),
    fingerprint=fingerprint,
)
