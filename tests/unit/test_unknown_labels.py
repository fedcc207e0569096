"""Test rows with labels the model does not know: every step that judges by label refuses them in the same words."""

from __future__ import annotations

import importlib
from pathlib import Path

import pyarrow as pa
import pytest

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.stages.train import text_classification
from tests.support.fake_context import FakeContext

COLUMNS = [
    Column("row_id", "other", "string"),
    Column("text", "text", "string"),
    Column("label", "label", "string"),
    Column("group", "group", "string"),
]


def rows(names: list[tuple[str, str]], split: str) -> pa.Table:
    values = [[f"{split}{place}" for place in range(len(names))], *map(list, zip(*names, strict=True))]
    return pa.table(dict(zip(("row_id", "text", "label"), values, strict=True)) | {"group": ["g"] * len(names)})


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("unknown")
    data = root / "data"
    data.mkdir()
    write_schema(data, COLUMNS)
    known = [(f"good food number {place}", "good") for place in range(20)]
    known += [(f"bad service number {place}", "bad") for place in range(20)]
    for split, names in (("train", known), ("validation", known), ("test", [*known, ("so so", "other")])):
        write_split(data, split, [rows(names, split)], schema_of(COLUMNS))
    context = FakeContext(root, {"data": data})
    text_classification.run(text_classification.Config(size="linear", compute={"threads": 1}), context)
    return {"data": data, "model": context.output("model")}


@pytest.mark.parametrize(
    ("stage", "settings"),
    [
        ("quality", {}),
        ("robustness", {}),
        ("explanation", {}),
        ("attacks", {}),
        ("maps", {}),
        ("membership", {}),
        ("uncertainty", {}),
        ("fairness", {"columns": ["group"]}),
    ],
)
def test_every_step_that_judges_refuses_labels_the_model_does_not_know(
    bound: dict[str, Path], tmp_path: Path, stage: str, settings: dict[str, object]
) -> None:
    module = importlib.import_module(f"modelyard.stages.evaluate.{stage}")
    with pytest.raises(InputError) as caught:
        module.run(module.Config(**settings), FakeContext(tmp_path, bound))
    assert "labels that the model does not know: `other` (1)" in caught.value.problems[0].found
    assert "`bad`, `good`" in caught.value.problems[0].expected
