"""What a pretrained text encoder makes of texts before it has learned a task: the mean of its last layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.validation import code_problems, refuse

BATCH = 32


def text_features(
    folder: Path, texts: Sequence[str], max_length: int, threads: int | None, note: Callable[[int, int], None]
) -> NDArray[np.float64]:
    """[texts, width]: the last hidden layer, averaged over real tokens; on the processor, in fp32.

    Raises:
        InputError: the folder is no encoder that transformers has a class for, or brings code.
    """
    model, tokenizer = _open(folder)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        return _features(model, tokenizer, texts, max_length, note)
    finally:
        torch.set_num_threads(before)


def _open(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if not (folder / "config.json").is_file():
        raise InputError(t("no config.json in the folder"), where=str(folder), expected=t("a Hugging Face folder"))
    refuse(code_problems(folder))
    local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **local)
        model = AutoModel.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **local)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        lines = str(error).strip().splitlines()
        raise InputError(
            t("transformers cannot load it: {error}", error=lines[0] if lines else type(error).__name__),
            where=str(folder),
            expected=t("a text encoder that transformers has a class for, with model.safetensors and a tokenizer"),
        ) from None
    if len(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        raise InputError(
            t("the tokenizer and the model do not belong together"),
            where=str(folder),
            expected=t("a tokenizer and a model that belong together"),
        )
    return model.eval(), tokenizer


def _features(
    model: Any, tokenizer: Any, texts: Sequence[str], max_length: int, note: Callable[[int, int], None]
) -> NDArray[np.float64]:
    positions = int(getattr(model.config, "max_position_embeddings", 0) or max_length)
    length = min(max_length, positions - (2 if "roberta" in model.config.model_type else 0))
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found: NDArray[np.float64] | None = None
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        some = [texts[row] for row in rows]
        arrays = tokenizer(some, padding=True, truncation=True, max_length=length, return_tensors="pt")
        inputs = {name: arrays[name] for name in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            hidden = model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
        mean = ((hidden * mask).sum(1) / mask.sum(1).clamp(min=1)).double().numpy()
        if found is None:
            found = np.empty((len(texts), mean.shape[1]))
        found[rows] = mean
        note(start + len(rows), len(texts))
    assert found is not None
    return found
