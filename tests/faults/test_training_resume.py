"""A training that is killed, or whose checkpoints are damaged, goes on and ends with the same bits."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_reviews import reviews

from modelyard.base import files
from modelyard.methods import networks
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import batching, checkpoints, classification, loop, remembering
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import EarlyStopping, Ema, Keeping, Loss, Optimizer, Schedule

SCRIPT = Path(__file__).parents[1] / "support" / "kill_and_resume.py"
CPU = torch.device("cpu")


def kill_and_resume(folder: Path, seed: int, *sizes: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder), str(seed), *sizes],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def assert_equal_bytes(found: list[dict]) -> None:
    for one in found:
        assert "model.safetensors" in one["straight"]
        assert one["killed"] == one["straight"], one["size"]
        assert one["measured"][0] == one["measured"][1], one["size"]
    assert sum(one["hit"] for one in found) > 0, "every run ended before its kill: nothing was proved"


@pytest.mark.slow
def test_six_kills_at_random_moments_change_no_bit_of_the_model(tmp_path: Path) -> None:
    assert_equal_bytes(kill_and_resume(tmp_path, 7, "linear:1", "cnn:3", "encoder-tiny:2"))


@pytest.mark.proof
def test_twenty_four_kills_at_random_moments_change_no_bit_of_the_model(tmp_path: Path) -> None:
    assert_equal_bytes(kill_and_resume(tmp_path, 11, "linear:2", "cnn:5", "encoder-tiny:5", "blend:4"))
    assert_equal_bytes(kill_and_resume(tmp_path / "axes", 12, "cnn+muon:4", "encoder-tiny+lion:4"))


@pytest.fixture(scope="module")
def rows() -> tuple[int, batching.Rows, batching.Rows]:
    """Vocabulary size, 40 training rows and 20 validation rows."""
    splits = [reviews(40, 1), reviews(20, 2)]
    reader = tokens.wrap(bpe.learn([text for text, _ in splits[0]], 400), 32, 0)
    both = [
        batching.token_rows(
            reader.ids([text for text, _ in split]),
            0,
            np.array([label == "good" for _, label in split], np.int64),
            [str(position) for position in range(len(split))],
        )
        for split in splits
    ]
    return reader.tokenizer.get_vocab_size(), both[0], both[1]


class Stopped(Exception):
    """Stands for a kill between two steps."""


def train(rows, scratch: Path, stop_at: int | None = None, say=lambda line: None, optimizer="adamw", **settings):
    """Train a tiny CNN (dropout on, accumulation 2, 12 steps); returns its weights and the outcome."""

    def progress(done: int, total: int, what: str) -> None:
        if done == stop_at:
            raise Stopped

    vocabulary, training, validation = rows
    torch.manual_seed(5)
    spec = {
        "kind": "cnn",
        "vocabulary_size": vocabulary,
        "num_labels": 2,
        "embedding": 8,
        "filters": 4,
        "widths": [2, 3],
    }
    module = networks.build({**spec, "dropout": 0.3})
    plan = loop.Plan(
        epochs=4,
        batch_size=8,
        learning_rate=1e-2,
        accumulation=2,
        checkpoint_seconds=0,
        early_stopping=EarlyStopping(patience=0),
        optimizer=optimizer if isinstance(optimizer, Optimizer) else Optimizer(name=optimizer),
        **settings,
    )
    outcome = classification.train(module, training, validation, plan, CPU, scratch, Hooks(progress=progress, say=say))
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}, outcome


def assert_same(found, expected) -> None:
    assert all(torch.equal(found[0][name], expected[0][name]) for name in expected[0])
    assert found[1].history == expected[1].history
    assert found[1].metrics == expected[1].metrics
    assert np.array_equal(found[1].logits, expected[1].logits)


@pytest.mark.parametrize(
    ("optimizer", "moments"),
    [
        ("adamw", range(1, 13)),
        ("sgd", (2, 7, 12)),
        ("adafactor", (3, 8, 11)),
        ("lion", (1, 6, 10)),
        ("muon", (2, 5, 9)),
    ],
)
def test_stopping_after_any_step_changes_no_bit(rows, tmp_path: Path, optimizer: str, moments) -> None:
    expected = train(rows, tmp_path / "straight", optimizer=optimizer)
    assert expected[1].steps == 12
    for stop_at in moments:
        scratch = tmp_path / str(stop_at)
        with pytest.raises(Stopped):
            train(rows, scratch, stop_at, optimizer=optimizer)
        assert_same(train(rows, scratch, optimizer=optimizer), expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"ema": Ema(decay=0.9)},
        {"ema": Ema(decay=0.99, start="warmup"), "keep": Keeping(background=False)},
        {"optimizer": Optimizer(unfreeze=0.6, layer_decay=0.7)},
        {"schedule": Schedule(name="wsd", decay=0.5), "loss": Loss(name="focal"), "optimizer": Optimizer(name="muon")},
    ],
    ids=["ema", "ema-warmup", "unfreezing", "wsd-focal-muon"],
)
def test_stopping_in_the_middle_of_every_axis_changes_no_bit(rows, tmp_path: Path, settings) -> None:
    expected = train(rows, tmp_path / "straight", **settings)
    for stop_at in (1, 5, 8):
        scratch = tmp_path / str(stop_at)
        with pytest.raises(Stopped):
            train(rows, scratch, stop_at, **settings)
        assert_same(train(rows, scratch, **settings), expected)


@pytest.mark.proof
def test_a_compiled_run_that_was_stopped_ends_with_the_same_bits(rows, tmp_path: Path) -> None:
    expected = train(rows, tmp_path / "straight", compile="on")
    assert remembering.recall(tmp_path / "straight") == {"compile": True}
    torch.compiler.reset()
    with pytest.raises(Stopped):
        train(rows, tmp_path / "killed", 5, compile="on")
    torch.compiler.reset()
    assert_same(train(rows, tmp_path / "killed", compile="on"), expected)


def test_a_finished_training_run_again_trains_no_step(rows, tmp_path: Path) -> None:
    expected = train(rows, tmp_path)
    assert_same(train(rows, tmp_path, stop_at=1), expected)


@pytest.mark.parametrize("harm", ["truncate", "flip", "remove", "manifest"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(rows, tmp_path: Path, harm: str) -> None:
    expected = train(rows, tmp_path / "straight")
    scratch = tmp_path / "damaged"
    with pytest.raises(Stopped):
        train(rows, scratch, 8)
    newest = sorted(scratch.glob("0*"))[-1]
    damage(newest, harm)
    lines: list[str] = []
    assert_same(train(rows, scratch, say=lines.append), expected)
    assert any(newest.name in line for line in lines)


def damage(checkpoint: Path, harm: str) -> None:
    weights = checkpoint / "weights.safetensors"
    data = weights.read_bytes()
    if harm == "truncate":
        weights.write_bytes(data[:-1])
    elif harm == "flip":
        weights.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif harm == "remove":
        weights.unlink()
    else:
        (checkpoint / "manifest.json").write_text("{")


class Crash(BaseException):
    """Stands for a kill inside a file operation."""


def test_a_crash_at_any_file_operation_of_a_save_leaves_a_sound_checkpoint(tmp_path: Path, monkeypatch) -> None:
    def checkpoint(step: int) -> checkpoints.Checkpoint:
        return checkpoints.Checkpoint(step, {"weights": {"w": torch.full((3,), float(step))}}, {"value": step})

    operations = count_operations(monkeypatch, lambda: checkpoints.save(tmp_path / "count", checkpoint(1)))
    assert operations >= 5
    for number in range(operations + 3):
        folder = tmp_path / str(number)
        for step in (1, 2):
            checkpoints.save(folder, checkpoint(step))
        with monkeypatch.context() as patched:
            patched.setattr(files, "hook", crash_at(number))
            with contextlib.suppress(Crash):
                checkpoints.save(folder, checkpoint(3))
        lines: list[str] = []
        found = checkpoints.load(folder, lines.append)
        assert found is not None
        assert found.step in (2, 3)
        assert found.state["value"] == found.step
        assert torch.equal(found.tensors["weights"]["w"], torch.full((3,), float(found.step)))
        assert not lines
        checkpoints.save(folder, checkpoint(4))
        assert not list(folder.glob("tmp.*"))


def count_operations(monkeypatch, act) -> int:
    seen: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(files, "hook", lambda operation, path: seen.append(operation))
        act()
    return len(seen)


def crash_at(number: int):
    left = [number]

    def hook(operation: str, path: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Crash

    return hook


def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    for step in range(1, 6):
        checkpoints.save(tmp_path, checkpoints.Checkpoint(step, {"weights": {"w": torch.zeros(1)}}, {}))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["000000004", "000000005"]


def test_a_saved_tensor_is_a_copy_of_that_moment(tmp_path: Path) -> None:
    weights = torch.zeros(4)
    checkpoints.save(tmp_path, checkpoints.Checkpoint(1, {"weights": {"w": weights}}, {}))
    weights += 1
    found = checkpoints.load(tmp_path, lambda line: None)
    assert found is not None
    assert torch.equal(found.tensors["weights"]["w"], torch.zeros(4))
