"""Run by tests in a process of its own: trains language models straight through, and with kill -9 at random moments.

    python kill_language.py FOLDER SEED job:kills …

A job is `language_model`, `instruct` (with an adapter) or `preference`. Prints one JSON line a job: digests of both
model folders, measurements, and how many runs were killed.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))

import peft.tuners.lora  # noqa: F401
import transformers  # noqa: F401
from support.fake_context import FakeContext
from support.killing import compare, tell_all
from support.tiny_language import SHAPE, stories, tiny_model, write_columns, write_texts

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


def compared(folder: Path, job: str, kills: int, draw: random.Random) -> dict[str, Any]:
    inputs = write_inputs(job, folder / job)
    run, settings = config(job)

    def train(root: Path) -> list[list[Any]]:
        context = FakeContext(root, inputs, seed=3)
        run(settings, context)
        return [[one.claim, one.value] for one in context.measurements]

    return compare(folder / job, train, kills, (0.1, 0.9), draw)


if __name__ == "__main__":
    tell_all("job", compared)
