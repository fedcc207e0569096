"""The command line is killed (kill -9) while a language model is updated: the next run goes on, to the same weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.tiny_language import stories

import modelyard

pytestmark = pytest.mark.proof
PROJECT = """
version: 1
project: known
steps:
  old: {uses: data.read, with: {path: old.jsonl, text: text}}
  parts: {uses: data.split}
  writer:
    uses: train.language_model
    with:
      model: {layers: 1, width: 16, heads: 2, key_value_heads: 1, dropout: 0.1}
      tokenizer: {kind: characters}
      context: 32
      batch_size: 4
      max_steps: 10
      compute: {threads: 1, device: cpu, precision: fp32}
  new: {uses: data.read, with: {path: new.jsonl, text: text}}
  fresh: {uses: data.split, in: {data: new}}
  further:
    uses: train.update
    in: {data: fresh, old: parts, model: writer}
    with:
      batch_size: 4
      max_steps: STEPS
      ADAPTER
      compute: {threads: 1, device: cpu, precision: fp32, checkpoint_seconds: 0, compile: "off"}
release: {model: further, rules: []}
"""
STEPS, SEEN, PATIENCE = 60, 5, 600.0
"""Steps of the update, the checkpoint after which it is killed, seconds to wait for that."""


def write(folder: Path, adapter: str) -> Path:
    folder.mkdir()
    for name, seed in (("old", 1), ("new", 5)):
        lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in stories(60, seed)]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "modelyard.yaml").write_text(PROJECT.replace("STEPS", str(STEPS)).replace("ADAPTER", adapter))
    return folder


def command(folder: Path, *more: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MODELYARD_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "modelyard", "run", *more], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip


def done(folder: Path, *more: str) -> str:
    process = command(folder, *more)
    told, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    return told


def newest(folder: Path) -> int:
    """The step of the newest checkpoint there is."""
    found = (folder / ".modelyard" / "scratch").rglob("[0-9]" * 9)
    return max((int(path.name) for path in found), default=0)


def outputs(folder: Path) -> dict[str, str]:
    return {
        run["step"]: run["outputs"][0]["digest"] for run in modelyard.runs(project=folder) if run["status"] == "done"
    }


@pytest.mark.parametrize("adapter", ["ewc: {strength: 5, rows: 10}", "adapter: {rank: 2, dropout: 0.1, base: nf4}"])
def test_an_update_whose_process_was_killed_ends_with_the_same_weights(tmp_path: Path, adapter: str) -> None:
    straight, killed = write(tmp_path / "straight", adapter), write(tmp_path / "killed", adapter)
    done(straight)
    done(killed, "--until", "writer")
    assert "writer" in outputs(killed)
    before = newest(killed)
    process = command(killed, "--quiet")
    deadline = time.monotonic() + PATIENCE
    while newest(killed) <= before + SEEN and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert "further" not in outputs(killed)
    reached = newest(killed)
    assert before + SEEN < reached < STEPS
    told = done(killed)
    assert "going on from step" in told
    assert outputs(killed) == outputs(straight)
