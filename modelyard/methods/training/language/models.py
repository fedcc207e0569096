"""What is trained: a network from a configuration with fresh weights, or a model of a Hugging Face folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing import lossless
from modelyard.methods.training import devices
from modelyard.methods.training.language.settings import Architecture
from modelyard.methods.training.random import seed_torch

SHAPES: Mapping[str, tuple[int, int, int, int]] = {
    "tiny": (4, 128, 4, 4),
    "mini": (6, 256, 8, 4),
    "small": (8, 512, 8, 4),
    "base": (12, 768, 12, 4),
    "large": (24, 1024, 16, 4),
}
"""Layers, width, heads, heads of keys and values."""
RATE_TIMES_ROOT_WIDTH = 0.02
"""AdamW's usual peak rate for fresh weights falls with the width: 1.8e-3 at 128, 7e-4 at 768 (GPT-3's table 2.1 gives
6e-4 there)."""
TRAINED = 0.1
"""What trained weights take of the rate of fresh ones: 7e-5 at 768."""
ADAPTER = 10
"""How many times the rate of full fine-tuning an adapter wants (Schulman et al. 2025, "LoRA Without Regret")."""


def configuration(shape: Architecture, tokenizer: Any, context: int) -> Any:
    """The configuration of transformers.

    Raises:
        InputError: the heads do not divide the width, or the heads of keys and values the heads.
    """
    from transformers import AutoConfig

    layers, width, heads, shared = SHAPES[shape.size]
    layers, width, heads = shape.layers or layers, shape.width or width, shape.heads or heads
    shared = shape.key_value_heads or (shared if heads % shared == 0 else heads)
    _check_shape(width, heads, shared)
    common = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "tie_word_embeddings": shape.tie,
    }
    if shape.family == "gpt2":
        drops = {f"{part}_pdrop": shape.dropout for part in ("resid", "embd", "attn")}
        return AutoConfig.for_model(
            "gpt2", n_layer=layers, n_embd=width, n_head=heads, n_positions=context, **drops, **common
        )
    settings: dict[str, Any] = {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "num_key_value_heads": shared,
        "head_dim": width // heads,
        # Three matrices of 8/3 of the width are as many weights as two of four times (Shazeer 2020, GLU variants).
        "intermediate_size": -(-8 * width // 3 // 64) * 64,
        "max_position_embeddings": context,
        "attention_dropout": shape.dropout,
    }
    if shape.family == "mistral":
        settings["sliding_window"] = None
    return AutoConfig.for_model(shape.family, **settings, **common)


def _check_shape(width: int, heads: int, shared: int) -> None:
    if width % heads or (width // heads) % 2:
        raise InputError(
            t("{heads} heads do not divide the width {width} evenly", heads=heads, width=width),
            where="model",
            expected=t("a width that is an even multiple of the heads"),
        )
    if heads % shared:
        raise InputError(
            t("{shared} heads of keys do not divide {heads} heads", shared=shared, heads=heads),
            where="model.key_value_heads",
            expected=t("a divisor of the heads"),
        )


def fresh(config: Any, seed: int, threads: int) -> Any:
    """A causal language model with new weights, in fp32; the seed decides them."""
    from transformers import AutoModelForCausalLM

    with devices.reproducible(torch.device("cpu"), threads):
        seed_torch(seed, "weights", 0)
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def usual_rate(model: Any, is_fresh: bool, has_adapter: bool = False) -> float:
    """The peak learning rate if none is set."""
    rate = float(RATE_TIMES_ROOT_WIDTH / model.config.hidden_size**0.5)
    if is_fresh:
        return rate
    return rate * TRAINED * (ADAPTER if has_adapter else 1)


def fresh_tokenizer(tokenizer: Any, context: int) -> Any:
    """A tokenizer of `preprocessing.lossless` as transformers has it."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=context,
        bos_token=lossless.END,
        eos_token=lossless.END,
        pad_token=lossless.PAD,
        clean_up_tokenization_spaces=False,
    )


def open_base(folder: Path) -> tuple[Any, Any]:
    """(causal language model in fp32, tokenizer) of a Hugging Face folder; never code from it.

    Raises:
        InputError: the folder is no language model, lacks weights, brings code, or its tokenizer knows tokens that
            the model has no row for.
    """
    expected = t("a causal language model with model.safetensors and a tokenizer")
    model, tokenizer, missing = open_folder(folder, "AutoModelForCausalLM", expected)
    refuse_missing(folder, missing, expected)
    return model, tokenizer


def open_folder(folder: Path, kind: str, expected: str) -> tuple[Any, Any, list[str]]:
    """(model in fp32, tokenizer, names of weights that the file lacks) of a Hugging Face folder; never code from it.

    Args:
        kind: transformers' class that opens it (`AutoModelForCausalLM`).
        expected: the folder in words, for messages.

    Raises:
        InputError: transformers cannot open it so, or its tokenizer does not fit the model.
    """
    import transformers
    from transformers import AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if not (folder / "config.json").is_file():
        raise InputError(
            t("no config.json in the folder"), where=str(folder), expected=t("a Hugging Face folder"), remedy=_remedy()
        )
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model, report = getattr(transformers, kind).from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            t("transformers cannot load it: {error}", error=lines[0]),
            where=str(folder),
            expected=expected,
            remedy=_remedy(),
        ) from None
    _check_tokenizer(folder, model, tokenizer)
    return model, tokenizer, sorted(report["missing_keys"])


def refuse_missing(folder: Path, missing: Sequence[str], expected: str) -> None:
    """Raises InputError if the file lacks weights that cannot be made anew."""
    if missing:
        raise InputError(
            t("{count} weights are not in the file, first `{name}`", count=len(missing), name=missing[0]),
            where=str(folder),
            expected=expected,
            remedy=_remedy(),
        )


def _check_tokenizer(folder: Path, model: Any, tokenizer: Any) -> None:
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise InputError(
            t("the tokenizer has no fast form"), where=str(folder), expected="tokenizer.json", remedy=_remedy()
        )
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(
            t("the tokenizer knows {found} tokens, the model {expected}", found=len(tokenizer), expected=rows),
            where=str(folder),
            expected=t("a tokenizer and a model that belong together"),
            remedy=_remedy(),
        )


def _remedy() -> str:
    return t("check that the folder holds config.json, model.safetensors and tokenizer.json of one model")


def context_of(model: Any, wanted: int | None) -> int:
    """Tokens a line may have: what was wanted, or less if the model has fewer positions; by default at most 1,024."""
    positions = int(getattr(model.config, "max_position_embeddings", None) or wanted or 1024)
    return min(wanted or 1024, positions)
