"""Writing a trained classifier as a model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.methods import networks
from modelyard.methods.preprocessing import bpe
from modelyard.methods.preprocessing.ngrams import Ngrams
from modelyard.methods.preprocessing.tokens import FILE, Tokens
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import text_classification
from modelyard.methods.training.candidates import Candidate


def write_model(
    candidate: Candidate,
    folder: Path,
    labels: Sequence[str],
    provenance: Mapping[str, Any],
    licence: str,
    golden: Sequence[str],
    task: str = text_classification.NAME,
    outputs: Mapping[str, Any] | None = None,
) -> None:
    """`model.json`, weights, preprocessing files and golden answers. Equal models are equal bytes.

    Args:
        labels: names in the order of the logits; none for a number.
        golden: texts to make golden answers from.
        task: a task whose records are texts.
        outputs: of its answers; None: a score for each label.
    """
    specs = [_write_preprocessor(part, folder) for part in candidate.preprocessors]
    if candidate.huggingface is not None:
        _write_huggingface(candidate, folder, labels)
    else:
        networks.save(candidate.module, folder)
    card = ModelCard(
        task=task,
        format="modelyard" if candidate.huggingface is None else "hf",
        labels=tuple(labels),
        preprocessing=specs[0] if len(specs) == 1 else {"kind": "union", "parts": specs},
        network=dict(candidate.network) if candidate.huggingface is None else {},
        inputs={text_classification.FIELD: {"type": "string", "shape": []}},
        outputs=dict(outputs or {"scores": {"type": "float32", "shape": [len(labels)]}}),
        provenance=dict(provenance),
        licence=licence,
    )
    card.write(folder)
    write_golden(folder, [{text_classification.FIELD: text} for text in golden])


def _write_preprocessor(part: Ngrams | Tokens, folder: Path) -> dict[str, Any]:
    if isinstance(part, Ngrams):
        return part.save(folder)
    part.tokenizer.save(str(folder / FILE))
    return part.spec()


def _write_huggingface(candidate: Candidate, folder: Path, labels: Sequence[str]) -> None:
    """A folder that transformers loads as it is: configuration, weights, tokenizer."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    assert candidate.huggingface is not None
    model, tokenizer = candidate.huggingface
    if labels:
        model.config.id2label = dict(enumerate(labels))
        model.config.label2id = {label: position for position, label in enumerate(labels)}
    # Where it was loaded from is this machine's business.
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    if isinstance(tokenizer, Tokens):
        tokenizer = huggingface_tokenizer(tokenizer)
    tokenizer.save_pretrained(folder)


def huggingface_tokenizer(tokenizer: Tokens) -> Any:
    """A tokenizer of `preprocessing.bpe` as transformers has it, its marks named."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer.tokenizer,
        model_max_length=tokenizer.max_length,
        pad_token=bpe.PAD,
        unk_token=bpe.UNKNOWN,
        cls_token=bpe.START,
        sep_token=bpe.END,
        mask_token=bpe.MASK,
    )
