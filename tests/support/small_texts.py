"""Made-up texts with several labels, a number or marked spans, all of which can be learned; and a small base."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.dataset import Column, write_schema, write_split

WORDS = {"food": ["noodles", "面条"], "price": ["cheap", "便宜"], "service": ["waiter", "服务"]}
FILL = ["the", "today", "很", "was", "昨天", "and", "it", "酒店", "."]
NAMES = {"person": ["Ann Lee", "王小明", "Bob"], "place": ["Paris", "北京市", "New York"]}

FAST: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 16,
    "optimizer": {"learning_rate": 0.01},
    "reading": {"vocabulary_size": 400, "max_length": 32},
    "compute": {"threads": 1, "device": "cpu"},
}


def labelled(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows of `text`, `labels` (JSON), `stars` (a number) and `spans` (JSON)."""
    draw = random.Random(seed)
    return [_row(draw) for _ in range(count)]


def _row(draw: random.Random) -> dict[str, Any]:
    labels = [name for name in WORDS if draw.random() < 0.4]
    parts: list[tuple[str, str]] = [(draw.choice(FILL), "") for _ in range(draw.randint(2, 8))]
    parts += [(draw.choice(WORDS[name]), "") for name in labels]
    parts += [(draw.choice(names), kind) for kind, names in NAMES.items() if draw.random() < 0.7]
    draw.shuffle(parts)
    text, spans = "", []
    for word, kind in parts:
        text += " " * bool(text)
        if kind:
            spans.append({"start": len(text), "end": len(text) + len(word), "label": kind})
        text += word
    return {
        "text": text,
        "labels": json.dumps(labels),
        "stars": 100.0 + 10.0 * len(labels),
        "spans": json.dumps(spans, ensure_ascii=False),
    }


def write(
    folder: Path,
    splits: Mapping[str, Sequence[Mapping[str, Any]]],
    label: str = "labels",
    columns: Mapping[str, str] | None = None,
) -> Path:
    """A data set of such rows; `label` gets that role.

    Args:
        columns: Arrow types by name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    types = columns or {"text": "string", "labels": "string", "stars": "double", "spans": "string"}
    roles = {"text": "text", label: "label"}
    write_schema(
        folder,
        [*(Column(name, roles.get(name, "other"), kind) for name, kind in types.items()),
         Column("row_id", "other", "string")],
    )  # fmt: skip
    schema = pa.schema([*((name, pa.type_for_alias(kind)) for name, kind in types.items()), ("row_id", pa.string())])
    for split, rows in splits.items():
        values: dict[str, list[Any]] = {name: [row[name] for row in rows] for name in types}
        values["row_id"] = [f"{split}-{place}" for place in range(len(rows))]
        write_split(folder, split, [pa.table(values, schema=schema)], schema)
    return folder


def base(folder: Path, texts: Sequence[str], positions: int = 48) -> Path:
    """A Hugging Face folder with a random two-layer encoder that knows these texts' characters."""
    import torch
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from modelyard.methods.preprocessing import bpe

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe.learn(texts, 400),
        pad_token=bpe.PAD,
        unk_token=bpe.UNKNOWN,
        cls_token=bpe.START,
        sep_token=bpe.END,
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=positions,
    )
    folder.mkdir(parents=True)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
