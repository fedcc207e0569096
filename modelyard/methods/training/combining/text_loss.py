"""The mean cross-entropy per token of texts under a language model in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.runtimes import hf
from modelyard.methods.runtimes.model_folder import ModelCard


def text_losses(folder: Path, data: Dataset, limit: int, threads: int | None) -> NDArray[np.float64]:
    """[texts] nats per token, of the first `limit` validation texts that have two tokens; long ones are cut."""
    from transformers import AutoTokenizer

    if threads is not None:
        torch.set_num_threads(threads)
    card = ModelCard.read(folder)
    length = int(card.preprocessing["max_length"])
    model: Any = hf.open_module(folder, "sdpa", "AutoModelForCausalLM")
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    losses: list[float] = []
    with torch.inference_mode():
        for batch in data.batches("validation", [data.need("text")]):
            for text in batch.column(0).to_pylist():
                tokens = tokenizer(text or "", truncation=True, max_length=length)["input_ids"]
                if len(tokens) > 1 and len(losses) < limit:
                    ids = torch.tensor([tokens])
                    losses.append(float(model(input_ids=ids, labels=ids).loss))
    if not losses:
        raise InputError(t("no validation text has two tokens"), where="data/validation", expected=t("texts"))
    return np.array(losses)
