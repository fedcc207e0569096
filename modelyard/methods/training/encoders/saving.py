"""Writing a trained encoder as a model folder that transformers, and what reads its folders, loads as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.methods.preprocessing.tokens import FILE
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import find


def write_model(
    model: Any,
    tokenizer: Any,
    folder: Path,
    task: str,
    max_length: int,
    provenance: Mapping[str, Any],
    licence: str,
    golden: Sequence[Mapping[str, Any]],
    outputs: Mapping[str, Any],
    network: Mapping[str, Any] | None = None,
) -> None:
    """`model.json`, weights, tokenizer and golden answers. Equal models are equal bytes.

    Args:
        golden: records to make golden answers from.
        outputs, network: as of `ModelCard`.
    """
    from transformers.utils import logging

    logging.disable_progress_bar()
    # Where it was loaded from is this machine's business.
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    tokenizer.model_max_length = max_length
    tokenizer.save_pretrained(folder)
    pad_id = tokenizer.pad_token_id or 0
    card = ModelCard(
        task=task,
        format="hf",
        labels=(),
        preprocessing={"kind": "tokens", "tokenizer": FILE, "max_length": max_length, "pad_id": pad_id},
        network=dict(network or {}),
        inputs=dict(find(task).inputs),
        outputs=dict(outputs),
        provenance=dict(provenance),
        licence=licence,
    )
    card.write(folder)
    write_golden(folder, golden)
