"""The bundled examples: small, licensed, and enough rows in test for the rules of their projects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.fake_context import FakeContext

from modelyard.stages.data import clean, read, split

EXAMPLES = Path(__file__).parents[2] / "examples"
STAGES: dict[str, Any] = {"data.read": read, "data.clean": clean, "data.split": split}


@pytest.mark.parametrize(
    ("name", "rows", "counts", "licence"),
    [
        ("reviews-zh", 10_000, (7_000, 1_000, 2_000), "MIT"),
        ("spam-en", 3_200, (2_238, 320, 640), "Creative Commons Zero"),
    ],
)
def test_an_example_is_read_cleaned_and_split_as_its_project_says(
    tmp_path: Path, name: str, rows: int, counts: tuple[int, int, int], licence: str
) -> None:
    folder = EXAMPLES / name
    assert sum(path.stat().st_size for path in folder.glob("*.csv")) < 2_500_000
    assert licence in (folder / "NOTICE").read_text(encoding="utf-8")
    steps = YAML(typ="safe").load(folder / "modelyard.yaml")["steps"]
    context, total = None, 0
    for number, step in enumerate(list(steps.values())[:3]):
        bound = {"data": context.output("data")} if context else {}
        context = FakeContext(tmp_path / str(number), bound, base=folder)
        stage = STAGES[step["uses"]]
        stage.run(stage.Config(**step.get("with", {})), context)
        total = total or int(context.value("data.rows"))
    assert context is not None
    assert total == rows
    assert tuple(context.value(f"data.{part}_rows") for part in ("train", "validation", "test")) == counts
    assert context.value("data.leakage_rate") == 0
    assert context.value("data.duplicate_rate") <= 0.01
