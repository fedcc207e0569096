"""Merge the weights of several models into one model of the same size: soups, task arithmetic, TIES, SLERP.

The models must be of one architecture, with equal labels and the same preprocessing, and should have one beginning: the
same base, or the same first weights. Weights trained from different beginnings have nothing in common place by place;
the stage shows on validation what came of it. `uniform` and `greedy` are soups of any number of models; `slerp` takes
two; `task_arithmetic` and `ties` take a base (`in: {models: […], base: …}`) whose tasks the models learned. Where there
is batch normalisation its statistics are measured anew on train rows. A merged model costs what one model costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.core.evidence import Claim
from modelyard.core.stage import Context, Port, Stage
from modelyard.methods import MODEL_CODE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training.combining.judging import Judge
    from modelyard.methods.training.combining.soups import Kitchen, Tensors
    from modelyard.methods.training.combining.weights import Ingredient

Method = Literal["uniform", "greedy", "slerp", "task_arithmetic", "ties"]
WITH_BASE = ("task_arithmetic", "ties")


class Config(BaseModel):
    """Settings of combine.merge."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = Field("uniform", description="How weights are merged; `greedy` takes in what does no harm")
    metric: Literal["loss", "accuracy"] = Field(
        "loss", description="`greedy`, `scale: auto`: what is compared on validation"
    )
    share: float = Field(0.5, ge=0, le=1, description="`slerp`: how far from the first model to the second")
    scale: Annotated[float, Field(ge=0, le=10)] | Literal["auto"] = Field(
        "auto", description="`task_arithmetic`, `ties`: what differences are multiplied by; `auto`: best on validation"
    )
    density: float = Field(0.2, gt=0, le=1, description="`ties`: share of a model's differences that is kept")
    statistics_rows: int = Field(
        2048, ge=64, le=1_000_000, description="train rows that the statistics of batch normalisation come from (rows)"
    )
    texts: int = Field(500, ge=1, le=1_000_000, description="language models: validation texts compared on (texts)")
    batch_rows: int = Field(256, ge=1, le=8192, description="rows given to a model at a time (rows)")
    threads: int | None = Field(None, ge=1, le=1024, description="threads of the runtimes (threads); none: all cores")
    licence: str | None = Field(
        None, min_length=1, max_length=300, description="SPDX expression; none: all licences of the models at once"
    )


def run(config: Config, context: Context) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.runtimes.manifest import manifest
    from modelyard.methods.training.combining import soups, weights, writing
    from modelyard.methods.training.combining.judging import judge_of

    base, models = _ingredients(config, context)
    data = Dataset.open(context.input("data")) if context.bound("data") else None
    judge = judge_of(data, config.batch_rows, config.threads, config.texts) if data is not None else None
    _refuse_without_data(config, models[0], judge)
    rows = _rows(config, models[0], data, context.seed)
    kitchen = soups.Kitchen(judge, context.scratch(), rows, context.say)
    tensors, details = _merged(config, base, models, kitchen)
    sources = [*models, *([base] if base else [])]
    provenance = {
        "stage": "combine.merge",
        "method": config.method,
        "models": [manifest(model.folder).digest for model in models],
        "base": manifest(base.folder).digest if base else None,
        "details": details,
    }
    licence = config.licence or writing.licence_of([one.card for one in sources])
    golden = weights.golden_records(models[0].folder)
    weights.write(models[0], tensors, context.output("model"), provenance, licence, golden)
    if judge is not None:
        _compare(models, judge, context)


def _ingredients(config: Config, context: Context) -> tuple[Ingredient | None, list[Ingredient]]:
    """The base, if there is one, and the models. Raises InputError if they cannot be merged."""
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.training.combining import weights

    folders = context.inputs("models")
    needed = t("exactly two models") if config.method == "slerp" else t("at least two models")
    with_base = config.method in WITH_BASE
    if len(folders) < (1 if with_base else 2) or (config.method == "slerp" and len(folders) != 2):
        found = t("{count} models are given to {method}", count=len(folders), method=config.method)
        raise InputError(found, where="models", expected=t("at least one model") if with_base else needed)
    if with_base != context.bound("base"):
        method = config.method
        found = t("{method} needs a base", method=method) if with_base else t("{method} takes no base", method=method)
        remedy = t("name it: `in: {models: […], base: …}`") if with_base else t("leave `base` out")
        raise InputError(found, where="base", remedy=remedy)
    names = [t("model {number}", number=number) for number in range(1, len(folders) + 1)]
    models = [weights.read(folder, name) for folder, name in zip(folders, names, strict=True)]
    base = weights.read(context.input("base"), "base") if with_base else None
    weights.refuse_unequal([*models, *([base] if base else [])], [*names, *(["base"] if base else [])])
    return base, models


def _refuse_without_data(config: Config, model: Ingredient, judge: Judge | None) -> None:
    from modelyard.base.messages import t
    from modelyard.errors import InputError
    from modelyard.methods.training.combining import weights

    chooses = config.method == "greedy" or (config.method in WITH_BASE and config.scale == "auto")
    if judge is None and (chooses or weights.statistics_names(model.tensors)):
        raise InputError(
            t("there are no rows to choose by, or to measure batch normalisation on"),
            where="data",
            expected=t("a data set with train and validation"),
            remedy=t("name it: `in: {data: …}`"),
        )


def _rows(config: Config, model: Ingredient, data: Dataset | None, seed: int) -> list[dict[str, Any]]:
    """Training records for the statistics of batch normalisation, where the model has such layers."""
    from modelyard.methods.training.combining import outputs, weights

    if data is None or not weights.statistics_names(model.tensors):
        return []
    return outputs.sample(data, "train", model.card, config.statistics_rows, seed)


def _merged(
    config: Config, base: Ingredient | None, models: Sequence[Ingredient], kitchen: Kitchen
) -> tuple[Tensors, dict[str, Any]]:
    """Finished weights, and the choices that were made."""
    from modelyard.methods.training.combining import merging, soups

    tensors = [model.tensors for model in models]
    if config.method == "greedy":
        soup, taken = soups.greedy(models, config.metric, kitchen)
        return soup, {"taken": [place + 1 for place in taken]}
    if config.method == "uniform":
        return kitchen.finished(models[0], merging.mean(tensors)), {}
    if config.method == "slerp":
        arc = merging.slerp(tensors[0], tensors[1], config.share)
        return kitchen.finished(models[0], arc), {"share": config.share}
    assert base is not None
    start = base.tensors

    def merge(scale: float) -> Tensors:
        if config.method == "ties":
            return merging.ties(start, tensors, config.density, scale)
        return merging.task_arithmetic(start, tensors, scale)

    if config.scale != "auto":
        return kitchen.finished(models[0], merge(config.scale)), {"scale": config.scale}
    found, scale = soups.scaled(merge, models[0], config.metric, kitchen)
    return found, {"scale": scale}


def _compare(models: Sequence[Ingredient], judge: Judge, context: Context) -> None:
    """The merged model beside its ingredients, on validation."""
    from modelyard.base.messages import t
    from modelyard.methods.evaluation.intervals import bootstrap_t
    from modelyard.methods.evaluation.paired import Pairs, difference_interval
    from modelyard.methods.statistics.wilson import wilson

    merged, alone = judge(context.output("model")), [judge(model.folder) for model in models]
    for number, one in enumerate(alone, 1):
        context.say(t("model {number}: validation loss {loss:.4f}", number=number, loss=one.loss))
    best = min(alone, key=lambda one: one.loss)
    context.say(t("merged: validation loss {loss:.4f}", loss=merged.loss))
    if not merged.loss < best.loss:
        context.say(t("the merged model does not beat the best of those it is made of"))
    n = len(merged.losses)
    on: dict[str, Any] = {"about": "model", "on": "data/validation", "n": n}
    gains = best.losses - merged.losses
    interval = bootstrap_t(merged.losses, seed=context.seed)
    context.measure("combine.validation_loss", merged.loss, interval=interval, **on)
    context.measure("combine.loss_gain", gains.mean(), interval=bootstrap_t(gains, seed=context.seed), **on)
    if merged.right is None or best.right is None:
        return
    hits, pairs = int(merged.right.sum()), Pairs.of(merged.right, best.right)
    context.measure("combine.validation_accuracy", hits / n, interval=wilson(hits, n), **on)
    context.measure("combine.accuracy_gain", pairs.difference, interval=difference_interval(pairs), **on)


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "models": Port("model", many=True, description="models of one architecture with equal labels"),
        "base": Port("model", side=True, optional=True, description="what the models were trained from"),
        "data": Port("dataset", ("train", "validation"), optional=True, description="rows to choose and to compare by"),
    },
    outputs={"model": Port("model", description="one model of the same architecture")},
    claims=(
        Claim(
            "combine.validation_accuracy",
            "share of validation rows answered rightly; validation may have chosen, so it flatters",
            sizing="rate",
            any_split=True,
        ),
        Claim(
            "combine.validation_loss",
            "mean cross-entropy (nats; of texts per token) or squared error on validation, which may have chosen",
            better="lower",
            any_split=True,
        ),
        Claim("combine.accuracy_gain", "accuracy less that of the best model merged, on the same rows", any_split=True),
        Claim("combine.loss_gain", "loss of the best model merged less that of the result, same rows", any_split=True),
    ),
    libraries=("numpy", "scipy", "pyarrow", "safetensors", "tokenizers", "torch", "transformers"),
    loads=MODEL_CODE,
)
