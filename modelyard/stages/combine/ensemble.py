"""Let several models answer together, as one model: averages, votes, or a stack fitted on validation.

The models may be of any kind and format, if they are of one task and know the same labels: classification of texts,
tables and images, and regression. What is fitted (weights, a stack, which models to take) is fitted on validation rows,
and its validation score comes from rows that were left out of the fit. Models that stopped or were chosen by validation
flatter themselves there: what the ensemble is worth, evaluation on test says. It costs what all its members cost; the
stage says how much, and whether it beats the best of them at all.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE, MODEL_LIBRARIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.runtimes.predictor import Predictor
    from modelyard.methods.training.combining.ensembles import Combined, Recipe
    from modelyard.methods.training.combining.outputs import Outputs


class Config(BaseModel):
    """Settings of combine.ensemble."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["average", "vote", "stack"] = Field(
        "average",
        description="`average` of what the models say, `vote` (classes only), or `stack`: a logistic regression on "
        "their log-probabilities (ridge regression on their numbers), fitted on validation",
    )
    over: Literal["probabilities", "log_probabilities"] = Field(
        "probabilities", description="`average`: what is averaged; logarithms let one model that is sure of a no decide"
    )
    weights: (
        Literal["equal", "fitted"]
        | Annotated[tuple[Annotated[float, Field(ge=0, le=1000)], ...], Field(max_length=100)]
    ) = Field("equal", description="`average`: equal, fitted on validation, or one number for each model, in order")
    select: Literal["all", "greedy"] = Field(
        "all", description="`average`: `greedy` adds the model that helps most, again and again (Caruana et al. 2004)"
    )
    metric: Literal["loss", "accuracy"] = Field("loss", description="`greedy`: what is compared; numbers: always loss")
    rounds: int = Field(50, ge=1, le=1000, description="`greedy`: models added at most, each may come again (models)")
    folds: int = Field(5, ge=3, le=50, description="parts of validation for the cross-fitted score (parts)")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to the models at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtimes (threads); none: all cores")
    licence: str | None = Field(
        None, min_length=1, max_length=300, description="SPDX expression; none: all licences of the members at once"
    )

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.method != "average" and (self.weights != "equal" or self.select != "all"):
            raise ValueError("`weights` and `select` are settings of `method: average`")
        if self.select == "greedy" and self.weights != "equal":
            raise ValueError("`select: greedy` makes the weights itself: leave `weights` out")
        if isinstance(self.weights, tuple) and not any(self.weights):
            raise ValueError("`weights` are all 0")
        return self


def run(config: Config, context: Context) -> None:
    from modelyard.base.messages import t
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.evaluation.opening import opened
    from modelyard.methods.runtimes.model_folder import ModelCard
    from modelyard.methods.training.combining import ensembles, writing
    from modelyard.methods.training.combining.outputs import gather

    folders = context.inputs("models")
    cards = [ModelCard.read(folder) for folder in folders]
    _check(cards, config)
    recipe = _recipe(config)
    columns = list(dict.fromkeys(name for card in cards for name in card.inputs))
    with ExitStack() as stack:
        predictors = [stack.enter_context(opened(folder, config.threads)) for folder in folders]
        _tell_twins(predictors, context)
        data = Dataset.open(context.input("data"))
        outputs = gather(predictors, columns, data, "validation", config.batch_rows, context.progress)
        digests = [predictor.digest for predictor in predictors]
    for name, reason in outputs.left_out[:3]:
        context.say(t("left out row {row}: {reason}", row=name, reason=reason))
    if outputs.left_out:
        context.say(t("{count} validation rows were left out", count=len(outputs.left_out)))
    found = ensembles.combine(recipe, outputs, context.seed)
    kept = [folders[place] for place in found.kept]
    target = context.output("model")
    if len(kept) == 1 and config.method == "average":
        _copy(kept[0], target)
        context.say(t("only model {number} counts: the output is that model as it is", number=found.kept[0] + 1))
    else:
        provenance = _provenance(config, found, outputs, digests)
        licence = config.licence or writing.licence_of([cards[place] for place in found.kept])
        writing.write_ensemble(kept, target, found.combination, provenance, licence, outputs.examples)
    _tell(found, outputs, context)
    _measure(found, outputs, context)
    _tell_cost(target, folders[found.best], outputs, config.threads, context)


def _check(cards: Sequence[ModelCard], config: Config) -> None:
    """Everything that can be refused before a model is opened."""
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.runtimes import combination
    from modelyard.methods.training.combining import writing

    if len(cards) < 2:
        raise InputError(
            t("one model is nothing to combine"),
            where="models",
            expected=t("at least two models"),
            remedy=t("name them: `in: {models: [a, b, c]}`"),
        )
    writing.check_members(cards)
    problem = combination.problem({"kind": config.method, "over": config.over}, cards[0].task, len(cards))
    if problem:
        raise InputError(problem, where="method", expected="average, stack")


def _recipe(config: Config) -> Recipe:
    from modelyard.methods.training.combining.ensembles import Recipe

    names = ("method", "over", "weights", "select", "metric", "rounds", "folds")
    values: dict[str, Any] = {name: getattr(config, name) for name in names}
    return Recipe(**values)


def _tell_twins(predictors: Sequence[Predictor], context: Context) -> None:
    from modelyard.base.messages import t

    seen: dict[str, int] = {}
    for number, predictor in enumerate(predictors, 1):
        first = seen.setdefault(predictor.digest, number)
        if first != number:
            context.say(t("model {number} is the same as model {first}: it counts twice", number=number, first=first))


def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copyfile)


def _provenance(config: Config, found: Combined, outputs: Outputs, digests: Sequence[str]) -> Mapping[str, Any]:
    from modelyard.methods.training.combining import scoring

    return {
        "stage": "combine.ensemble",
        "settings": config.model_dump(mode="json", exclude={"threads", "batch_rows", "licence"}),
        "members": [digests[place] for place in found.kept],
        "rows": {"validation": len(outputs.targets)},
        "validation": scoring.metrics(found.scores, outputs.targets),
    }


def _tell(found: Combined, outputs: Outputs, context: Context) -> None:
    """Every model beside the ensemble, and whether it was worth it."""
    from modelyard.base.messages import t
    from modelyard.methods.training.combining import ensembles, scoring

    weights = found.combination.weights
    for place, member in enumerate(outputs.members):
        values = _values(scoring.metrics(ensembles.single(member), outputs.targets))
        line = t("model {number}: validation {values}", number=place + 1, values=values)
        if place not in found.kept:
            line += t("; left out")
        elif weights is not None:
            line += t("; weight {weight:.3f}", weight=weights[found.kept.index(place)])
        context.say(line)
    together = scoring.metrics(found.scores, outputs.targets)
    context.say(t("together: validation {values}", values=_values(together)))
    alone = scoring.metrics(ensembles.single(outputs.members[found.best]), outputs.targets)
    if not together["loss"] < alone["loss"]:
        context.say(
            t(
                "together they do not beat model {number} alone by loss: take that one, it costs less",
                number=found.best + 1,
            )
        )


def _values(metrics: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def _measure(found: Combined, outputs: Outputs, context: Context) -> None:
    from modelyard.methods.evaluation.intervals import bootstrap_t
    from modelyard.methods.evaluation.paired import Pairs, difference_interval
    from modelyard.methods.statistics.wilson import wilson
    from modelyard.methods.training.combining import ensembles, scoring

    targets, n = outputs.targets, len(outputs.targets)
    on: dict[str, Any] = {"about": "model", "on": "data/validation", "n": n}
    alone = ensembles.single(outputs.members[found.best])
    losses = scoring.row_losses(found.scores, targets)
    gains = scoring.row_losses(alone, targets) - losses
    context.measure("combine.validation_loss", losses.mean(), interval=bootstrap_t(losses, seed=context.seed), **on)
    context.measure("combine.loss_gain", gains.mean(), interval=bootstrap_t(gains, seed=context.seed), **on)
    if found.scores.ndim == 1:
        return
    right, before = found.scores.argmax(1) == targets, alone.argmax(1) == targets
    hits = int(right.sum())
    pairs = Pairs.of(right, before)
    context.measure("combine.validation_accuracy", hits / n, interval=wilson(hits, n), **on)
    context.measure("combine.accuracy_gain", pairs.difference, interval=difference_interval(pairs), **on)


def _tell_cost(target: Path, best: Path, outputs: Outputs, threads: int | None, context: Context) -> None:
    """Bytes are measured; the time of an answer is only told: evaluate.latency measures it."""
    from modelyard.base.messages import t
    from modelyard.methods.runtimes.manifest import manifest
    from modelyard.methods.training.combining.cost import milliseconds

    size, alone = manifest(target).size, manifest(best).size
    context.measure("combine.size_ratio", size / alone, about="model", on="", n=1, interval="exact")
    context.say(
        t(
            "{size:.2f} MB, the best model {alone:.2f} MB; here about {ms:.2f} ms a record, the best {other:.2f}",
            size=size / 1e6,
            alone=alone / 1e6,
            ms=milliseconds(target, outputs.examples, threads),
            other=milliseconds(best, outputs.examples, threads),
        )
    )


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "models": Port("model", many=True, description="models of one task and the same labels, in any format"),
        "data": Port("dataset", ("validation",), description="rows that no model learned from"),
    },
    outputs={"model": Port("model", description="one model that asks all of them")},
    claims=(
        Claim(
            "combine.validation_accuracy",
            "share of validation rows answered rightly; what was fitted was fitted without the row",
            sizing="rate",
            any_split=True,
        ),
        Claim(
            "combine.validation_loss",
            "mean cross-entropy (nats) or squared error on validation; what was fitted was fitted without the row",
            better="lower",
            any_split=True,
        ),
        Claim("combine.accuracy_gain", "accuracy less that of the best member on the same rows", any_split=True),
        Claim(
            "combine.loss_gain", "loss of the best member less that of the ensemble on the same rows", any_split=True
        ),
        Claim(
            "combine.size_ratio", "bytes of the ensemble over bytes of its best member", better="lower", any_split=True
        ),
    ),
    libraries=(*MODEL_LIBRARIES, "safetensors"),
    loads=MODEL_CODE,
)
