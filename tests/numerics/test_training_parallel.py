"""Whatever the layout, the same steps: loss, length of the gradient and weights are those of one process."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import parallel_work

from modelyard.engine.launch import launch

TESTS = Path(__file__).parents[1]
TWO = {
    "data": ("bert", {"layout": "data"}),
    "shard": ("bert", {"layout": "shard"}),
    "tensor": ("bert", {"tensor": 2}),
    "pipeline": ("bert", {"pipeline": 2}),
    "shard, tied": ("qwen3-tied", {"shard": 2}),
    "tensor, partial gradients": ("qwen3-tied", {"tensor": 2}),
    "pipeline, tied": ("qwen3-tied", {"pipeline": 2, "schedule": "gpipe"}),
    "shard, lion": ("llama", {"shard": 2, "optimizer": "lion"}),
    "data, muon": ("llama", {"layout": "data", "optimizer": "muon"}),
    "data, 4 bits": ("qwen3-nf4", {"layout": "data"}),
    "shard, 4 bits": ("qwen3-nf4", {"shard": 2}),
    "pipeline, 4 bits": ("qwen3-nf4", {"pipeline": 2}),
}
FOUR = {
    "data": ("bert", {"layout": "data"}),
    "copies of shards": ("llama", {"data": 2, "shard": 2}),
    "shards of tensors": ("qwen3-tied", {"tensor": 2, "shard": 2}),
    "copies of tensors": ("bert", {"data": 2, "tensor": 2}),
    "copies of pipelines": ("bert", {"data": 2, "pipeline": 2}),
    "pipelines of tensors": ("qwen3-tied", {"tensor": 2, "pipeline": 2}),
}
LOOSE = {
    "bf16": ("bert", {"compression": "bf16"}),
    "powersgd": ("bert", {"compression": "powersgd", "rank": 2}),
    "local sgd": ("bert", {"synchronize_every": 2, "outer_rate": 1.0, "outer_momentum": 0.0}),
    "diloco": ("bert", {"synchronize_every": 3}),
}
CUT = ("powersgd", "diloco")
RESUMED = {name: LOOSE[name] for name in CUT} | {
    name: TWO[name] for name in ("data", "shard, tied", "pipeline, tied", "data, 4 bits")
}


def run(processes: int, jobs: list, folder: Path) -> dict:
    folder.mkdir(exist_ok=True)
    found = folder / "found.json"
    launch("support.parallel_work:work", {"jobs": jobs, "found": str(found)}, processes, folder)
    return json.loads(found.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("parallel")


@pytest.fixture(scope="module")
def two(folder):
    """One start of two processes does all the jobs for two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        jobs = [[name, *job, str(folder / f"2-{name}"), None] for name, job in {**TWO, **LOOSE}.items()]
        for name, job in RESUMED.items():
            jobs += [
                [f"{name}: {part}", *job, str(folder / f"r-{name}"), at] for part, at in (("first", 2), ("rest", None))
            ]
        jobs.append(["reshard", "qwen3-tied", {"shard": 2}, str(folder / "reshard"), 2])
        yield run(2, jobs, folder / "two")


@pytest.fixture(scope="module")
def four(folder, two):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        jobs = [[name, *job, str(folder / f"4-{name}"), None] for name, job in FOUR.items()]
        jobs.append(["reshard", "qwen3-tied", {"tensor": 2, "pipeline": 2}, str(folder / "reshard"), 4])
        yield run(4, jobs, folder / "four")


def alone(job, folder: Path) -> dict:
    kind, spec = job
    return parallel_work.train(kind, {name: spec[name] for name in spec if name == "optimizer"}, folder)


def assert_alike(found: dict, expected: dict, tolerance: float = 2e-5) -> None:
    for name in ("loss", "norm", "validation"):
        np.testing.assert_allclose(found[name], expected[name], rtol=tolerance, atol=tolerance, err_msg=name)
    np.testing.assert_allclose(found["weights"], expected["weights"], atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", TWO)
def test_two_processes_take_the_steps_of_one(name, two, tmp_path):
    assert_alike(two[name], alone(TWO[name], tmp_path))


@pytest.mark.proof
@pytest.mark.parametrize("name", FOUR)
def test_four_processes_take_the_steps_of_one(name, four, tmp_path):
    assert_alike(four[name], alone(FOUR[name], tmp_path))


@pytest.mark.slow
def test_gradients_in_bf16_lead_nearly_where_whole_ones_do(two, tmp_path):
    expected = alone(LOOSE["bf16"], tmp_path)
    np.testing.assert_allclose(two["bf16"]["loss"], expected["loss"], atol=5e-3)
    assert two["bf16"]["loss"] != expected["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["powersgd", "local sgd", "diloco"])
def test_what_travels_less_still_learns(name, two, tmp_path):
    expected = alone(LOOSE[name], tmp_path)
    assert two[name]["loss"][-1] < two[name]["loss"][0]
    assert two[name]["loss"] != expected["loss"]
    assert abs(two[name]["loss"][-1] - expected["loss"][-1]) < 0.2


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
def test_a_run_goes_on_in_the_same_layout_with_the_same_bits(name, two):
    whole, rest = two[name], two[f"{name}: rest"]
    assert rest["digest"] == whole["digest"]
    for curve in ("loss", "norm", "validation"):
        assert rest[curve] == whole[curve][-len(rest[curve]) :]
    assert 0 < len(rest["loss"]) < len(whole["loss"])
    assert not any("approximate" in line for line in two[f"{name}: rest"]["said"])


@pytest.mark.proof
def test_a_run_goes_on_in_other_layouts_and_says_so(four, two, folder, tmp_path):
    expected = parallel_work.train("qwen3-tied", {}, tmp_path)
    last = parallel_work.train("qwen3-tied", {}, folder / "reshard")
    losses = two["reshard"]["loss"] + four["reshard"]["loss"] + last["loss"]
    np.testing.assert_allclose(losses, expected["loss"], rtol=2e-5)
    np.testing.assert_allclose(last["weights"], expected["weights"], atol=2e-3)
    for part in (four["reshard"], last):
        assert any("approximate" in line for line in part["said"])
