"""Says why a model answers as it does, and measures how far the explanations can be believed.

Of tables, for all rows: permutation importance with intervals, partial dependence and accumulated local effects; of
tables and texts a small decision tree printed as rules, with its fidelity on test. Of single rows (the surest mistakes
and a sample): SHAP, LIME, occlusion, and for networks integrated gradients, gradient x input, attention roll-out and
Grad-CAM; TreeSHAP from inside boosted trees; the nearest training row with another answer; the rule a row falls under.

Explanations are claims too. For each method: deletion and insertion areas beside random orders, and the correlation
with the explanations of the same model with shuffled weights (near 0 is good). Any predictor is explained; where a
format has no gradients this is said, and the methods that only ask explain it instead.

What is explained is the probability of the label that was given, or the value; gradients and TreeSHAP explain its
log-odds. The report is `explanation.json`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES
from modelyard.methods.data.settings import ColumnName

if TYPE_CHECKING:
    from modelyard.methods.evaluation.explanation.whole import Whole

Method = Literal[
    "shap",
    "lime",
    "occlusion",
    "tree_shap",
    "integrated_gradients",
    "gradient_input",
    "attention_rollout",
    "grad_cam",
]


class Config(BaseModel):
    """Settings of evaluate.explanation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    methods: tuple[Method, ...] | None = Field(
        None, min_length=1, description="methods for single rows; none: all that suit the model"
    )
    rows: int = Field(20, ge=1, le=2000, description="sampled test rows that are explained and measured (rows)")
    mistakes: int = Field(5, ge=0, le=200, description="surest mistakes that are explained too (rows)")
    questions: int | None = Field(
        None, ge=16, le=100_000,
        description="perturbed rows for SHAP and for LIME, each, a row (questions); none: by the row's length",
    )  # fmt: skip
    steps: int = Field(32, ge=2, le=1000, description="points on the path of integrated gradients (points)")
    players: int = Field(48, ge=2, le=512, description="pieces a text is cut into at most (pieces)")
    grid: int = Field(7, ge=2, le=32, description="patches along each side of a picture (patches)")
    background: int = Field(10, ge=1, le=500, description="training rows that stand for an absent column (rows)")
    orders: int = Field(10, ge=1, le=200, description="random orders beside which faithfulness is measured (orders)")
    sanity: bool = Field(True, description="also explain the same model with shuffled weights")
    whole: bool = Field(True, description="also explain the model as a whole: importance, dependence, rules")
    test_rows: int = Field(500, ge=10, le=100_000, description="test rows the model as a whole is explained on (rows)")
    train_rows: int = Field(2000, ge=10, le=100_000, description="training rows rules and neighbours come from (rows)")
    repeats: int = Field(5, ge=1, le=100, description="shuffles of each column (shuffles)")
    columns: int = Field(6, ge=0, le=100, description="columns whose dependence is drawn, by importance (columns)")
    points: int = Field(15, ge=2, le=200, description="points of a curve of dependence at most (points)")
    leaves: int = Field(8, ge=2, le=64, description="rules at most (rules)")
    texts: bool = Field(True, description="show the rows' texts, values and pictures; off keeps only row ids")
    group: ColumnName | None = Field(
        None, description="of tables: a column of groups; says by SHAP which columns set their answers apart"
    )
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtime (threads); none: all cores")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation import blocks
    from modelyard.methods.evaluation.explanation import decisions, showing, whole
    from modelyard.methods.evaluation.explanation.rows import explain

    data = Dataset.open(context.input("data"))
    settings = config.model_dump() | {"seed": context.seed}
    found = explain(
        context.input("model"), data, settings, context.scratch(),
        lambda done, total: context.progress(done, total, "rows"),
    )  # fmt: skip
    for name, reason in found.missing.items():
        if config.methods or name in ("integrated_gradients", "gradient_input", "group_gap"):
            context.say(t("not explained by {method}: {reason}", method=name, reason=t(reason)))
    everything = whole.explain(context.input("model"), data, settings) if config.whole else None
    for estimate in (*found.estimates, *(everything.estimates if everything else ())):
        context.measure(
            f"explanation.{estimate.name}", estimate.value, about="model", on="data/test", n=estimate.n,
            interval=estimate.interval, slice=estimate.slice,
        )  # fmt: skip
    _tell(context, found.estimates, everything)
    shown: list[Any] = [blocks.Figures("How far explanations can be believed", ("explanation.",))]
    shown += everything.blocks if everything else []
    shown += showing.of_rows(found.explained, found.methods, config.texts, found.labels, found.apart)
    if config.texts:
        tree = everything.tree if everything else None
        shown += [*(decisions.paths(found.explained, tree) if tree else ()), *found.beside]
    blocks.write(context.output("report"), "explanation", "Explanation", shown, found.data)


def _tell(context: Context, estimates: Any, everything: Whole | None) -> None:
    _tell_precision(context, estimates)
    gains = {one.slice["method"]: one for one in estimates if one.name == "faithfulness_gain"}
    for name, one in sorted(gains.items(), key=lambda pair: -pair[1].value):
        context.say(t("{method}: {gain} more faithful than random orders", method=name, gain=f"{one.value:+.3f}"))
    for one in everything.estimates if everything else ():
        if one.name == "surrogate_fidelity":
            context.say(t("the rules answer like the model: {value}", value=f"{one.value:.3f}"))


def _tell_precision(context: Context, estimates: Any) -> None:
    by_claim: dict[str, dict[str, float]] = {}
    for one in estimates:
        by_claim.setdefault(one.name, {})[one.slice.get("method", "")] = one.value
    asked = by_claim.get("questions", {})
    for name, error in by_claim.get("sampling_error", {}).items():
        said = "{method}: {questions} questions a row; error of its values: {error} of their size"
        context.say(t(said, method=name, questions=round(asked.get(name, 0)), error=f"{100 * error:.1f} %"))
        if error > TOO_VAGUE:
            context.say(t("{method} asked too few questions to be read: set `questions` higher", method=name))
    for name, gap in by_claim.get("additivity_gap", {}).items():
        if gap > TOO_WIDE:
            context.say(t("{method} misses its sum by {gap}: set `steps` higher", method=name, gap=f"{gap:.0%}"))


TOO_VAGUE = 0.3
"""Sampling error above which signs and order of middling values are drawn by lot."""
TOO_WIDE = 0.1

CLAIMS = (
    Claim(
        "explanation.deletion_auc",
        "mean answer while the pieces of a row go, the most important first; by method",
        better="lower",
    ),
    Claim("explanation.insertion_auc", "mean answer while the pieces come, the most important first; by method"),
    Claim(
        "explanation.faithfulness_gain",
        "insertion less deletion area, less the same of random orders of the row; by method",
    ),
    Claim(
        "explanation.sanity_correlation",
        "mean rank correlation of the sizes of explanations of the model and of it with shuffled weights; by method",
        better="lower",
    ),
    Claim(
        "explanation.group_gap",
        "mean SHAP value of a column in a group less that in the other rows; by column and group",
        better="none",
    ),
    Claim(
        "explanation.questions",
        "perturbed rows a method asked about, a row; by method",
        unit="questions",
        better="none",
    ),
    Claim(
        "explanation.sampling_error",
        "standard errors of the values by their size (root mean squares), of methods that draw questions; by method",
        better="lower",
    ),
    Claim(
        "explanation.additivity_gap",
        "how far values that should add up miss their sum, by its size; by method",
        better="lower",
    ),
    Claim(
        "explanation.surrogate_fidelity",
        "share of test rows where a small tree answers like the model (numbers: share of variance)",
        sizing="rate",
    ),
    Claim(
        "explanation.permutation_importance",
        "rise of the share of wrong answers (or the mean absolute error) when a column is shuffled; by column",
        better="none",
    ),
)

STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model to explain"),
        "data": Port("dataset", ("train", "test"), description="test rows; train for rules, neighbours, background"),
    },
    outputs={"report": Port("report", description="explanation.json")},
    claims=CLAIMS,
    libraries=(*MODEL_LIBRARIES, "scikit-learn", "pillow"),
    loads=(*MODEL_CODE, "modelyard.methods.evaluation.measuring"),
)
