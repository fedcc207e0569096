"""Add rows of an unlabelled pool to train: a model's answers where it is sure enough, and labels people gave.

From which confidence on an answer may stand as a label is chosen on one half of validation, so that its precision is at
least `precision` (with the certainty `confidence`, however many thresholds were tried); the other half measures the
precision it comes to. If no threshold reaches it, no row is added, and that is said. Added rows are marked in the
column `origin`, weigh `weight`, and never get into validation or test.

Rows of the pool that have a label, from data.correct, are added as they are; with `pseudo: false` only those.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE
from modelyard.methods.data.account import CLAIMS

if TYPE_CHECKING:
    from modelyard.methods.evaluation.label_quality.pseudo import Chosen, Outcome
    from modelyard.methods.evaluation.label_quality.thresholds import Precision

SAID = 10


class Config(BaseModel):
    """Settings of data.pseudo_label."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pseudo: bool = Field(True, description="let the model label rows; off: only rows that people have labelled")
    precision: float = Field(0.95, ge=0.5, lt=1, description="share of the pseudo-labels that must be right")
    confidence: float = Field(0.95, ge=0.5, lt=1, description="certainty with which `precision` is to be reached")
    threshold: Literal["class", "global"] = Field(
        "class", description="a threshold for each class, so that rare ones are held to `precision` too, or one for all"
    )
    weight: float = Field(0.5, gt=0, le=1, description="weight of a pseudo-labelled row in training; others have 1")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from contextlib import ExitStack

    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.label_quality import pseudo
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.evaluation.rows import LabelledRows

    data, pool = Dataset.open(context.input("data")), Dataset.open(context.input("pool"))
    if config.pseudo and not context.bound("model"):
        raise InputError(
            t("there is no model to label rows with"),
            where="model",
            remedy=t("put a training step above, or set `pseudo: false` to add only rows that people have labelled"),
        )
    with ExitStack() as stack:
        predictor = chosen = None
        if config.pseudo:
            predictor = stack.enter_context(opened(context.input("model"), config.threads))
            validation = LabelledRows.read(data, "validation")
            level = 1 - config.confidence
            chosen = pseudo.choose(predictor, validation, config.precision, level, config.threshold, context.seed)
        outcome = pseudo.extend(
            data,
            pool,
            predictor,
            chosen,
            config.weight,
            context.output("data"),
            context.output("removed"),
            lambda done, total: context.progress(done, total, "rows"),
        )
    outcome.account.tell(context)
    _tell(config, outcome, chosen, context)


def _tell(config: Config, outcome: Outcome, chosen: Chosen | None, context: Context) -> None:
    from modelyard.base.messages import t

    if chosen is not None:
        _tell_thresholds(config, chosen, context)
    for reason, count in sorted(outcome.left_out.items()):
        if count:
            context.say(t("{n:,} rows of the pool were not added: {reason}", n=count, reason=t(reason)))
    for label, count in outcome.added.most_common(SAID):
        context.say(t("pseudo-labelled {label}: {n:,}", label=label, n=count))
    count = outcome.added.total()
    context.measure("data.pseudo_labels", count, about="data", on="", n=max(1, count), unit="rows", interval="exact")
    if chosen is not None and chosen.precision.n:
        for part, where in ((chosen.precision, {}), *_by_class(chosen)):
            context.measure(
                "data.pseudo_label_precision", part.value, about="data", on="data/validation", n=part.n,
                interval=part.interval, slice=where,
            )  # fmt: skip


def _by_class(chosen: Chosen) -> list[tuple[Precision, dict[str, str]]]:
    pairs = zip(chosen.labels, chosen.by_class, strict=True)
    return [(part, {"class": label}) for label, part in pairs if part.n]


def _tell_thresholds(config: Config, chosen: Chosen, context: Context) -> None:
    from modelyard.base.messages import t

    if not chosen.any:
        context.say(
            t(
                "no threshold reaches a precision of {target:.1%} with {confidence:.0%} certainty on {n:,} validation "
                "rows: nothing is pseudo-labelled",
                target=config.precision,
                confidence=config.confidence,
                n=chosen.num_choosing,
            )
        )
        return
    limits = chosen.thresholds.tolist()
    if config.threshold == "global":
        context.say(t("answers of at least {limit:g} stand as labels", limit=limits[0]))
    else:
        named = [f"{label} {limit:g}" for label, limit in zip(chosen.labels, limits, strict=True) if limit == limit]
        context.say(t("answers of at least so much stand as labels: {named}", named=", ".join(named[:SAID])))
        none = [label for label, limit in zip(chosen.labels, limits, strict=True) if limit != limit]
        if none:
            context.say(t("no threshold is good enough for: {labels}", labels=", ".join(none[:SAID])))
    low, high = chosen.precision.interval
    context.say(
        t(
            "precision on the other half of validation: {value:.1%} ({low:.1%} to {high:.1%}, {n:,} rows); it holds "
            "for a pool like it",
            value=chosen.precision.value,
            low=low,
            high=high,
            n=chosen.precision.n,
        )
    )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", optional=True, description="the model that labels"),
        "pool": Port("dataset", ("all",), description="rows to add, without labels or labelled by data.correct"),
        "data": Port("dataset", ("train", "validation"), description="labelled rows; validation chooses and measures"),
    },
    outputs={
        "data": Port("dataset", ("train", "validation"), description="train with rows added, validation as it was"),
        "removed": Port("dataset", ("all",), side=True, description="which rows were added, with label and confidence"),
    },
    claims=(
        *CLAIMS,
        Claim("data.pseudo_labels", "rows added with a label of the model", "rows", better="none", subject="lineage",
              any_split=True),
        Claim("data.pseudo_label_precision", "share of pseudo-labels that are right, on validation rows that did not "
              "choose the threshold; by class", sizing="rate", subject="lineage", any_split=True),
    ),
    libraries=("numpy", "scipy", "pyarrow", "tokenizers", "torch", "transformers", "onnxruntime", "openvino"),
    loads=MODEL_CODE,
)  # fmt: skip
