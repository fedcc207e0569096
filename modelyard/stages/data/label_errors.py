"""Find labels of the training rows that are likely wrong, and queue them for a person.

Every row is judged by a model that saw neither it nor rows like it: texts by the linear n-gram model, tables by
boosted trees, images by logistic regression on histograms of gradients (crude: give `probabilities` of your own model
if you have one). Confident learning (cleanlab) then says which labels are likely wrong, and ranks them. `queue` goes
to `modelyard label` or Label Studio; the answers come back through data.correct, above the split.

How many labels are wrong is estimated with an interval that is honest about what a model can tell: wide where the task
is hard. `audit` puts rows drawn at random in front of the queue; once a person has judged them, data.correct measures
the rate without any model.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.canonical import Json
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods.data.account import CLAIMS

if TYPE_CHECKING:
    from modelyard.methods.evaluation.label_quality.judging import Judged

SAID = 5


class Config(BaseModel):
    """Settings of data.label_errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folds: int = Field(5, ge=2, le=50, description="how often a model is fitted; each row is judged by one of them")
    rank_by: Literal["self_confidence", "normalized_margin"] = Field(
        "self_confidence",
        description="score of a label: its probability, or that less the best other one's (scaled to 0 to 1)",
    )
    model: Literal["auto", "logistic", "trees"] = Field(
        "auto", description="for images and tables; `auto`: logistic for images, trees for tables"
    )
    probabilities: str | None = Field(
        None,
        min_length=1,
        description="Parquet file of out-of-fold probabilities: `row_id` and one column for each class",
    )
    action: Literal["none", "remove", "weight"] = Field(
        "none",
        description="what becomes of the rows: nothing, taken out of train, or weighted by their label's probability",
    )
    most: int = Field(
        500, ge=1, le=1_000_000, description="likely errors, then other disputed labels, queued at most (rows)"
    )
    audit: int = Field(
        0, ge=0, le=100_000, description="rows drawn at random that come first in the queue, to measure the rate (rows)"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.label_quality import acting, judging, rows
    from modelyard.methods.training.hooks import Hooks

    data = Dataset.open(context.input("data"))
    how = judging.Judging(
        config.folds,
        config.model,
        config.rank_by,
        context.base / config.probabilities if config.probabilities else None,
    )
    hooks = Hooks(context.log, context.progress, context.say)
    judged = judging.judge(
        rows.read(data, "train"), rows.read(data, "validation"), how, context.seed, context.scratch(), hooks
    )
    acting.write_queue(context.output("queue"), data, judged, config.most, config.audit, context.seed)
    account = acting.write_data(data, judged, config.action, context.output("data"), context.output("removed"))
    account.tell(context)
    for reason, count in sorted(judged.rows.left_out.items()):
        context.say(t("{n:,} rows were not judged: {reason}", n=count, reason=t(reason)))
    _tell(judged, context)


def _tell(judged: Judged, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.evaluation.label_quality.judging import pairs

    n, flagged, rate = len(judged.rows), int(judged.issues.flagged.sum()), judged.rate
    context.say(t("{flagged:,} of {n:,} labels are likely wrong", flagged=flagged, n=n))
    for (label, likely), count in pairs(judged).most_common(SAID):
        context.say(t("labelled {label}, likely {likely}: {n:,}", label=label, likely=likely, n=count))
    context.say(
        t(
            "estimated share of wrong labels {value:.1%}, between {low:.1%} (what the model disputes where it is "
            "surest) and {high:.1%} (everything it disputes); a person's look at rows drawn at random tells more: "
            "`audit`",
            value=rate.value,
            low=rate.low,
            high=rate.high,
        )
    )
    context.measure(
        "data.label_error_rate", rate.value, about="data", on="data/train", n=n, interval=(rate.low, rate.high)
    )
    context.measure("data.label_issues", flagged, about="data", on="data/train", n=n, unit="rows", interval="exact")


def fingerprint(config: Config, base: Path) -> Json:
    """Digest of the file of probabilities, if one is given."""
    if config.probabilities is None:
        return None
    from modelyard.methods.data.sources import resolve

    return [source.digest for source in resolve(config.probabilities, base)]


STAGE = Stage(
    config=Config,
    run=run,
    inputs={"data": Port("dataset", ("train", "validation"), description="labelled rows; only train is judged")},
    outputs={
        "data": Port("dataset", ("train", "validation"), description="the rows; without errors if `action` says so"),
        "queue": Port("dataset", ("all",), side=True, description="rows for a person, the likeliest errors first"),
        "removed": Port("dataset", ("all",), side=True, description="rows taken out or weighted, with the reason"),
    },
    claims=(
        *CLAIMS,
        Claim(
            "data.label_error_rate",
            "share of training labels that are wrong, estimated by confident learning; from what a model disputes "
            "where it is surest to all that it disputes",
            better="lower",
            subject="lineage",
            any_split=True,
        ),
        Claim(
            "data.label_issues", "training rows flagged as likely label errors", "rows", better="lower",
            subject="lineage", any_split=True,
        ),
    ),
    libraries=("numpy", "scipy", "scikit-learn", "pyarrow", "cleanlab", "torch", "pillow"),
    loads=("modelyard.methods.networks", "modelyard.methods.preprocessing"),
    external=("probabilities",),
    fingerprint=fingerprint,
    extra="labels",
)  # fmt: skip
