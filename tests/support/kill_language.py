"""Run by tests in a process of its own: trains language models straight through, and with kill -9 at random moments.

    python kill_language.py FOLDER SEED job:kills …

A job is `language_model`, `instruct` (with an adapter) or `preference`. Prints one JSON line a job: digests of both
model folders, measurements, and how many runs were killed.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))

import peft.tuners.lora  # noqa: F401
import transformers  # noqa: F401
from support.fake_context import FakeContext
from support.tiny_language import SHAPE, stories, tiny_model, write_columns, write_texts

from modelyard.base.canonical import digest_file
from modelyard.methods.runtimes import generation  # noqa: F401
from modelyard.methods.training.language import chats, saving
from modelyard.methods.training.language.settings import Generation
from modelyard.stages.train import instruct, language_model, preference

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32", "checkpoint_seconds": 0}
QUICK: dict[str, Any] = {"batch_size": 4, "max_steps": 25, "compute": COMPUTE}
QUESTIONS = {"instruction": [f"{n} likes?" for n in ("Ada", "Ben") * 30], "output": ["tea.", "soup."] * 30}
PAIRS = {"prompt": ["Ada likes", "Ben"] * 30, "chosen": ["tea."] * 60, "rejected": ["soup."] * 60}


def config(job: str) -> tuple[Any, Any]:
    if job == "language_model":
        settings = {**QUICK, "model": {**SHAPE, "dropout": 0.1}, "tokenizer": {"kind": "characters"}, "context": 32}
        return language_model.run, language_model.Config(**settings)
    if job == "instruct":
        return instruct.run, instruct.Config(**QUICK, adapter={"rank": 4, "alpha": 8, "dropout": 0.1})
    return preference.run, preference.Config(**QUICK)


def write_inputs(job: str, folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True)
    if job == "language_model":
        return {"data": write_texts(folder / "data", stories(60, 1), stories(20, 2))}
    rows = QUESTIONS if job == "instruct" else PAIRS
    model, tokenizer = tiny_model()
    if job == "preference":
        chats.learn_to_chat(model, tokenizer)
    (folder / "base").mkdir()
    golden = [{"prompt": "Ada"}]
    saving.write_model(model, tokenizer, folder / "base", 64, Generation(), {}, "MIT", golden)
    return {"data": write_columns(folder / "data", {"train": rows, "validation": rows}), "base": folder / "base"}


def train(root: Path, inputs: dict[str, Path], job: str) -> None:
    shutil.rmtree(root / "outputs", ignore_errors=True)
    context = FakeContext(root, inputs, seed=3)
    run, settings = config(job)
    run(settings, context)
    measured = [[one.claim, one.value] for one in context.measurements]
    (root / "result.json").write_text(json.dumps(measured))


def child(root: Path, inputs: dict[str, Path], job: str) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            train(root, inputs, job)
            code = 0
        finally:
            os._exit(code)
    return pid


def finish(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise SystemExit(f"a run ended with status {status}")


def digests(root: Path) -> dict[str, str]:
    folder = root / "outputs" / "model"
    return {str(path.relative_to(folder)): digest_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def compare(folder: Path, job: str, kills: int, draw: random.Random) -> dict[str, object]:
    inputs = write_inputs(job, folder / job)
    straight, killed = folder / job / "straight", folder / job / "killed"
    straight.mkdir()
    killed.mkdir()
    began = time.monotonic()
    finish(child(straight, inputs, job))
    whole = time.monotonic() - began
    hit = 0
    for _ in range(kills):
        pid = child(killed, inputs, job)
        time.sleep(draw.uniform(0.1, 0.9) * whole)
        os.kill(pid, signal.SIGKILL)
        hit += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    finish(child(killed, inputs, job))
    measured = [json.loads((root / "result.json").read_text()) for root in (straight, killed)]
    return {"job": job, "straight": digests(straight), "killed": digests(killed), "measured": measured, "hit": hit}


if __name__ == "__main__":
    target, seed = Path(sys.argv[1]), int(sys.argv[2])
    for argument in sys.argv[3:]:
        name, count = argument.split(":")
        line = json.dumps(compare(target, name, int(count), random.Random(f"{seed}{name}")))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
