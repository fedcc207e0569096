"""Writing a trained language model as a model folder that transformers, and what reads its folders, loads as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from modelyard.methods.preprocessing import lossless
from modelyard.methods.preprocessing.tokens import FILE
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import text_generation
from modelyard.methods.training.language.settings import Generation

GOLDEN_TOKENS = 16
"""Written for a golden answer: where two tokens are almost as likely, another processor may take the other."""
PROMPT_CHARS = 40
"""Of a validation text that a golden answer goes on from."""
TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def write_model(
    model: Any,
    tokenizer: Any,
    folder: Path,
    context: int,
    writing: Generation,
    provenance: Mapping[str, Any],
    licence: str,
    golden: Sequence[Mapping[str, Any]],
    weights: str = "fp32",
) -> None:
    """`model.json`, weights, tokenizer, `generation_config.json` and golden answers. Equal models are equal bytes.

    Args:
        golden: records (`prompt` or `messages`) to make golden answers from.
        weights: `fp32` or `bf16`, as they are stored.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    _set_generation(model, tokenizer, writing)
    # Where it was loaded from is this machine's business.
    model.config._name_or_path = ""
    model.config.use_cache = True
    model.to(TYPES[weights]).save_pretrained(folder)
    tokenizer.model_max_length = context
    tokenizer.save_pretrained(folder)
    card = ModelCard(
        task=text_generation.NAME,
        format="hf",
        labels=(),
        preprocessing={
            "kind": "tokens",
            "tokenizer": FILE,
            "max_length": context,
            "pad_id": tokenizer.pad_token_id or 0,
        },
        inputs=dict(text_generation.TASK.inputs),
        outputs={"text": {"type": "string", "shape": []}},
        provenance=dict(provenance),
        licence=licence,
        precision=weights,
    )
    card.write(folder)
    write_golden(folder, [{**record, "max_new_tokens": GOLDEN_TOKENS, "temperature": 0} for record in golden])


def _set_generation(model: Any, tokenizer: Any, writing: Generation) -> None:
    """How it writes by default. Fields of sampling are only there if it samples: transformers refuses them else."""
    from transformers import GenerationConfig

    sampled = {"do_sample": True, "temperature": writing.temperature, "top_p": writing.top_p}
    model.generation_config = GenerationConfig(
        max_new_tokens=writing.max_new_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=_ends(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        **(sampled if writing.temperature > 0 else {"do_sample": False}),
    )


def _ends(tokenizer: Any) -> int | list[int] | None:
    """A chat's end, and with our own marks a document's end too."""
    found = [tokenizer.eos_token_id, tokenizer.get_vocab().get(lossless.END)]
    ends = list(dict.fromkeys(token for token in found if token is not None))
    return ends[0] if len(ends) == 1 else ends or None


def prompts(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Golden records from the beginnings of texts."""
    return [{"prompt": text[:PROMPT_CHARS]} for text in texts]


def questions(prompts: Sequence[Sequence[Mapping[str, str]]], tokenizer: Any) -> list[dict[str, Any]]:
    """Golden records from the beginnings of chats; plain prompts where the model knows no chats."""
    if tokenizer.chat_template:
        return [{"messages": [dict(turn) for turn in turns]} for turns in prompts]
    return [{"prompt": "\n".join(turn["content"] for turn in turns)} for turns in prompts]
