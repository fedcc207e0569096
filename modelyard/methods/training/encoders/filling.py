"""Training by filling masks: what is hidden is told from both sides (BERT, Devlin et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.tasks.fill_mask import MASK
from modelyard.methods.training.encoders import corpus, models, words
from modelyard.methods.training.encoders.masking import Kinds, MaskedFeed, is_packable
from modelyard.methods.training.encoders.settings import Masking
from modelyard.methods.training.language import fitting
from modelyard.methods.training.language import models as language_models
from modelyard.methods.training.language.fitting import Beside, Trained
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.texts import texts_of

KIND = "AutoModelForMaskedLM"
FRESH_EPOCHS, BASE_EPOCHS = 20.0, 3.0
"""A masked model learns from a seventh of its tokens an epoch, and from others each time: it can read a text often."""
WORD_TEXTS = 200_000
"""Training texts that words are learned from."""
GOLDEN_TEXTS, GOLDEN_CHARS = 8, 24
"""Validation texts that golden answers are made from, and where in them the mask stands at the latest."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config.

    Attributes:
        context: tokens of a piece.
        batch_size: lines of one forward pass.
        is_fresh: the weights are new.
    """

    context: int
    batch_size: int
    masking: Masking = field(default_factory=Masking)
    is_fresh: bool = True
    learning: Learning = field(default_factory=Learning)
    adapter: Beside | None = None


def open_base(folder: Path, job: Job) -> tuple[Any, Any]:
    """(masked language model, tokenizer) of a folder. One without the head that tells tokens gets a new one."""
    expected = t("a masked language model with model.safetensors and a tokenizer")
    return models.open_base(folder, KIND, expected, job, is_head)


def is_head(name: str) -> bool:
    """Whether a weight belongs to the part that tells tokens, by its name."""
    return name.startswith(("cls.", "lm_head.", "generator_", "vocab_", "predictions."))


def shorter(length: int, wanted: int) -> str:
    """That the base reads less than was wanted."""
    return t("pieces are of {count} tokens, not {wanted}: the base has no more positions", count=length, wanted=wanted)


def fit(model: Any, tokenizer: Any, data: Dataset, column: str, settings: Settings, job: Job) -> Trained:
    """Learn to tell the hidden tokens of the training texts.

    Raises:
        InputError: the tokenizer has no mask, or a split has no text.
        StageError: the loss is no longer a number.
    """
    kinds = Kinds.of(tokenizer)
    cutter = corpus.Cutter(tokenizer, _words(data, column, settings.masking), settings.context)
    made = [
        corpus.make(data, split, column, cutter, job.scratch / "pieces") for split in ("train", "validation")
    ]  # fmt: skip
    packed = is_packable(model)
    first = models.first_position(model.config.model_type, kinds.pad)
    feeding = partial(MaskedFeed, kinds=kinds, settings=settings.masking, first_position=first)
    chosen = fitting.Settings(
        context=settings.context,
        batch_size=settings.batch_size,
        usual_epochs=FRESH_EPOCHS if settings.is_fresh else BASE_EPOCHS,
        learning=settings.learning,
        adapter=settings.adapter,
        rate=language_models.usual_rate(model, settings.is_fresh, settings.adapter is not None),
        kind="packs" if packed else "buckets",
    )
    return fitting.fit(model, made[0], made[1], chosen, job, feeding=feeding)


def _words(data: Dataset, column: str, settings: Masking) -> words.Words:
    if settings.unit == "tokens":
        return words.EachToken()
    return words.LearnedWords(list(islice(texts_of(data, "train", column), WORD_TEXTS)), settings.words)


def golden(texts: Iterable[str], length: int) -> list[dict[str, Any]]:
    """Records with a mask in the place of a character of the beginning of validation's texts."""
    return list(islice(_masked(texts, min(GOLDEN_CHARS, length - 4)), GOLDEN_TEXTS))


def _masked(texts: Iterable[str], latest: int) -> Iterator[dict[str, Any]]:
    for text in texts:
        if MASK in text:
            continue
        place = max(0, min(len(text), latest) // 2)
        yield {"text": text[:place] + MASK + text[place + 1 : latest], "top_k": 3}
