"""Asks whether a network's layers hold concepts that you describe by examples, and whether its answers follow them.

`concepts` is a YAML file: each concept has a name, `positive` and `negative` examples (texts, whole rows of a table, or
pictures by file or folder; at least five of each). For every layer: how often a linear probe tells held out examples
apart, beside the same with shuffled labels (control task; Hewitt and Liang 2019); and for every class the TCAV score
(Kim et al. 2018), the share of its test rows whose log-odds rise along the concept, with a test against random concepts
of the same size.

Only networks of the formats hf and modelyard have layers to look into: exported models, boosted trees, ensembles and
linear models are refused, and it is said which model to use instead. The report is `concepts.json`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE


class Config(BaseModel):
    """Settings of evaluate.concepts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concepts: str = Field(min_length=1, max_length=1000, description="file of concepts, YAML (relative: project's)")
    rows: int = Field(100, ge=10, le=10_000, description="test rows of each class at most, chosen by their ids (rows)")
    train_rows: int = Field(500, ge=20, le=100_000, description="training rows random concepts are drawn from (rows)")
    randoms: int = Field(200, ge=20, le=10_000, description="random concepts of the test (concepts)")
    controls: int = Field(20, ge=1, le=1000, description="shuffles of the labels beside a probe (shuffles)")
    folds: int = Field(5, ge=2, le=5, description="parts of the examples, each held out once (parts)")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.concepts import judging, reading

    file = context.base / config.concepts
    concepts = reading.read(file)
    settings = config.model_dump() | {"seed": context.seed}
    found = judging.judge(
        context.input("model"), Dataset.open(context.input("data")), concepts, settings, file.parent,
        lambda done, total: context.progress(done, total, "concepts"),
    )  # fmt: skip
    for one, on in found.estimates:
        context.measure(
            f"concepts.{one.name}", one.value, about="model", on=on, n=one.n, interval=one.interval, slice=one.slice
        )
    for concept in concepts:
        best = max((one for one in found.asked if one.concept == concept.name), key=lambda one: one.probe.accuracy)
        context.say(
            t("{concept}: {accuracy} told apart at layer {layer}, {control} with shuffled labels",
              concept=concept.name, accuracy=f"{best.probe.accuracy:.0%}", layer=best.layer,
              control=f"{best.probe.controls.mean():.0%}")
        )  # fmt: skip
        classes = sorted({label for name, _, label in found.followed if name == concept.name})
        words = ", ".join(classes)
        context.say(
            t("answers that follow {concept}: {classes}", concept=concept.name, classes=words)
            if classes
            else t("no answer follows {concept} more than random concepts", concept=concept.name)
        )
    blocks.write(context.output("report"), "concepts", "Concepts", judging.blocks(found))


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of the file of concepts, and of the pictures it names."""
    from modelyard.methods.data.augmentation.digests import digest_of
    from modelyard.methods.evaluation.concepts import pictures, reading

    own = digest_of(config.concepts, base)
    file = base / config.concepts
    named = pictures.digests(reading.read(file), file.parent)
    return {"file": own, "pictures": named} if named else own


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the network to look into"),
        "data": Port("dataset", ("train", "test"), description="test rows of each class; train for random concepts"),
    },
    outputs={"report": Port("report", description="concepts.json")},
    claims=(
        Claim(
            "concepts.probe_accuracy",
            "share of a concept's examples a linear probe tells apart that has not seen them; by concept and layer",
            sizing="rate",
            any_split=True,
        ),
        Claim(
            "concepts.selectivity",
            "probe accuracy less the mean of the same with shuffled labels; by concept and layer",
            any_split=True,
        ),
        Claim(
            "concepts.tcav_score",
            "share of a class's test rows whose log-odds rise along the concept; by concept, layer and class",
            better="none",
            sizing="rate",
        ),
        Claim(
            "concepts.tcav_p",
            "how probable so large a mean slope is along random concepts; by concept, layer and class",
            better="none",
        ),
    ),
    libraries=("numpy", "scipy", "scikit-learn", "pyarrow", "tokenizers", "torch", "transformers"),
    loads=(*MODEL_CODE, "modelyard.methods.evaluation.measuring"),
    external=("concepts",),
    fingerprint=fingerprint,
)
