"""Runtime `hf`: a Hugging Face folder, computed by transformers on torch. Never with code from the folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.networks.first_token import first_token
from modelyard.methods.networks.pooled import Pooled
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.torch_network import TorchNetwork

INPUT_NAMES = ("input_ids", "attention_mask")
IMAGE_INPUT_NAMES = ("pixel_values",)
KINDS = {"token-classification": "AutoModelForTokenClassification"}
"""transformers' class by task; sequence classification for all others that read texts."""


def open_module(
    folder: Path, attention: str | None = "sdpa", kind: str = "AutoModelForSequenceClassification"
) -> torch.nn.Module:
    """The classifier of a folder that `validation.check` has passed, in fp32 and evaluation mode.

    Args:
        attention: `sdpa`, the fast one, `eager`, which exports to fewer operators, or None, where there is a choice
            to leave to the model.
        kind: transformers' class that opens it.

    Raises:
        InputError: transformers cannot build it, or weights are missing from the file.
    """
    import transformers
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        module: Any
        module, report = getattr(transformers, kind).from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=torch.float32,
            **({} if attention is None else {"attn_implementation": attention}),
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            t("transformers cannot load the model: {error}", error=error),
            where=str(folder),
            expected=t("a classifier that transformers has a class for"),
        ) from None
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            t("{count} weights are not in the file, first `{name}`", count=len(missing), name=missing[0]),
            where=str(folder / "model.safetensors"),
            expected=t("a classifier with its trained head"),
            remedy=t("a base model is a start for train.text_classification (`base: <folder>`), not a classifier"),
        )
    result: torch.nn.Module = module.eval()
    return result


def open_network(folder: Path, card: ModelCard, threads: int | None) -> TorchNetwork:
    if card.task == "image-classification":
        module = open_module(folder, None, "AutoModelForImageClassification")
        return TorchNetwork(module, IMAGE_INPUT_NAMES, threads)
    if card.task == "sentence-embedding":
        pooling, unit = str(card.network.get("pooling", "mean")), bool(card.network.get("unit_length", True))
        return TorchNetwork(Pooled(open_module(folder, kind="AutoModel"), pooling, unit), INPUT_NAMES, threads)
    kind = KINDS.get(card.task, "AutoModelForSequenceClassification")
    module = open_module(folder, kind=kind)
    return TorchNetwork(module, INPUT_NAMES, threads, first_token(module))
