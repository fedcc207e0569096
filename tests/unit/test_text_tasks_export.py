"""What quantising makes of further tasks on texts: several labels keep their thresholds, others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import small_texts
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.compression.int8 import Recipe, quantise
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.train import multi_label, text_regression

SPLITS = {"train": small_texts.labelled(80, 1), "validation": small_texts.labelled(30, 2)}
TEXTS = [row["text"] for row in SPLITS["validation"]]


def quantised(root: Path) -> Path:
    target, scratch = root / "int8", root / "work"
    target.mkdir()
    scratch.mkdir()
    model = root / "outputs" / "model"
    quantise(model, target, TEXTS, TEXTS, Recipe("onnx", "auto", True, 8, ()), scratch)
    return target


def test_several_labels_keep_their_thresholds_in_int8(tmp_path: Path) -> None:
    data = small_texts.write(tmp_path / "data", SPLITS)
    multi_label.run(multi_label.Config(**small_texts.FAST), FakeContext(tmp_path, {"data": data}))
    target = quantised(tmp_path)
    before, after = ModelCard.read(tmp_path / "outputs" / "model"), ModelCard.read(target)
    assert after.outputs["labels"]["thresholds"] == before.outputs["labels"]["thresholds"]
    answers = [
        [one.labels for one in runtimes.load(folder, threads=1).predict([{"text": text} for text in TEXTS])]
        for folder in (tmp_path / "outputs" / "model", target)
    ]
    assert sum(one == two for one, two in zip(*answers, strict=True)) >= 27


def test_a_number_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    data = small_texts.write(tmp_path / "data", SPLITS, "stars")
    config = text_regression.Config(**{**small_texts.FAST, "epochs": 1})
    text_regression.run(config, FakeContext(tmp_path, {"data": data}))
    with pytest.raises(InputError, match="text-regression cannot be quantised yet"):
        quantised(tmp_path)
    assert list((tmp_path / "int8").iterdir()) == []
