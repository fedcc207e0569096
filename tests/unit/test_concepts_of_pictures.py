"""`evaluate.concepts` of image classifiers: pictures are examples, by file and by folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.fake_context import FakeContext
from test_train_image_classification import model, small, stripes, train, write_images

from modelyard.errors import InputError
from modelyard.stages.evaluate.concepts import Config, fingerprint, run

__all__ = ["small"]  # a fixture, asked for by its name


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("rows") / "data", {"train": stripes(60, 5), "test": stripes(60, 6)})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """`lying` pictures are a concept the classes differ by; `nothing` takes as many of both on each side."""
    folder = tmp_path / "shown"
    kinds: dict[str, list[bytes]] = {"lying": [], "standing": []}
    for image, label in stripes(48, 9):
        kinds[label].append(image)
    for label, images in kinds.items():
        (folder / label).mkdir(parents=True)
        for place, image in enumerate(images[:12]):
            (folder / label / f"{place}.png").write_bytes(image)
    mixed = [*kinds["lying"][12:], *kinds["standing"][12:]]
    (folder / "mixed").mkdir()
    for place, image in enumerate(mixed):
        (folder / "mixed" / f"{place}.PNG").write_bytes(image)
    named = [f"mixed/{place}.PNG" for place in range(24)]
    (folder / "lying" / "notes.txt").write_text("no picture")
    value = {
        "concepts": [
            {"name": "lying", "positive": "lying", "negative": "standing"},
            {"name": "nothing", "positive": named[::2], "negative": named[1::2]},
        ]
    }
    (folder / "concepts.json").write_text(json.dumps(value))
    return folder / "concepts.json"


def asked(root: Path, folder: Path, data: Path, file: Path) -> FakeContext:
    context = FakeContext(root, {"model": folder, "data": data})
    run(Config(concepts=str(file), rows=20, randoms=60, controls=5), context)
    return context


def measured(context: FakeContext) -> dict[tuple[str, str, str, str], Any]:
    return {
        (one.claim.removeprefix("concepts."), one.slice["concept"], one.slice["layer"], one.slice.get("class", "")): one
        for one in context.measurements
    }


def test_what_a_convolutional_network_tells_apart_is_found_in_its_maps_and_its_answers(
    tmp_path: Path, data: Path, file: Path
) -> None:
    train(tmp_path / "train", size="cnn", epochs=5)
    context = asked(tmp_path, model(tmp_path / "train"), data, file)
    found = measured(context)
    layers = list(dict.fromkeys(key[2] for key in found))
    assert len(layers) > 1
    assert layers[-1] == "last"
    sides = [int(layer.partition("x")[0]) for layer in layers[:-1]]
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 12
    assert found["probe_accuracy", "lying", "last", ""].value > 0.9
    assert found["probe_accuracy", "lying", "last", ""].n == 24
    assert found["tcav_score", "lying", "last", "lying"].value > 0.9
    assert found["tcav_score", "lying", "last", "standing"].value < 0.1
    assert found["tcav_p", "lying", "last", "lying"].value < 0.05
    assert found["probe_accuracy", "nothing", "last", ""].value < 0.8
    assert any("answers that follow lying: lying, standing" in line for line in context.said)


@pytest.mark.parametrize(("size", "layers"), [("vit", {"1", "last"}), ("resnet", {"3x3", "last"})])
def test_layers_of_the_libraries_networks_are_blocks_of_tokens_or_sizes_of_maps(
    size: str, layers: set[str], tmp_path: Path, small: None, data: Path, file: Path
) -> None:
    train(tmp_path / "train", size=size, epochs=1)
    found = measured(asked(tmp_path, model(tmp_path / "train"), data, file))
    assert {key[2] for key in found} >= layers
    assert all(0 <= one.value <= 1 for key, one in found.items() if key[0] != "selectivity")


@pytest.mark.parametrize(
    ("positive", "said"),
    [
        ("nowhere", "no picture that is there"),
        (["lying/0.png"] * 4 + ["lying/99.png"], "no picture that is there"),
        (["lying/0.png"] * 4 + ["two rows"], "no picture that is there"),
        (["lying/0.png"] * 4 + ["lying/notes.txt"], "no picture that is there"),
        ("few", "has 1 pictures on one side"),
    ],
)
def test_what_is_no_picture_is_named(
    positive: Any, said: str, tmp_path: Path, untrained: Path, data: Path, file: Path
) -> None:
    (file.parent / "few").mkdir()
    (file.parent / "few" / "0.png").write_bytes((file.parent / "lying" / "0.png").read_bytes())
    value = {"concepts": [{"name": "odd", "positive": positive, "negative": "standing"}]}
    file.write_text(json.dumps(value))
    with pytest.raises(InputError, match=said):
        asked(tmp_path, untrained, data, file)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("untrained")
    train(root, {"train": stripes(16, 1), "validation": stripes(8, 2)}, size="cnn", epochs=1)
    return model(root)


def test_a_changed_picture_asks_again(file: Path) -> None:
    config = Config(concepts=file.name)
    before = fingerprint(config, file.parent)
    (file.parent / "standing" / "3.png").write_bytes(b"other")
    after = fingerprint(config, file.parent)
    assert before != after
    (file.parent / "lying" / "notes.txt").write_text("still no picture")
    assert fingerprint(config, file.parent) == after
