"""Small encoders and what they learn from, for tests that train; everything from fixed seeds."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
from support.tiny_language import stories, write_columns, write_texts

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import saving
from modelyard.methods.training.encoders import models
from modelyard.methods.training.encoders.settings import Architecture
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language.learning import Job
from modelyard.methods.training.settings import Compute

CPU = torch.device("cpu")
COMPUTE: dict[str, Any] = {"threads": 1, "device": "cpu", "precision": "fp32"}
SHAPE: dict[str, Any] = {"layers": 1, "width": 32, "heads": 2}
WORDS = ["tea", "rice", "soup", "bread", "fish", "milk", "corn", "egg"]


class Stopped(Exception):
    """Stands for a kill between two steps."""


def job(scratch: Path, stop_at: int | None = None) -> Job:
    def progress(done: int, total: int, what: str) -> None:
        if what == "steps" and done == stop_at:
            raise Stopped

    return Job(CPU, "fp32", 1, Compute(checkpoint_seconds=0, compile="off"), 3, scratch, Hooks(progress=progress))


def tiny_tokenizer(length: int = 32) -> Any:
    made = bpe.learn(stories(200, 5), 320)
    return saving.huggingface_tokenizer(tokens.wrap(made, length, 0))


def tiny_encoder(family: str = "bert", kind: str = "AutoModelForMaskedLM", dropout: float = 0.0) -> tuple[Any, Any]:
    """(model with fresh weights, tokenizer)."""
    tokenizer = tiny_tokenizer()
    shape = Architecture(family=family, dropout=dropout, **SHAPE)
    return models.fresh(models.configuration(shape, tokenizer, 32), kind, 0, 1), tokenizer


def texts_data(folder: Path, train: int = 60) -> Dataset:
    return Dataset.open(write_texts(folder, stories(train, 1), stories(12, 2)))


def pairs_columns(count: int, seed: int, scored: bool = False) -> dict[str, list[str]]:
    """Pairs that share two words, or with scores, half of which share none."""
    draw = random.Random(seed)
    found: dict[str, list[str]] = {"text": [], "text_b": []}
    if scored:
        found["score"] = []
    for place in range(count):
        some = draw.sample(WORDS, 4)
        alike = not scored or place % 2 == 0
        found["text"].append(f"I like {some[0]} and {some[1]}")
        found["text_b"].append(f"{some[1]} {some[0]} please" if alike else f"{some[2]} {some[3]} please")
        if scored:
            found["score"].append("1" if alike else "0")
    return found


def reversed_columns(count: int, seed: int) -> dict[str, list[str]]:
    """Words and the same read backwards."""
    draw = random.Random(seed)
    words = ["".join(draw.choice("abcde") for _ in range(draw.randint(1, 4))) for _ in range(count)]
    return {"text": words, "answer": [word[::-1] for word in words]}


def write_pairs(folder: Path, **columns: Any) -> Path:
    return write_columns(folder, columns, text="text")
