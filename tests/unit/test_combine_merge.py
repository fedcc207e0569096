"""The stage combine.merge: weights of several models into one; what does not fit is refused by name."""

from __future__ import annotations

import base64
import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file
from support import small_models
from support.fake_context import FakeContext
from support.pictures import picture
from support.tiny_language import stories, tiny_model, write_texts

from modelyard.errors import InputError
from modelyard.methods import networks, runtimes
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.preprocessing.image import Image
from modelyard.methods.runtimes.golden import check_golden, write_golden
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import find
from modelyard.methods.training.combining.soups import SCALES
from modelyard.methods.training.language import saving
from modelyard.methods.training.language.settings import Generation
from modelyard.stages.combine.merge import Config, run

WEIGHTS = "model.safetensors"


def merged(root: Path, models: Any, base: Path | None = None, data: bool | Path = True, **settings: Any) -> FakeContext:
    inputs: dict[str, Any] = {"models": list(models)}
    if data:
        inputs["data"] = small_models.dataset() if data is True else data
    if base:
        inputs["base"] = base
    context = FakeContext(root, inputs, seed=1)
    run(Config(threads=1, **settings), context)
    return context


def model(root: Path) -> Path:
    return root / "outputs" / "model"


def variant(source: Path, folder: Path, seed: int, spread: float = 0.02) -> Path:
    """The same model with noise on its weights: as if it had been trained on a little."""
    shutil.copytree(source, folder)
    draw = torch.Generator().manual_seed(seed)
    tensors = {
        name: value + spread * torch.randn(value.shape, generator=draw) if value.is_floating_point() else value
        for name, value in load_file(source / WEIGHTS).items()
    }
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


@cache
def variants(name: str) -> tuple[Path, ...]:
    source, root = small_models.source(name), small_models.root() / f"variants-{name}"
    return tuple(variant(source, root / str(seed), seed) for seed in (1, 2, 3))


@pytest.mark.parametrize("name", ["hf", "cnn", "linear"])
def test_a_soup_has_the_mean_weights_and_opens(tmp_path: Path, name: str) -> None:
    context = merged(tmp_path, variants(name))
    parts = [load_file(folder / WEIGHTS) for folder in variants(name)]
    for key, value in load_file(model(tmp_path) / WEIGHTS).items():
        wanted = sum(part[key].double() for part in parts) / 3
        torch.testing.assert_close(value.double(), wanted, atol=1e-6, rtol=1e-6)
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    assert ModelCard.read(model(tmp_path)).provenance["models"] == [manifest(one).digest for one in variants(name)]
    assert context.value("combine.validation_accuracy") > 0.7


def test_the_same_models_merge_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        merged(tmp_path / name, variants("cnn"))
    assert manifest(model(tmp_path / "a")).digest == manifest(model(tmp_path / "b")).digest


def test_a_greedy_soup_leaves_out_what_does_harm(tmp_path: Path) -> None:
    spoilt = variant(small_models.source("cnn"), tmp_path / "spoilt", 9, spread=3.0)
    context = merged(tmp_path, (spoilt, *variants("cnn")[:2]), method="greedy")
    taken = ModelCard.read(model(tmp_path)).provenance["details"]["taken"]
    assert 1 not in taken
    assert context.value("combine.loss_gain") >= 0
    assert any("left out" in line for line in context.said)


@pytest.mark.parametrize("method", ["task_arithmetic", "ties"])
@pytest.mark.parametrize("scale", ["auto", 0.5])
def test_methods_with_a_base_merge_differences(tmp_path: Path, method: str, scale: Any) -> None:
    context = merged(tmp_path, variants("cnn")[:2], small_models.source("cnn"), method=method, scale=scale)
    assert ModelCard.read(model(tmp_path)).provenance["details"]["scale"] in (SCALES if scale == "auto" else (scale,))
    assert context.value("combine.validation_accuracy") > 0.7
    if scale != "auto" and method == "task_arithmetic":
        base, one, two = (load_file(f / WEIGHTS) for f in (small_models.source("cnn"), *variants("cnn")[:2]))
        for key, value in load_file(model(tmp_path) / WEIGHTS).items():
            wanted = base[key] + 0.5 * (one[key] + two[key] - 2 * base[key])
            torch.testing.assert_close(value, wanted, atol=1e-5, rtol=1e-5)


def test_slerp_takes_two(tmp_path: Path) -> None:
    merged(tmp_path / "two", variants("hf")[:2], method="slerp", share=0.0)
    first = load_file(variants("hf")[0] / WEIGHTS)
    found = load_file(model(tmp_path / "two") / WEIGHTS)
    assert all(torch.allclose(found[name], first[name], atol=1e-6) for name in first)
    with pytest.raises(InputError, match="3 models"):
        merged(tmp_path / "three", variants("hf"), method="slerp")


def edited(tmp_path: Path, source: Path, **changes: Any) -> Path:
    folder = tmp_path / "edited"
    shutil.copytree(source, folder)
    value = json.loads((folder / "model.json").read_text()) | changes
    (folder / "model.json").write_text(json.dumps(value))
    return folder


def test_labels_in_another_order_are_refused(tmp_path: Path) -> None:
    other = edited(tmp_path, variants("hf")[1], labels=["good", "bad"])
    with pytest.raises(InputError, match="labels"):
        merged(tmp_path, (variants("hf")[0], other))


def test_another_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    other = edited(tmp_path, variants("hf")[1])
    path = other / "tokenizer.json"
    path.write_text(path.read_text().replace('"id": 0,', '"id":  0,', 1))
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        merged(tmp_path, (variants("hf")[0], other))


def test_tensors_of_other_shapes_are_named(tmp_path: Path) -> None:
    other = edited(tmp_path, variants("hf")[1])
    tensors = load_file(other / WEIGHTS)
    tensors["classifier.weight"] = tensors["classifier.weight"][:1].contiguous()
    save_file(tensors, other / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"classifier\.weight"):
        merged(tmp_path, (variants("hf")[0], other))


def test_tensors_that_one_lacks_are_named(tmp_path: Path) -> None:
    other = edited(tmp_path, variants("hf")[1])
    tensors = load_file(other / WEIGHTS)
    del tensors["classifier.bias"]
    save_file(tensors, other / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"classifier\.bias"):
        merged(tmp_path, (variants("hf")[0], other))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    other = edited(tmp_path, variants("cnn")[1])
    tensors = load_file(other / WEIGHTS)
    name = sorted(tensors)[0]
    tensors[name][0] = float("nan")
    save_file(tensors, other / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(InputError, match="not finite"):
        merged(tmp_path, (variants("cnn")[0], other))


@pytest.mark.parametrize(
    ("models", "settings", "words"),
    [
        (("cnn",), {}, "1 models"),
        (("cnn", "hf"), {}, "format|architecture|network"),
        (("cnn", "cnn"), {"method": "ties"}, "needs a base"),
    ],
)
def test_what_cannot_be_merged_is_refused(tmp_path: Path, models: Any, settings: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        merged(tmp_path, [small_models.source(name) for name in models], **settings)


def test_choosing_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no rows to choose by"):
        merged(tmp_path, variants("cnn"), data=False, method="greedy")
    merged(tmp_path, variants("cnn"), data=False)
    assert runtimes.load(model(tmp_path), threads=1).labels == small_models.LABELS


def test_language_models_merge_and_are_compared_by_their_loss_on_texts(tmp_path: Path) -> None:
    folders = []
    for seed in (0, 1):
        network, tokenizer = tiny_model(seed=seed)
        folder = tmp_path / f"model-{seed}"
        folder.mkdir()
        saving.write_model(network, tokenizer, folder, 64, Generation(), {}, "unknown", saving.prompts(stories(8)))
        folders.append(folder)
    data = write_texts(tmp_path / "data", stories(10), stories(12, 1))
    context = merged(tmp_path, folders, data=data, method="slerp")
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    assert 0 < context.value("combine.validation_loss") < 20
    assert "combine.validation_accuracy" not in {item.claim for item in context.measurements}


def write_images(folder: Path, images: list[bytes]) -> Path:
    folder.mkdir(parents=True)
    kinds = (("image", "image", "binary"), ("label", "label", "string"), ("row_id", "other", "string"))
    write_schema(folder, [Column(*kind) for kind in kinds])
    schema = pa.schema([("image", pa.binary()), ("label", pa.string()), ("row_id", pa.string())])
    labels = [("lying", "standing")[place % 2] for place in range(len(images))]
    for split in ("train", "validation"):
        ids = [f"{split}-{place}" for place in range(len(images))]
        table = pa.table({"image": images, "label": labels, "row_id": ids}, schema)
        write_split(folder, split, [table], schema)
    return folder


def test_statistics_of_batch_normalisation_are_measured_anew(tmp_path: Path) -> None:
    images = [picture(seed=seed, size=(12, 12)) for seed in range(64)]
    reading = Image(12, 12, 1, (0.5,), (0.25,))
    spec = {"kind": "image_cnn", "channels": 1, "num_labels": 2, "widths": [4, 8]}
    folders = []
    for seed in (0, 1):
        folders.append(tmp_path / str(seed))
        folders[-1].mkdir()
        torch.manual_seed(seed)
        networks.save(networks.build(spec).eval(), folders[-1])
        card = ModelCard("image-classification", "modelyard", ("lying", "standing"), reading.spec(), spec)
        card.write(folders[-1])
        write_golden(folders[-1], [{"image": base64.b64encode(image).decode()} for image in images[:2]])
    merged(tmp_path, folders, data=write_images(tmp_path / "data", images))
    found = load_file(model(tmp_path) / WEIGHTS)
    module = networks.build(spec)
    module.load_state_dict(found)
    values = find("image-classification").values([{"image": image} for image in images])
    with torch.no_grad():
        outputs = module.features[0](torch.from_numpy(reading.encode(values)["pixel_values"]))
    torch.testing.assert_close(found["features.1.running_mean"], outputs.mean((0, 2, 3)), atol=1e-4, rtol=1e-4)
    with pytest.raises(InputError, match="batch normalisation"):
        merged(tmp_path / "blind", folders, data=False)
