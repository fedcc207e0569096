"""The stage `train.image_classification`, preprocessing `image`, and the models through the predictor."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image as Pillow
from support.fake_context import FakeContext
from support.pictures import bomb, picture

from modelyard.base.canonical import digest_file
from modelyard.errors import InputError
from modelyard.methods import preprocessing, runtimes
from modelyard.methods.data.augmentation.images import ImageChanges
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.preprocessing.image import Image
from modelyard.methods.preprocessing.table import Placed
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.vision import models, rows
from modelyard.stages.train.image_classification import Config, fingerprint, run

FAST: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 16,
    "optimizer": {"learning_rate": 5e-3},
    "compute": {"threads": 1, "device": "cpu", "precision": "fp32"},
}


def stripes(count: int, seed: int, side: int = 12, colour: bool = False) -> list[tuple[bytes, str]]:
    """Images of noisy stripes, `lying` or `standing`."""
    draw = np.random.default_rng(seed)
    found = []
    for place in range(count):
        label = "lying" if place % 2 else "standing"
        shape = (side, side, 3) if colour else (side, side)
        wave = 80 * np.sin(np.arange(side) * 2.0 + draw.uniform(0, 6))
        pattern = wave[:, None] if label == "lying" else wave[None, :]
        pixels = 128 + (pattern[..., None] if colour else pattern) + draw.normal(0, 15, shape)
        file = io.BytesIO()
        Pillow.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
        found.append((file.getvalue(), label))
    return found


SPLITS = {"train": stripes(96, 1), "validation": stripes(40, 2)}


def write_images(folder: Path, splits: dict[str, list[tuple[bytes | None, str | None]]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    columns = [
        Column("row_id", "other", "string"),
        Column("image", "image", "binary"),
        Column("label", "label", "string"),
    ]
    write_schema(folder, columns)
    schema = pa.schema([("row_id", pa.string()), ("image", pa.binary()), ("label", pa.string())])
    for split, given in splits.items():
        ids = [f"{split}-{place}" for place in range(len(given))]
        table = pa.table([ids, [image for image, _ in given], [label for _, label in given]], schema=schema)
        write_split(folder, split, [table], schema)
    return folder


def train(root: Path, splits: Any = None, seed: int = 0, **settings: Any) -> FakeContext:
    context = FakeContext(root, {"data": write_images(root / "data", splits or SPLITS)}, seed=seed)
    run(Config(**{**FAST, **settings}), context)
    return context


def model(root: Path) -> Path:
    return root / "outputs" / "model"


def accuracy(root: Path) -> float:
    predictor = runtimes.load(model(root), threads=1)
    answers = predictor.predict([{"image": image} for image, _ in SPLITS["validation"]])
    return float(
        np.mean([answer.label == label for answer, (_, label) in zip(answers, SPLITS["validation"], strict=True)])
    )


@pytest.fixture
def small(monkeypatch) -> None:
    """Tiny versions of the library's families."""
    from transformers import MobileNetV2Config, ResNetConfig, ViTConfig

    def config(size: str, reading: Image, num_labels: int, dropout: float | None) -> Any:
        shared = {"num_channels": reading.channels, "num_labels": num_labels}
        if size == "resnet":
            return ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **shared)
        if size == "mobilenet":
            return MobileNetV2Config(depth_multiplier=0.25, image_size=reading.height, **shared)
        return ViTConfig(
            image_size=(reading.height, reading.width), patch_size=4, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=32, **shared,
        )  # fmt: skip

    monkeypatch.setattr(models, "_config", config)


@pytest.mark.parametrize(("size", "form"), [("cnn", "modelyard"), ("resnet", "hf"), ("vit", "hf"), ("mobilenet", "hf")])
def test_each_size_makes_a_model_that_answers_as_its_claim_says(
    tmp_path: Path, small: None, size: str, form: str
) -> None:
    context = train(tmp_path, size=size)
    card = ModelCard.read(model(tmp_path))
    assert (card.task, card.format, card.labels) == ("image-classification", form, ("lying", "standing"))
    reading = card.preprocessing
    assert (reading["height"], reading["width"], reading["channels"]) == (12, 12, 1)
    assert accuracy(tmp_path) == pytest.approx(context.value("train.validation_accuracy"), abs=1e-9)
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    records = [{"image": image} for image, _ in SPLITS["validation"]]
    together = predictor.predict(records)
    for record, answer in zip(records[:5], together, strict=False):
        assert predictor.predict([record])[0].scores == pytest.approx(answer.scores, abs=1e-5)
    if form == "hf":
        from transformers import AutoImageProcessor, AutoModelForImageClassification

        theirs = AutoModelForImageClassification.from_pretrained(model(tmp_path)).eval()
        assert theirs.config.id2label == {0: "lying", 1: "standing"}
        assert json.loads((model(tmp_path) / "preprocessor_config.json").read_text())["image_mean"] == reading["mean"]
        assert AutoImageProcessor is not None


def test_the_small_network_learns_stripes(tmp_path: Path) -> None:
    context = train(tmp_path, epochs=6)
    assert context.value("train.validation_accuracy") > 0.9


@pytest.mark.parametrize(
    ("settings", "optimizer", "rate"),
    [
        ({"size": "cnn"}, "muon", 0.012),
        ({"size": "vit"}, "adamw", 5e-4),
        ({"size": "cnn", "optimizer": {"name": "sgd"}}, "sgd", 0.4),
        ({"size": "cnn", "optimizer": {"learning_rate": 0.01}}, "adamw", 0.01),
    ],
)
def test_each_size_has_its_optimizer_unless_one_is_set(
    tmp_path: Path, small: None, settings: dict[str, Any], optimizer: str, rate: float
) -> None:
    train(tmp_path, **{"optimizer": None, "epochs": 1, **settings})
    details = ModelCard.read(model(tmp_path)).provenance["details"]
    assert (details["optimizer"], details["learning_rate"]) == (optimizer, pytest.approx(rate))


def test_the_defaults_of_the_small_network_learn_stripes(tmp_path: Path) -> None:
    context = train(tmp_path, optimizer=None, epochs=6)
    assert context.value("train.validation_accuracy") > 0.9
    assert ModelCard.read(model(tmp_path)).network["kind"] == "image_residual"


def test_a_killed_run_ends_with_the_same_bytes_and_augments_by_row_and_epoch(tmp_path: Path, monkeypatch) -> None:
    settings = {
        "augment": {"crop": 0.3, "flip": 0.5, "rotate": 20, "colour": 0.2, "erase": 0.5},
        "compute": {**FAST["compute"], "checkpoint_seconds": 0},
    }
    train(tmp_path / "straight", **settings)

    class Dying(FakeContext):
        def progress(self, done: int, total: int, what: str) -> None:
            if what == "steps" and done == 14:
                raise KeyboardInterrupt

    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        run(Config(**{**FAST, **settings}), Dying(killed, {"data": write_images(killed / "data", SPLITS)}))
    context = train(tmp_path / "killed", **settings)
    assert any("going on from step" in line for line in context.said)
    for path in model(tmp_path / "straight").iterdir():
        assert digest_file(path) == digest_file(model(tmp_path / "killed") / path.name), path.name
    train(tmp_path / "plain", augment=None)
    weights = "model.safetensors"
    assert digest_file(model(tmp_path / "plain") / weights) != digest_file(model(tmp_path / "straight") / weights)


def test_a_row_is_changed_alike_in_any_batch_and_otherwise_in_another_epoch() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 1, 8, 8), dtype=np.uint8)
    images = rows.Images(pixels, np.zeros(6, np.int64), [f"r{place}" for place in range(6)], np.ones(6, np.float32))
    read = rows.reader(images, Image(8, 8, 1, (0.5,), (0.2,)), ImageChanges(crop=0.4, flip=0.5, rotate=30), 3)
    first = read(np.array([4, 2, 0]), 1)["pixel_values"]
    torch.testing.assert_close(read(np.array([0, 4]), 1)["pixel_values"], first[[2, 0]])
    assert not torch.equal(read(np.array([4, 2, 0]), 2)["pixel_values"], first)
    as_is = read(np.array([4, 2, 0]), None)["pixel_values"]
    torch.testing.assert_close(as_is, torch.from_numpy((pixels[[4, 2, 0]] / np.float32(255) - 0.5) / 0.2).float())


def tiny_base(folder: Path) -> Path:
    """A ResNet folder of somebody else, for three classes and 16 pixels."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    config = ResNetConfig(
        num_channels=3, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=3
    )
    ResNetForImageClassification(config).save_pretrained(folder)
    processor = {"size": {"height": 16, "width": 16}, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.2, 0.3]}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.mark.parametrize("freeze", ["nothing", "encoder"])
def test_a_base_is_tuned_with_its_own_reading_and_what_is_frozen_stays(tmp_path: Path, freeze: str) -> None:
    from safetensors.torch import load_file

    base = tiny_base(tmp_path / "base")
    context = train(tmp_path, base="base", freeze=freeze)
    card = ModelCard.read(model(tmp_path))
    assert card.preprocessing["mean"] == [0.4, 0.5, 0.6]
    assert (card.preprocessing["height"], card.preprocessing["channels"]) == (16, 3)
    assert accuracy(tmp_path) == pytest.approx(context.value("train.validation_accuracy"), abs=1e-9)
    before, after = load_file(base / "model.safetensors"), load_file(model(tmp_path) / "model.safetensors")
    body = [name for name in before if name.startswith("resnet.")]
    # The running means of batch normalisation among them.
    assert all(torch.equal(before[name], after[name]) for name in body) == (freeze == "encoder")
    assert str(tmp_path) not in (model(tmp_path) / "config.json").read_text()


def test_the_fingerprint_of_a_base_follows_its_bytes(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    first = fingerprint(Config(base="base"), tmp_path)
    (base / "config.json").write_text((base / "config.json").read_text() + " ")
    assert fingerprint(Config(base="base"), tmp_path) != first
    assert fingerprint(Config(), tmp_path) == "scratch"


def test_bases_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(InputError, match="no config"):
        train(tmp_path, base="base")
    (tmp_path / "base" / "config.json").write_text('{"auto_map": {"AutoModel": "x.y"}, "model_type": "resnet"}')
    with pytest.raises(InputError, match="names code"):
        train(tmp_path, base="base")
    (tmp_path / "base" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="cannot load"):
        train(tmp_path, base="base")


def test_images_of_many_sizes_are_read_as_a_square_and_damaged_ones_are_said(tmp_path: Path) -> None:
    splits = {name: [*given, (picture("JPEG", (90, 70)), "lying")] for name, given in SPLITS.items()}
    splits["train"] += [(b"\x89PNG damaged", "lying"), (None, "lying")]
    context = train(tmp_path, splits, image_size=16)
    card = ModelCard.read(model(tmp_path))
    assert (card.preprocessing["height"], card.preprocessing["channels"]) == (16, 3)
    assert any("1 train images cannot be read" in line and "train-97" in line for line in context.said)
    assert card.provenance["rows"] == {"train": 97, "validation": 41}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": []}, "no train row"),
        ({"train": [(image, "lying") for image, _ in SPLITS["train"]]}, "all training rows have the label"),
        ({"train": [(b"x", label) for _, label in SPLITS["train"]]}, "no training image can be opened"),
        ({"validation": [(b"x", label) for _, label in SPLITS["validation"]]}, "no validation image can be read"),
    ],
)
def test_images_that_cannot_be_learned_from_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        train(tmp_path, {**SPLITS, **change})


def test_hostile_records_are_refused_with_their_place(tmp_path: Path) -> None:
    train(tmp_path, epochs=1)
    predictor = runtimes.load(model(tmp_path), threads=1)
    good = SPLITS["train"][0][0]
    text = base64.b64encode(good).decode()
    same = predictor.predict([{"image": good}, {"image": text}, {"image": f"data:image/png;base64,{text}"}])
    for other in same[1:]:
        assert other.scores == pytest.approx(dict(same[0].scores))
    many = [{"image": good}] * 30
    for bad, words in (
        ({"image": bomb(60_000, 60_000)}, "pixels"),
        ({"image": b"GIF89a" + bytes(20)}, "cannot be read"),
        ({"image": good[: len(good) // 2]}, "cannot be read"),
        ({"image": "no base64!"}, "has no image"),
        ({"image": b""}, "has no image"),
        ({"image": 3}, "has no image"),
        ({"text": "a"}, "has no image"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            predictor.predict([*many, bad])
        assert caught.value.problems[0].where.startswith("records[30]")


def test_reading_crops_the_middle_or_stretches_turns_by_exif_and_keeps_16_bits() -> None:
    wide = Pillow.fromarray(np.repeat(np.array([[0] * 8 + [200] * 8 + [100] * 8], np.uint8), 8, 0))
    file = io.BytesIO()
    wide.save(file, "PNG")
    crop = Image(8, 8, 1, (0.0,), (1.0,)).pixels(file.getvalue())
    assert (crop == 200).all()
    stretched = Image(8, 24, 1, (0.0,), (1.0,), "stretch").pixels(file.getvalue())
    assert set(np.unique(stretched)) == {0, 100, 200}
    exif = Pillow.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    wide.save(file, "PNG", exif=exif)
    assert Image(24, 8, 1, (0.0,), (1.0,)).pixels(file.getvalue())[0, 0, 0] == 0
    file = io.BytesIO()
    Pillow.fromarray(np.full((4, 4), 51_400, np.uint16)).save(file, "PNG")
    assert (Image(4, 4, 1, (0.0,), (1.0,)).pixels(file.getvalue()) == 200).all()


@pytest.mark.parametrize(
    "change", [{"channels": 2}, {"std": [0.0]}, {"mean": [0.1, 0.2]}, {"height": 10**6}, {"fit": "bend"}]
)
def test_settings_of_reading_that_are_not_possible_are_refused(tmp_path: Path, change: Any) -> None:
    spec = {**Image(8, 8, 1, (0.5,), (0.5,)).spec(), **change}
    with pytest.raises(InputError, match="do not fit"):
        preprocessing.load(tmp_path, spec)


def test_large_images_are_computed_few_at_a_time() -> None:
    assert Image(224, 224, 3, (0.5,) * 3, (0.5,) * 3).window < 64
    encoded = Image(8, 8, 1, (0.5,), (0.5,)).encode([Placed(0, picture())])
    assert encoded["pixel_values"].shape == (1, 1, 8, 8)
