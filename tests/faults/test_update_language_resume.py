"""An update of a language model that is killed goes on and ends with the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.fake_context import FakeContext
from support.tiny_language import stories, write_texts

from modelyard.stages.train import language_model, update

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32", "checkpoint_seconds": 0}
QUICK: dict[str, Any] = {"batch_size": 4, "max_steps": 8, "compute": COMPUTE}
WAYS: dict[str, dict[str, Any]] = {
    "all weights": {"ewc": {"strength": 5, "rows": 10}, "distillation": {"weight": 0.5}},
    "adapter": {"ewc": {"strength": 5, "rows": 10}, "adapter": {"rank": 2, "dropout": 0.1}},
    "adapter beside 4 bits": {"adapter": {"rank": 2, "dropout": 0.1, "base": "nf4"}},
}


class Killed(BaseException):
    """Stands for a kill between two steps."""


class Mortal(FakeContext):
    """Dies when so many steps are done."""

    dies = -1

    def progress(self, done: int, total: int, what: str) -> None:
        if what == "steps" and done == self.dies:
            raise Killed
        super().progress(done, total, what)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("known")
    old = write_texts(root / "old", stories(30, 1), stories(10, 2))
    shape = {"layers": 1, "width": 16, "heads": 2, "key_value_heads": 1, "dropout": 0.1}
    settings = {"model": shape, "tokenizer": {"kind": "characters"}, "context": 32, **QUICK}
    language_model.run(language_model.Config(**settings), FakeContext(root / "model", {"data": old}))
    new = write_texts(root / "new", stories(30, 5), stories(10, 6))
    return {"old": old, "data": new, "model": root / "model" / "outputs" / "model"}


def go_on(made: dict[str, Path], root: Path, way: dict[str, Any], dies: int = -1) -> dict[str, bytes]:
    context = Mortal(root, made)
    context.dies = dies
    update.run(update.Config(**QUICK, **way), context)
    folder = root / "outputs" / "model"
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("moments", [(1,), (2, 5, 7)])
def test_stopping_after_any_step_changes_no_byte_of_the_model(
    made: dict[str, Path], tmp_path: Path, way: str, moments: tuple[int, ...]
) -> None:
    expected = go_on(made, tmp_path / "straight", WAYS[way])
    for moment in moments:
        with pytest.raises(Killed):
            go_on(made, tmp_path / "killed", WAYS[way], moment)
    assert go_on(made, tmp_path / "killed", WAYS[way]) == expected
