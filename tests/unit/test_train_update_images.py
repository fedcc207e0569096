"""`train.update` and `evaluate.forgetting` on images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image as Pillow
from support.fake_context import FakeContext

from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.evaluate import forgetting
from modelyard.stages.train import image_classification, update

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32"}
QUICK: dict[str, Any] = {"epochs": 3, "batch_size": 16, "optimizer": {"learning_rate": 5e-3}, "compute": COMPUTE}


def images(count: int, seed: int, labels: tuple[str, ...]) -> list[tuple[bytes, str]]:
    """Noisy stripes, or a grey field for `plain`."""
    draw = np.random.default_rng(seed)
    found = []
    for place in range(count):
        label = labels[place % len(labels)]
        wave = 80 * np.sin(np.arange(12) * 2.0 + draw.uniform(0, 6))
        pattern = {"lying": wave[:, None], "standing": wave[None, :]}.get(label, np.zeros((1, 1)))
        pixels = 128 + pattern + draw.normal(0, 15, (12, 12))
        file = io.BytesIO()
        Pillow.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
        found.append((file.getvalue(), label))
    return found


def write(folder: Path, labels: tuple[str, ...], seed: int) -> Path:
    folder.mkdir(parents=True)
    columns = [("row_id", "other", "string"), ("image", "image", "binary"), ("label", "label", "string")]
    write_schema(folder, [Column(*one) for one in columns])
    schema = pa.schema([("row_id", pa.string()), ("image", pa.binary()), ("label", pa.string())])
    for place, (split, count) in enumerate({"train": 60, "validation": 30, "test": 30}.items()):
        given = images(count, seed + place, labels)
        ids = [f"{split}-{number}" for number in range(count)]
        table = pa.table([ids, [image for image, _ in given], [label for _, label in given]], schema=schema)
        write_split(folder, split, [table], schema)
    return folder


@pytest.mark.parametrize("size", ["cnn", "vit"])
def test_an_image_classifier_goes_on_and_its_forgetting_is_measured(tmp_path: Path, size: str) -> None:
    old = write(tmp_path / "old", ("lying", "standing"), 1)
    new = write(tmp_path / "new", ("lying", "plain"), 7)
    first = FakeContext(tmp_path / "first", {"data": old})
    image_classification.run(image_classification.Config(**QUICK, size=size), first)
    before = tmp_path / "first" / "outputs" / "model"
    second = FakeContext(tmp_path / "second", {"data": new, "old": old, "model": before})
    update.run(update.Config(**QUICK, ewc={"strength": 1, "rows": 20}, distillation={"weight": 0.5}), second)
    after = tmp_path / "second" / "outputs" / "model"
    card = ModelCard.read(after)
    assert card.labels == ("lying", "standing", "plain")
    assert card.provenance["details"]["replayed"] == 30
    runtimes.load(after, threads=1).close()
    third = FakeContext(tmp_path / "third", {"model": after, "before": before, "old": old, "data": new})
    forgetting.run(forgetting.Config(threads=1), third)
    assert third.value("forgetting.accuracy_gain") >= 0
    assert -1 <= third.value("forgetting.accuracy_drop") <= 1
