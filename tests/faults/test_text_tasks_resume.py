"""Text tasks whose training is stopped at any step go on from their last checkpoint and end with the same bytes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import small_texts
from support.fake_context import FakeContext

SPLITS = {"train": small_texts.labelled(80, 1), "validation": small_texts.labelled(20, 2)}
SETTINGS = {**small_texts.FAST, "epochs": 2, "compute": {"threads": 1, "device": "cpu", "checkpoint_seconds": 0}}


class Killed(BaseException):
    """Not an Exception: nothing may catch it on the way."""


class Killing(FakeContext):
    """Dies at a step."""

    def __init__(self, *given: Any, step: int = -1) -> None:
        super().__init__(*given)
        self.step = step

    def progress(self, done: int, total: int, what: str) -> None:
        if done == self.step:
            raise Killed
        super().progress(done, total, what)


def outputs(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "outputs" / "model").iterdir()}


MANY = {
    "tasks": {
        "topics": {"task": "text-multi-label", "column": "labels", "weight": 2},
        "names": {"task": "token-classification", "column": "spans", "weight": 1},
    }
}


@pytest.mark.parametrize(
    ("stage", "label"),
    [
        ("multi_label", "labels"),
        ("text_regression", "stars"),
        ("token_classification", "labels"),
        ("multitask", "labels"),
    ],
)
def test_a_killed_training_ends_with_the_same_bytes(tmp_path: Path, stage: str, label: str) -> None:
    module = importlib.import_module(f"modelyard.stages.train.{stage}")
    data = small_texts.write(tmp_path / "data", SPLITS, label)
    config = module.Config(**SETTINGS, **(MANY if stage == "multitask" else {}))
    run: Callable[..., None] = module.run
    whole = FakeContext(tmp_path / "whole", {"data": data})
    run(config, whole)
    for step in (3, 8):
        with pytest.raises(Killed):
            run(config, Killing(tmp_path / "killed", {"data": data}, step=step))
    last = FakeContext(tmp_path / "killed", {"data": data})
    run(config, last)
    assert any("going on from step" in line for line in last.said)
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "whole")
    assert [one.value for one in last.measurements] == [one.value for one in whole.measurements]
