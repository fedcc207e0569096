"""What is trained: an encoder from a configuration with fresh weights, or the encoder of a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import devices, pretrained, saving
from modelyard.methods.training.encoders.settings import Architecture, EncoderTokens
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import models
from modelyard.methods.training.language.learning import Job
from modelyard.methods.training.language.texts import texts_of
from modelyard.methods.training.random import seed_torch

SHAPES: Mapping[str, tuple[int, int, int]] = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}
"""Layers, width, heads: those of BERT's smaller and larger models (Turc et al. 2019, "Well-Read Students Learn
Better")."""
PACKABLE = frozenset({"bert", "camembert", "ernie", "roberta", "xlm-roberta"})
"""Families that take positions and a mask of who may look at whom: several texts can share a line."""
FROM_PADDING = frozenset({"camembert", "roberta", "xlm-roberta"})
"""Families that count positions from the padding id on."""


def learn_tokenizer(settings: EncoderTokens, data: Dataset, columns: Sequence[str], max_length: int) -> Any:
    """A tokenizer learned from texts of train, as transformers has it: every Han character is a token."""
    texts = [text for column in columns for text in islice(texts_of(data, "train", column), settings.texts)]
    if not texts:
        raise InputError(
            t("no {split} row has a text", split="train"),
            where="data/train",
            expected=t("texts in the column `{column}`", column=columns[0]),
            remedy=t("check data.read and data.split"),
        )
    made = bpe.learn(texts, settings.vocabulary_size)
    return saving.huggingface_tokenizer(tokens.wrap(made, max_length, bpe.SPECIAL.index(bpe.PAD)))


def configuration(shape: Architecture, tokenizer: Any, max_length: int) -> Any:
    """The configuration of transformers.

    Raises:
        InputError: the heads do not divide the width.
    """
    from transformers import AutoConfig

    layers, width, heads = SHAPES[shape.size]
    layers, width, heads = shape.layers or layers, shape.width or width, shape.heads or heads
    check_heads(heads, width)
    pad_id = tokenizer.pad_token_id or 0
    return AutoConfig.for_model(
        shape.family,
        vocab_size=len(tokenizer),
        num_hidden_layers=layers,
        hidden_size=width,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        # Two of RoBERTa's positions stand for no token.
        max_position_embeddings=max_length + (2 if shape.family in FROM_PADDING else 0),
        hidden_dropout_prob=shape.dropout,
        attention_probs_dropout_prob=shape.dropout,
        pad_token_id=pad_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
        type_vocab_size=1,
    )


def check_heads(heads: int, width: int) -> None:
    """Raises InputError if the heads do not divide the width."""
    if width % heads:
        raise InputError(
            t("{heads} heads do not divide the width {width}", heads=heads, width=width),
            where="model",
            expected=t("a width that is a multiple of the heads"),
        )


def fresh(config: Any, kind: str, seed: int, threads: int) -> Any:
    """A model with new weights, in fp32; the seed decides them.

    Args:
        kind: transformers' class (`AutoModelForMaskedLM`).
    """
    import transformers

    with devices.reproducible(torch.device("cpu"), threads):
        seed_torch(seed, "weights", 0)
        return getattr(transformers, kind).from_config(config, dtype=torch.float32)


def open_base(folder: Path, kind: str, expected: str, job: Job, may_lack: Callable[[str], bool]) -> tuple[Any, Any]:
    """(model in fp32, tokenizer) of a folder; weights that it may lack begin anew, by the seed, and it is said.

    Args:
        expected: the folder in words, for messages.
        may_lack: tells from a weight's name whether the folder may be without it.

    Raises:
        InputError: transformers cannot open it, its tokenizer does not fit, or other weights are missing.
    """
    with devices.reproducible(torch.device("cpu"), job.threads):
        seed_torch(job.seed, "weights", 0)
        model, tokenizer, missing = models.open_folder(folder, kind, expected)
    models.refuse_missing(folder, [name for name in missing if not may_lack(name)], expected)
    say_missing(missing, job.hooks)
    return model, tokenizer


def say_missing(missing: Sequence[str], hooks: Hooks) -> None:
    """Which weights begin anew."""
    if missing:
        hooks.say(
            t("{count} weights are not in the base and begin anew, first `{name}`", count=len(missing), name=missing[0])
        )


def first_position(family: str, pad_id: int) -> int:
    """The position of the first token of a text."""
    return pad_id + 1 if family in FROM_PADDING else 0


def length_of(model: Any, wanted: int) -> int:
    """Tokens a text may have: what was wanted, or less if the model has fewer positions."""
    return pretrained.max_length_of(model, wanted)
