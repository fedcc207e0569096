"""Training an encoder with a decoder (T5: Raffel et al. 2020; BART: Lewis et al. 2020), and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import processors

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing import lossless
from modelyard.methods.tasks import text_to_text
from modelyard.methods.training import devices
from modelyard.methods.training.encoders import models, saving
from modelyard.methods.training.encoders.sequences import Answered, Encoded, Forced, SequenceFeed, SequenceScores
from modelyard.methods.training.encoders.settings import Rewriter
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import learning
from modelyard.methods.training.language import models as language_models
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.objectives import interval
from modelyard.methods.training.language.settings import Tokens
from modelyard.methods.training.language.texts import texts_of

KIND = "AutoModelForSeq2SeqLM"
EPOCHS, FRESH_EPOCHS = 3.0, 10.0
ASKED = 500
"""Validation rows that are answered in full, the first."""
GOLDEN_TOKENS = 16
SHAPES: Mapping[str, tuple[int, int, int]] = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (6, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}
"""Layers of each half, width, heads."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config."""

    max_length: int
    max_answer: int
    batch_size: int
    beams: int = 1
    smoothing: float = 0.0
    is_fresh: bool = True
    learning: Learning = field(default_factory=Learning)


@dataclass(frozen=True)
class Trained:
    """A trained model with the best weights, on the CPU.

    Attributes:
        loss, interval: nats a token of validation's answers, in fp32, and its 95 % interval.
        details: choices made on the way, for provenance; no times.
    """

    model: Any
    loss: float
    interval: tuple[float, float] | None
    num_targets: int
    details: Mapping[str, Any]


def learn_tokenizer(settings: Tokens, data: Dataset, columns: Sequence[str], max_length: int) -> Any:
    """A tokenizer that can give back letter by letter what it reads, learned from the texts and answers of train; a
    text is followed by the mark of the end."""
    texts = [text for column in columns for text in islice(texts_of(data, "train", column), settings.texts)]
    made = (
        lossless.characters(texts)
        if settings.kind == "characters"
        else lossless.learn_bytes(texts, settings.vocabulary_size)
    )
    end = lossless.END
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", pair=f"$A $B {end}", special_tokens=[(end, made.token_to_id(end))]
    )
    return language_models.fresh_tokenizer(made, max_length)


def configuration(shape: Rewriter, tokenizer: Any, positions: int) -> Any:
    """The configuration of transformers. Raises InputError if the heads do not divide the width."""
    from transformers import AutoConfig

    layers, width, heads = SHAPES[shape.size]
    layers, width, heads = shape.layers or layers, shape.width or width, shape.heads or heads
    models.check_heads(heads, width)
    marks = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.pad_token_id,
    }
    if shape.family == "t5":
        return AutoConfig.for_model(
            "t5", d_model=width, d_kv=width // heads, d_ff=4 * width, num_layers=layers, num_heads=heads,
            dropout_rate=shape.dropout, feed_forward_proj="gated-gelu", tie_word_embeddings=True, **marks,
        )  # fmt: skip
    halves = {f"{half}_{name}": value for half in ("encoder", "decoder")
              for name, value in (("layers", layers), ("attention_heads", heads), ("ffn_dim", 4 * width))}  # fmt: skip
    return AutoConfig.for_model(
        "bart", d_model=width, max_position_embeddings=positions, dropout=shape.dropout,
        bos_token_id=tokenizer.bos_token_id, forced_eos_token_id=None, **halves, **marks,
    )  # fmt: skip


def open_base(folder: Path, job: Job) -> tuple[Any, Any]:
    """(encoder with a decoder, tokenizer) of a folder."""
    expected = t("an encoder with a decoder (T5, BART) with model.safetensors and a tokenizer")
    model, tokenizer = models.open_base(folder, KIND, expected, job, lambda name: False)
    if model.config.decoder_start_token_id is None or tokenizer.eos_token_id is None:
        raise InputError(t("the model does not say how an answer begins or ends"), where=str(folder), expected=expected)
    return model, tokenizer


def encode(rows: Answered, model: Any, tokenizer: Any, settings: Settings, split: str, hooks: Hooks) -> Encoded:
    """Rows as ids; what is too long is cut, and how much is said."""
    single = tokenizer.backend_tokenizer
    single.no_truncation()
    single.no_padding()
    sources, targets = ([one.ids for one in single.encode_batch(list(side))] for side in (rows.texts, rows.answers))
    for side, ids, limit in (
        (t("texts"), sources, settings.max_length),
        (t("answers"), targets, settings.max_answer),
    ):
        long = sum(len(row) > limit for row in ids)
        if long:
            hooks.say(
                t("{count:,} {split} {side} are longer than {limit} tokens and were cut there",
                  count=long, split=split, side=side, limit=limit)
            )  # fmt: skip
    end = tokenizer.eos_token_id
    return Encoded(
        # A text keeps its mark of the end; an answer that is cut has none: it does not end there.
        [row if len(row) <= settings.max_length else [*row[: settings.max_length - 1], end] for row in sources],
        [row[: settings.max_answer] for row in targets],
        rows.names,
        tokenizer.pad_token_id or 0,
        model.config.decoder_start_token_id,
    )


def fit(model: Any, splits: Mapping[str, Encoded], settings: Settings, job: Job) -> Trained:
    """Learn to give the answers of train. Raises StageError if the loss is no longer a number."""
    chosen = settings.learning
    feed = SequenceFeed(splits["train"], settings.batch_size, chosen.accumulation, job.seed, job.device)
    scores = SequenceScores(splits["validation"], job.device)
    steps = learning.steps_for(chosen, feed.epoch_steps, FRESH_EPOCHS if settings.is_fresh else EPOCHS)
    rate = _usual_rate(model, settings.is_fresh)
    plan = learning.plan_for(chosen, job, settings.batch_size, feed.epoch_steps, steps, rate)
    outcome = learning.run(model, feed, Forced(settings.smoothing), scores, plan, job)
    with devices.reproducible(job.device, job.threads):
        rows: NDArray[np.float64] = scores.by_row(model.to(job.device))
    details = {**learning.details(plan, outcome), "history": [dict(entry) for entry in outcome.history]}
    loss, count = float(rows[:, 0].sum() / rows[:, 1].sum()), int(rows[:, 1].sum())
    return Trained(model.cpu().eval(), loss, interval(rows), count, details)


def _usual_rate(model: Any, is_fresh: bool) -> float:
    rate = float(language_models.RATE_TIMES_ROOT_WIDTH / model.config.d_model**0.5)
    return rate if is_fresh else rate * language_models.TRAINED


def write(
    model: Any,
    tokenizer: Any,
    folder: Path,
    settings: Settings,
    provenance: Mapping[str, Any],
    licence: str,
    texts: Sequence[str],
) -> None:
    """The model folder; how it writes by default is in `generation_config.json`."""
    from transformers import GenerationConfig

    model.generation_config = GenerationConfig(
        max_new_tokens=settings.max_answer,
        num_beams=settings.beams,
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=model.config.decoder_start_token_id,
    )
    model.config.use_cache = True
    golden = [{"text": text, "max_new_tokens": GOLDEN_TOKENS, "beams": 1} for text in texts]
    saving.write_model(
        model, tokenizer, folder, text_to_text.NAME, settings.max_length, provenance, licence, golden,
        {"text": {"type": "string", "shape": []}},
    )  # fmt: skip


def exact(folder: Path, rows: Answered, threads: int) -> tuple[int, int]:
    """(answers that are right letter by letter, rows asked), through the predictor that will serve."""
    predictor = runtimes.load(folder, threads=threads)
    try:
        asked = [{"text": text} for text in rows.texts[:ASKED]]
        found = predictor.predict(asked)
    finally:
        predictor.close()
    hits = sum(one.text.strip() == wanted.strip() for one, wanted in zip(found, rows.answers[:ASKED], strict=True))
    return hits, len(asked)
