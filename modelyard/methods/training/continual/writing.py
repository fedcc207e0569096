"""An updated model as a folder: the old one's reading files byte for byte, new weights, card and golden answers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.methods import networks
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import FILE, GOLDEN
from modelyard.methods.training.continual.lessons import Lesson
from modelyard.methods.training.continual.opening import Known
from modelyard.methods.training.continual.updating import Updated

MADE = (FILE, GOLDEN, "model.safetensors", "config.json")
"""Files that are written anew."""


def write_model(
    known: Known, updated: Updated, lesson: Lesson, folder: Path, provenance: Mapping[str, Any], licence: str
) -> None:
    """`model.json`, weights, what the model reads with, golden answers. Equal models are equal bytes."""
    for path in sorted(known.folder.iterdir()):
        if path.is_file() and path.name not in MADE:
            shutil.copyfile(path, folder / path.name)
    if known.card.format == "modelyard":
        networks.save(updated.module, folder)
    else:
        _write_huggingface(updated.module, folder, lesson.labels)
    outputs = {name: {**shape, "shape": [len(lesson.labels)]} for name, shape in known.card.outputs.items()}
    card = replace(
        known.card,
        labels=lesson.labels,
        network=dict(updated.network),
        outputs=outputs,
        provenance=dict(provenance),
        licence=licence,
        precision="fp32",
    )
    card.write(folder)
    write_golden(folder, lesson.records)


def _write_huggingface(module: Any, folder: Path, labels: tuple[str, ...]) -> None:
    from transformers.utils import logging

    logging.disable_progress_bar()
    module.config.id2label = dict(enumerate(labels))
    module.config.label2id = {label: place for place, label in enumerate(labels)}
    module.config._name_or_path = ""
    module.save_pretrained(folder)
