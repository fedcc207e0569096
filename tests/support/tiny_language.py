"""Small texts, documents and language models for tests that train; everything from fixed seeds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.preprocessing import lossless
from modelyard.methods.training.language import models
from modelyard.methods.training.language.settings import Architecture

NAMES, THINGS = ("Ada", "Ben", "小明", "小红"), ("tea", "rice", "苹果", "米饭", "soup")
SHAPE = {"layers": 2, "width": 32, "heads": 2, "key_value_heads": 1}


def stories(count: int, seed: int = 0) -> list[str]:
    """Texts of one to eight sentences that can be learned."""
    draw = random.Random(seed)
    return [
        " ".join(f"{draw.choice(NAMES)} likes {draw.choice(THINGS)}." for _ in range(draw.randint(1, 8)))
        for _ in range(count)
    ]


def write_columns(folder: Path, splits: dict[str, dict[str, Sequence[Any]]], text: str = "") -> Path:
    """A data set of string columns; `text` is the one that has that role."""
    names = list(next(iter(splits.values())))
    folder.mkdir(parents=True, exist_ok=True)
    roles = {name: "text" if name == text else "other" for name in names}
    write_schema(
        folder, [*(Column(name, roles[name], "string") for name in names), Column("row_id", "other", "string")]
    )
    schema = pa.schema([*((name, pa.string()) for name in names), ("row_id", pa.string())])
    for split, columns in splits.items():
        num = len(columns[names[0]])
        rows = {**columns, "row_id": [f"{split}-{place}" for place in range(num)]}
        write_split(folder, split, [pa.table(rows, schema)], schema)
    return folder


def write_texts(folder: Path, train: Sequence[str | None], validation: Sequence[str | None]) -> Path:
    return write_columns(folder, {"train": {"text": train}, "validation": {"text": validation}}, text="text")


def tiny_tokenizer(context: int = 64) -> Any:
    return models.fresh_tokenizer(lossless.characters([*NAMES, *THINGS, " likes.?"]), context)


def tiny_model(family: str = "llama", context: int = 64, seed: int = 0, **shape: Any) -> tuple[Any, Any]:
    """(model with fresh weights, tokenizer)."""
    tokenizer = tiny_tokenizer(context)
    config = models.configuration(Architecture(family=family, **{**SHAPE, **shape}), tokenizer, context)
    return models.fresh(config, seed, 1), tokenizer
