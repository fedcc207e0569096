"""Training a sentence encoder from pairs of texts, and writing it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.networks.pooled import Pooled
from modelyard.methods.statistics.wilson import wilson
from modelyard.methods.tasks import sentence_embedding
from modelyard.methods.training import devices, pretrained
from modelyard.methods.training.encoders import models, saving
from modelyard.methods.training.encoders.contrast import POOL, Contrast, PairScores
from modelyard.methods.training.encoders.pairs import PairFeed, Pairs, Tokenized
from modelyard.methods.training.language import learning
from modelyard.methods.training.language import models as language_models
from modelyard.methods.training.language.fitting import num_weights
from modelyard.methods.training.language.learning import Job, Learning

KIND = "AutoModel"
EPOCHS = 5.0
POSITIVE = 0.5
"""Pairs whose score is below are no pairs to `contrastive`."""
Z = 1.959963984540054


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config."""

    max_length: int
    batch_size: int
    objective: str = "auto"
    temperature: float | None = None
    lengths: tuple[int, ...] = ()
    pooling: str = "mean"
    is_fresh: bool = True
    learning: Learning = field(default_factory=Learning)


@dataclass(frozen=True)
class Trained:
    """A trained sentence encoder with the best weights, on the CPU.

    Attributes:
        model: of transformers.
        metrics: over all of validation, in fp32.
        num_rows: of validation that was judged.
        details: choices made on the way, for provenance; no times.
    """

    model: Any
    metrics: Mapping[str, float]
    num_rows: int
    details: Mapping[str, Any]


def open_base(folder: Path, job: Job) -> tuple[Any, Any]:
    """(encoder without a head, tokenizer) of a folder."""
    expected = t("a text encoder that transformers has a class for, with model.safetensors and a tokenizer")
    return models.open_base(folder, KIND, expected, job, lambda name: name.startswith("pooler."))


def objective_of(settings: Settings, training: Pairs) -> Contrast:
    """What is minimised: by default CoSENT where there are scores, else contrastive.

    Raises:
        InputError: the objective needs scores and there are none, or scores between 0 and 1 and they are not.
    """
    name = settings.objective
    if name == "auto":
        name = "contrastive" if training.scores is None else "cosent"
    if training.scores is None and name != "contrastive":
        raise InputError(
            t("`{name}` needs scores, and the data has none", name=name),
            where="objective",
            expected=t("a column with the role label or target: how alike the texts are"),
            remedy=t("use `objective: contrastive`, which needs only texts that belong together"),
        )
    if name == "cosine" and training.scores is not None and np.abs(training.scores).max() > 1:
        raise InputError(
            t("scores reach {found:g}: a cosine does not", found=float(np.abs(training.scores).max())),
            where="data/train",
            expected=t("scores from -1 to 1, or from 0 to 1"),
            remedy=t("divide them, or use `objective: cosent`, which looks at their order alone"),
        )
    return Contrast(name, settings.temperature or 0.05, settings.lengths)


def fit(model: Any, tokenizer: Any, splits: Mapping[str, Pairs], settings: Settings, job: Job) -> Trained:
    """Learn from the pairs of train, judged on those of validation.

    Raises:
        InputError: the settings do not fit the data.
        StageError: the loss is no longer a number.
    """
    objective = objective_of(settings, splits["train"])
    used = {split: _positive(pairs, split, objective, job) for split, pairs in splits.items()}
    reader = pretrained.fast_tokenizer(tokenizer, settings.max_length)
    training = Tokenized.of(used["train"], reader)
    validation = Tokenized.of(splits["validation"], reader)
    judged = Tokenized.of(used["validation"], reader)
    scored = splits["validation"].scores is not None
    for name, part in model.named_parameters():
        # No vector comes from it; it is kept for whoever reads the folder.
        if name.startswith("pooler."):
            part.requires_grad = False
    module = Pooled(model, settings.pooling)
    feed = PairFeed(training, settings.batch_size, settings.learning.accumulation, job.seed, job.device)
    scores = _Scores(PairScores(judged, objective, settings.batch_size, job.device, False), validation, scored)
    steps = learning.steps_for(settings.learning, feed.epoch_steps, EPOCHS)
    rate = language_models.usual_rate(model, settings.is_fresh)
    plan = learning.plan_for(settings.learning, job, settings.batch_size, feed.epoch_steps, steps, rate)
    outcome = learning.run(module, feed, objective, scores, plan, job)
    with devices.reproducible(job.device, job.threads):
        metrics = scores(module.to(job.device))
    details = {
        **learning.details(plan, outcome),
        "objective": objective.name,
        "temperature": objective.temperature,
        "rows": {"train": len(training), "validation": len(validation)},
        "history": [dict(entry) for entry in outcome.history],
    }
    return Trained(model.cpu().eval(), metrics, len(validation), details)


@dataclass(frozen=True)
class _Scores:
    """The loss on the pairs that are learned from, agreement on all of them."""

    learned: PairScores
    every: Tokenized
    scored: bool

    def __call__(self, module: Any) -> dict[str, float]:
        if not self.scored:
            return self.learned(module)
        loss = self.learned(module)["loss"]
        whole = PairScores(self.every, self.learned.objective, self.learned.batch_size, self.learned.device, True)
        return {**whole(module), "loss": loss}


def _positive(pairs: Pairs, split: str, objective: Contrast, job: Job) -> Pairs:
    """The pairs an objective can learn from."""
    if objective.name != "contrastive" or pairs.scores is None:
        return pairs
    rows = np.flatnonzero(pairs.scores >= POSITIVE).tolist()
    if not rows:
        raise InputError(
            t("no {split} row can be learned from", split=split),
            where=f"data/{split}",
            expected=t("pairs with a score of at least {least:g}", least=POSITIVE),
        )
    left = len(pairs) - len(rows)
    if left:
        job.hooks.say(
            t("{count:,} {split} pairs do not belong together and are no part of the loss", count=left, split=split)
        )
    return pairs.take(rows)


def measure(context: Any, trained: Trained) -> None:
    """Evidence on validation: agreement with the scores, or how often the right text is the nearest."""
    rows, on = trained.num_rows, "data/validation"
    found = trained.metrics
    if "spearman" in found:
        context.measure(
            "train.validation_spearman", found["spearman"], about="model", on=on, n=rows,
            interval=spearman_interval(found["spearman"], rows),
        )  # fmt: skip
    if "auc" in found:
        context.measure("train.validation_auc", found["auc"], about="model", on=on, n=rows, interval=None)
    if "nearest" in found:
        count = min(rows, POOL)
        hits = round(found["nearest"] * count)
        context.measure(
            "train.validation_nearest", hits / count, about="model", on=on, n=count, interval=wilson(hits, count)
        )
    size = num_weights(trained.model)
    context.measure("train.parameters", size, about="model", on="", n=1, unit="weights", interval="exact")


def spearman_interval(value: float, rows: int) -> tuple[float, float] | None:
    """95 % interval of a rank correlation (Bonett & Wright 2000): Fisher's z with variance (1 + r²/2) / (n - 3)."""
    if rows < 4:
        return None
    z = float(np.arctanh(np.clip(value, -1 + 1e-12, 1 - 1e-12)))
    half = Z * float(np.sqrt((1 + value**2 / 2) / (rows - 3)))
    return float(np.tanh(z - half)), float(np.tanh(z + half))


def write(
    model: Any,
    tokenizer: Any,
    folder: Path,
    settings: Settings,
    provenance: Mapping[str, Any],
    licence: str,
    texts: Sequence[str],
) -> None:
    """The model folder; what sentence-transformers reads lies in it too."""
    width = int(model.config.hidden_size)
    write_modules(folder, settings.pooling, width, settings.max_length)
    network = {
        "kind": "pooled",
        "pooling": settings.pooling,
        "unit_length": True,
        "lengths": [one for one in settings.lengths if one < width],
    }
    saving.write_model(
        model, tokenizer, folder, sentence_embedding.NAME, settings.max_length, provenance, licence,
        [{"text": text} for text in texts], {"embedding": {"type": "float32", "shape": [width]}}, network,
    )  # fmt: skip


def write_modules(folder: Path, pooling: str, width: int, max_length: int) -> None:
    """How sentence-transformers is to put the parts together: encoder, pooling, unit length."""
    parts = (("", "Transformer"), ("1_Pooling", "Pooling"), ("2_Normalize", "Normalize"))
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": f"sentence_transformers.models.{name}"}
        for place, (path, name) in enumerate(parts)
    ]
    modes = {f"pooling_mode_{name}": False for name in ("cls_token", "mean_tokens", "max_tokens")}
    modes["pooling_mode_cls_token" if pooling == "cls" else "pooling_mode_mean_tokens"] = True
    _write_json(folder / "modules.json", modules)
    _write_json(folder / "sentence_bert_config.json", {"max_seq_length": max_length, "do_lower_case": False})
    _write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **modes})
    (folder / "2_Normalize").mkdir(parents=True, exist_ok=True)
    _write_json(folder / "2_Normalize" / "config.json", {})


def _write_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
