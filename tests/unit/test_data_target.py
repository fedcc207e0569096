"""`target`: a label that is a quantity, from the file through the split."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data import read, split


def houses(folder: Path, extra: str = "") -> Path:
    lines = [f"{row % 7},{1000 + row * 1.5}" for row in range(200)]
    (folder / "houses.csv").write_text("rooms,price\n" + "\n".join(lines) + "\n" + extra)
    return folder


def test_a_target_is_read_as_a_number_and_split_at_random(tmp_path: Path) -> None:
    context = FakeContext(houses(tmp_path))
    read.run(read.Config(path="houses.csv", target="price"), context)
    data = Dataset.open(tmp_path / "outputs" / "data")
    assert [(one.role, one.type) for one in data.columns if one.name == "price"] == [("label", "double")]
    assert data.column("all", "price")[:2] == [1000.0, 1001.5]
    divided = FakeContext(tmp_path / "split", {"data": data.path})
    split.run(split.Config(validation=0.1, test=0.2), divided)
    # Every value is there once: divided by class, each would stay in train.
    assert divided.value("data.test_rows") == 40
    profile = json.loads((tmp_path / "split/outputs/data/train/profile.json").read_text())
    assert "labels" not in profile
    assert 1000 <= profile["target"]["quantiles"]["0.5"] <= 1300


def test_a_row_whose_target_is_no_number_is_rejected_and_kept(tmp_path: Path) -> None:
    context = FakeContext(houses(tmp_path, "3,cheap\n4,\n5,nan\n"))
    read.run(read.Config(path="houses.csv", target="price"), context)
    rejected = Dataset.open(tmp_path / "outputs" / "rejected").column("all", "reason")
    assert rejected == [
        "target is not a number: price: cheap",
        "no target: price",
        "target is not a finite number: price: nan",
    ]


def test_a_quantity_named_as_label_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="continuous") as caught:
        read.run(read.Config(path="houses.csv", label="price"), FakeContext(houses(tmp_path)))
    assert "`target`" in caught.value.problems[0].remedy


def test_a_target_stands_instead_of_a_label() -> None:
    with pytest.raises(ValidationError, match="instead of"):
        read.Config(path="houses.csv", target="price", label="rooms")
