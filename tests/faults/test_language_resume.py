"""Language models that are killed at any step, or by kill -9, go on and end with the same bits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.tiny_language import stories, tiny_model, write_texts

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.training import checkpoints
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import fitting, preference, texts
from modelyard.methods.training.language.fitting import Beside
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.rows import Pair
from modelyard.methods.training.language.settings import Adapter
from modelyard.methods.training.settings import Compute, Optimizer

SCRIPT = Path(__file__).parents[1] / "support" / "kill_language.py"
CPU = torch.device("cpu")
STEPS = 6


class Stopped(Exception):
    """Stands for a kill between two steps."""


def job(scratch: Path, stop_at: int | None) -> Job:
    def progress(done: int, total: int, what: str) -> None:
        if what == "steps" and done == stop_at:
            raise Stopped

    return Job(CPU, "fp32", 1, Compute(checkpoint_seconds=0, compile="off"), 3, scratch, Hooks(progress=progress))


def learning(optimizer: str = "adamw") -> Learning:
    settings = Optimizer(name=optimizer, learning_rate=1e-2)
    return Learning(max_steps=STEPS, accumulation=2, evaluate_every=2, optimizer=settings)


def fit(data: Dataset, scratch: Path, stop_at: int | None = None, optimizer: str = "adamw", adapter: bool = False):
    """Two epochs and a bit over packed documents, dropout on."""
    model, tokenizer = tiny_model("gpt2", dropout=0.2)
    documents = [
        texts.documents(data, split, "text", tokenizer, scratch / "tokens") for split in ("train", "validation")
    ]
    beside = Beside(Adapter(rank=2, alpha=4, dropout=0.3)) if adapter else None
    settings = fitting.Settings(24, 4, learning=learning(optimizer), adapter=beside)
    done = fitting.fit(model, documents[0], documents[1], settings, job(scratch, stop_at))
    return {name: tensor.clone() for name, tensor in done.model.state_dict().items()}, done


def assert_same(found, expected) -> None:
    assert found[0].keys() == expected[0].keys()
    assert all(torch.equal(found[0][name], expected[0][name]) for name in expected[0])
    assert found[1].details == expected[1].details
    assert found[1].metrics == expected[1].metrics


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset.open(write_texts(tmp_path_factory.mktemp("data"), stories(16, 1), stories(4, 2)))


@pytest.mark.parametrize(
    ("settings", "moments"),
    [
        ({}, range(1, STEPS)),
        ({"adapter": True}, (1, 3, 5)),
        ({"optimizer": "muon"}, (2, 5)),
    ],
)
def test_stopping_after_any_step_changes_no_bit(data: Dataset, tmp_path: Path, settings, moments) -> None:
    expected = fit(data, tmp_path / "straight", **settings)
    assert expected[1].details["steps"] == STEPS
    assert expected[1].details["batches_an_epoch"] < 2 * STEPS, "it must cross an epoch's end"
    for stop_at in moments:
        scratch = tmp_path / str(stop_at)
        with pytest.raises(Stopped):
            fit(data, scratch, stop_at, **settings)
        assert_same(fit(data, scratch, **settings), expected)


def test_checkpoints_of_an_adapter_are_small(data: Dataset, tmp_path: Path) -> None:
    fit(data, tmp_path, adapter=True)
    found = checkpoints.load(tmp_path, lambda line: None)
    assert found is not None
    for part in ("weights", "best"):
        assert all("lora" in name for name in found.tensors[part])


def prefer(scratch: Path, stop_at: int | None = None):
    model, tokenizer = tiny_model(context=96)
    found = [
        Pair([{"role": "user", "content": "Ada"}], f"likes {'tea ' * size}", "soup", f"r{size}") for size in range(1, 8)
    ]
    pairs = preference.encode(found, tokenizer, 96, "cut", "train", Hooks())
    settings = preference.Settings(2, 0.1, 0.0, learning())
    done = preference.train(model, pairs, pairs, settings, job(scratch, stop_at))
    return {name: tensor.clone() for name, tensor in done.model.state_dict().items()}, done


def test_preference_tuning_stopped_after_any_step_changes_no_bit(tmp_path: Path) -> None:
    expected = prefer(tmp_path / "straight")
    for stop_at in (1, 3, 4):
        with pytest.raises(Stopped):
            prefer(tmp_path / str(stop_at), stop_at)
        assert_same(prefer(tmp_path / str(stop_at)), expected)


def kill(folder: Path, seed: int, *jobs: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(seed), *jobs],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def assert_equal_bytes(found: list[dict]) -> None:
    for one in found:
        assert "model.safetensors" in one["straight"]
        assert one["killed"] == one["straight"], one["job"]
        assert one["measured"][0] == one["measured"][1], one["job"]
    assert sum(one["hit"] for one in found) > 0, "every run ended before its kill: nothing was proved"


@pytest.mark.slow
def test_kills_at_random_moments_change_no_bit_of_a_language_model(tmp_path: Path) -> None:
    assert_equal_bytes(kill(tmp_path, 5, "language_model:3"))


@pytest.mark.proof
def test_twelve_kills_over_three_ways_of_training_change_no_bit(tmp_path: Path) -> None:
    assert_equal_bytes(kill(tmp_path, 9, "language_model:4", "instruct:4", "preference:4"))
