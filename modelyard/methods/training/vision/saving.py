"""A trained image classifier as a model folder: ours, or one that transformers loads as it is."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from modelyard.base.canonical import canonical_json
from modelyard.methods import networks
from modelyard.methods.runtimes.golden import NUM_RECORDS, write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import image_classification
from modelyard.methods.training.vision.models import PROCESSOR
from modelyard.methods.training.vision.work import Classifier


def write_model(
    found: Classifier, folder: Path, labels: Sequence[str], provenance: Mapping[str, Any], licence: str
) -> None:
    """`model.json`, weights and golden answers. Equal models are equal bytes."""
    if found.network:
        networks.save(found.module, folder)
    else:
        _write_huggingface(found, folder, labels)
    card = ModelCard(
        task=image_classification.NAME,
        format="modelyard" if found.network else "hf",
        labels=tuple(labels),
        preprocessing=found.reading.spec(),
        network=dict(found.network),
        inputs={image_classification.FIELD: {"type": "bytes", "shape": []}},
        outputs={"scores": {"type": "float32", "shape": [len(labels)]}},
        provenance=dict(provenance),
        licence=licence,
    )
    card.write(folder)
    write_golden(folder, [record(pixels) for pixels in found.validation.pixels[:NUM_RECORDS]])


def record(pixels: Any) -> dict[str, str]:
    """Pixels as the network reads them, in a PNG file, which loses nothing."""
    file = io.BytesIO()
    Pillow.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(file, "PNG")
    return {image_classification.FIELD: base64.b64encode(file.getvalue()).decode("ascii")}


def _write_huggingface(found: Classifier, folder: Path, labels: Sequence[str]) -> None:
    """Configuration, weights, and the settings of an image processor that does what ours does."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    model, reading = found.module, found.reading
    model.config.id2label = dict(enumerate(labels))
    model.config.label2id = {label: place for place, label in enumerate(labels)}
    # Where it was loaded from is this machine's business.
    model.config._name_or_path = ""
    model.save_pretrained(folder)
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": reading.height, "width": reading.width},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(reading.mean),
        "image_std": list(reading.std),
    }
    (folder / PROCESSOR).write_bytes(canonical_json(processor) + b"\n")
