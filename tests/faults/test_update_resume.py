"""An update that is killed goes on and ends with the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

from modelyard.stages.train import text_classification, update

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32", "checkpoint_seconds": 0}
SETTINGS = {
    "replay": 0.5,
    "ewc": {"strength": 5, "rows": 30},
    "distillation": {"weight": 0.5},
    "epochs": 3,
    "batch_size": 16,
    "compute": COMPUTE,
}


class Killed(BaseException):
    """Stands for a kill between two steps."""


class Mortal(FakeContext):
    """Dies when so much of a kind of work is done."""

    dies: tuple[str, int] | None = None

    def progress(self, done: int, total: int, what: str) -> None:
        if (what, done) == self.dies:
            raise Killed
        super().progress(done, total, what)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("old")
    old = write_dataset(root / "data", {"train": reviews(80, 1), "validation": reviews(30, 2)})
    settings = {"size": "cnn", "epochs": 2, "batch_size": 16, "reading": {"vocabulary_size": 400}, "compute": COMPUTE}
    text_classification.run(text_classification.Config(**settings), FakeContext(root, {"data": old}))
    new = write_dataset(root / "new", {"train": reviews(60, 5), "validation": reviews(30, 6)})
    return {"old": old, "data": new, "model": root / "outputs" / "model"}


def go_on(made: dict[str, Path], root: Path, dies: tuple[str, int] | None = None) -> dict[str, bytes]:
    context = Mortal(root, made)
    context.dies = dies
    update.run(update.Config(**SETTINGS), context)
    return {path.name: path.read_bytes() for path in (root / "outputs" / "model").iterdir()}


@pytest.mark.parametrize("moments", [(1,), (4,), (7,), (2, 5, 8), (19,)])
def test_stopping_after_any_step_changes_no_byte_of_the_model(
    made: dict[str, Path], tmp_path: Path, moments: tuple[int, ...]
) -> None:
    expected = go_on(made, tmp_path / "straight")
    for moment in moments:
        with pytest.raises(Killed):
            go_on(made, tmp_path / "killed", ("steps", moment))
    assert go_on(made, tmp_path / "killed") == expected


def test_the_stiffness_is_measured_once(made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelyard.methods.training.continual import updating

    with pytest.raises(Killed):
        go_on(made, tmp_path, ("steps", 3))
    monkeypatch.setattr(updating, "fisher_diagonal", lambda *given: pytest.fail("measured again"))
    go_on(made, tmp_path)
