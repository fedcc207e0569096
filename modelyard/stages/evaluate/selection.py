"""Counts what stood to choose from: models made the same way with other seeds, and looks at the test rows.

The best of several seeds, and a model changed after each look at test, have figures that are too rosy. The ledger knows
every run: models of this project that differ from this one by the project's `seed` alone count, each with what it
measured, and so does every run that was given the test rows. Of those that failed only `evaluate.*` stages do not: they
tell nothing before they end. Rules for the gate:
`{claim: selection.seeds, max: 1}`, `{claim: selection.seed_gain, max: 0.005}`,
`{claim: selection.test_models, max: 3}`. Of a model of several tasks gain and range are measured task by task, and a
rule names one: `slice: {task: mood}`. Put it below the steps that measure: what comes after it is not counted. The
report holds `selection.json`.
"""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage


class Config(BaseModel):
    """Settings of evaluate.selection."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str = Field(
        "",
        max_length=200,
        description="what seeds are compared by, such as `quality.f1_macro`; empty: the most usual that all measured",
    )


def run(config: Config, context: Context) -> None:
    from modelyard.methods.evaluation import blocks, selection

    record = json.loads((context.input("record") / "record.json").read_text(encoding="utf-8"))
    seeds = record["seeds"]
    found = selection.by_task(seeds, record["seeds_of"], record["claims"], config.claim)

    def exact(name: str, value: float, n: int, unit: str = "", task: str = "") -> None:
        context.measure(f"selection.{name}", value, about="model", on="", n=n, unit=unit, interval="exact",
                        slice={"task": task} if task else {})  # fmt: skip

    count = max(1, len(seeds))
    exact("seeds", count, count, "seeds")
    for one in found:
        if one.claim or count == 1:  # without a comparison there is no evidence, and a rule that asks for it fails
            exact("seed_gain", one.gain, count, task=one.task)
            exact("seed_range", one.spread, count, task=one.task)
    exact("test_openings", record["openings"], max(1, record["openings"]), "runs")
    exact("test_models", record["opened_models"], max(1, record["opened_models"]), "models")
    if not found[0].claim and count > 1:
        context.say(
            t("not every seed has measured `{claim}`: they cannot be compared by it", claim=config.claim)
            if config.claim
            else t("the seeds have measured nothing in common: they cannot be compared")
        )
    if len(seeds) > 1:
        context.say(
            t("{num} seeds made models this way: {seeds}", num=len(seeds), seeds=", ".join(map(str, found[0].seeds)))
        )
    said = t("test rows: opened by {runs} runs, for {models} models", runs=record["openings"],
             models=record["opened_models"])  # fmt: skip
    context.say(said)
    blocks.write(context.output("report"), "selection", "Selection", selection.shown(found, seeds))


def _count(name: str, description: str, unit: str) -> Claim:
    return Claim(f"selection.{name}", description, unit, better="lower", any_split=True)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model the count is about"),
        "record": Port("record", description="everything known of the steps above"),
        "data": Port(
            "dataset",
            ("train",),
            optional=True,
            side=True,
            description="whose test rows the count is about, where no other step takes them; they are not opened",
        ),
    },
    outputs={"report": Port("report", description="selection.json")},
    claims=(
        _count("seeds", "models made the same way with different seeds, this one among them", "seeds"),
        _count("seed_gain", "what the model has over the mean of its seeds, positive if it is better", ""),
        _count("seed_range", "best less worst of its seeds", ""),
        _count("test_openings", "runs that were given the test rows", "runs"),
        _count("test_models", "different models that were given with the test rows", "models"),
    ),
)
