"""A network of several tasks as one model folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.methods import networks
from modelyard.methods.preprocessing.tokens import FILE
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import multitask
from modelyard.methods.tasks.text_classification import FIELD
from modelyard.methods.training.text_tasks.many import Trained


def write_model(
    found: Trained, folder: Path, provenance: Mapping[str, Any], licence: str, golden: Sequence[str]
) -> None:
    """`model.json`, weights, tokenizer and golden answers. Equal models are equal bytes.

    Args:
        golden: texts to make golden answers from.
    """
    found.body.tokens.tokenizer.save(str(folder / FILE))
    networks.save(found.body.module, folder)
    card = ModelCard(
        task=multitask.NAME,
        format="modelyard",
        labels=tuple(found.outputs),
        preprocessing=found.body.tokens.spec(),
        network=found.body.network,
        inputs={FIELD: {"type": "string", "shape": []}},
        outputs=found.outputs,
        provenance=dict(provenance),
        licence=licence,
    )
    card.write(folder)
    write_golden(folder, [{FIELD: text} for text in golden])
