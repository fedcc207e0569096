"""A training that minds groups and is stopped after any step ends with the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.fake_context import FakeContext
from support.small_tables import people, write_table

from modelyard.methods.training.tables import boosted
from modelyard.stages.train import tabular

NET = {"kind": "ft_transformer", "epochs": 3, "batch_size": 32, "transformer": {"width": 8, "layers": 1, "heads": 2},
       "compute": {"threads": 1, "precision": "fp32", "device": "cpu", "checkpoint_seconds": 0},
       "early_stopping": {"patience": 0}}  # fmt: skip
TREES = {"trees": {"rounds": 20, "min_rows": 5}, "compute": {"threads": 1}}


class Stopped(Exception):
    """Stands for a kill."""


class StoppingContext(FakeContext):
    """Stops when training tells of so many steps."""

    stop_at = 0

    def progress(self, done: int, total: int, what: str) -> None:
        super().progress(done, total, what)
        if self.stop_at and what == "steps" and done == self.stop_at:
            raise Stopped


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def run(root: Path, data: Path, settings: dict, stop_at: int = 0) -> dict[str, bytes]:
    context = StoppingContext(root, {"data": data})
    context.stop_at = stop_at
    tabular.STAGE.run(tabular.Config.model_validate(settings), context)
    return files_of(root / "outputs/model")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("groups") / "data"
    return write_table(folder, {"train": people(200, 1), "validation": people(120, 2)})


@pytest.mark.parametrize("fairness", [
    {"kind": "group_dro", "columns": ["city"], "step_size": 0.5},
    {"kind": "gradient_reversal", "columns": ["city"], "strength": 2.0},
], ids=["group-dro", "gradient-reversal"])  # fmt: skip
def test_stopping_in_the_middle_changes_no_bit(data: Path, tmp_path: Path, fairness: dict) -> None:
    settings = {**NET, "fairness": fairness}
    expected = run(tmp_path / "straight", data, settings)
    plain = run(tmp_path / "plain", data, {**NET, "leave_out": ["city"]})
    assert expected["model.safetensors"] != plain["model.safetensors"]
    for stop_at in (1, 9, 16):
        with pytest.raises(Stopped):
            run(tmp_path / str(stop_at), data, settings, stop_at)
        assert run(tmp_path / str(stop_at), data, settings) == expected


def test_the_weights_of_groups_are_in_the_checkpoint(data: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    settings = {**NET, "fairness": {"kind": "group_dro", "columns": ["city"], "step_size": 0.5}}
    with pytest.raises(Stopped):
        run(tmp_path, data, settings, 9)
    newest = sorted((tmp_path / "scratch").rglob("objective.safetensors"))[-1]
    q = load_file(newest)["q"]
    assert q.shape == (6,)
    assert float(q.sum()) == pytest.approx(1)
    assert not torch.allclose(q, torch.full_like(q, 1 / 6))


def test_trees_of_a_mixture_that_were_grown_are_not_grown_again(data: Path, tmp_path: Path, monkeypatch) -> None:
    settings = {**TREES, "fairness": {"kind": "exponentiated_gradient", "columns": ["city"], "rounds": 4}}
    expected = run(tmp_path / "straight", data, settings)
    grow, grown = boosted.grow, []

    def counted(*arguments):
        grown.append(1)
        if len(grown) == 4:
            raise Stopped
        return grow(*arguments)

    monkeypatch.setattr(boosted, "grow", counted)
    with pytest.raises(Stopped):
        run(tmp_path / "killed", data, settings)
    before = len(list((tmp_path / "killed/scratch").rglob("fair/*.txt")))
    assert before == 3
    assert run(tmp_path / "killed", data, settings) == expected
    after = len(list((tmp_path / "killed/scratch").rglob("fair/*.txt")))
    assert after - before == len(grown) - 4
