"""The model that is served: a 4-layer, 256-wide encoder classifier over a tokenizer learned from the reviews, in int8.

Its weights are random: speed depends on shapes and text lengths, not on what was learned.

    python make_model.py TARGET REVIEWS.csv
"""

from __future__ import annotations

import csv
import shutil
import sys
import tempfile
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from modelyard.methods.compression.int8 import Recipe, quantise
from modelyard.methods.preprocessing import bpe
from modelyard.methods.preprocessing.tokens import FILE
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard

VOCABULARY, MAX_LENGTH = 8000, 256


def texts_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as stream:
        return [row["text"] for row in csv.DictReader(stream) if row["text"].strip()]


def write_fp32(folder: Path, texts: list[str]) -> None:
    torch.manual_seed(0)
    tokenizer = bpe.learn(texts, VOCABULARY)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=MAX_LENGTH,
        id2label={0: "neg", 1: "pos"},
        label2id={"neg": 0, "pos": 1},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_LENGTH, pad_token=bpe.PAD)
    wrapped.save_pretrained(folder)
    preprocessing = {"kind": "tokens", "tokenizer": FILE, "max_length": MAX_LENGTH, "pad_id": 0, "max_chars": 16384}
    ModelCard("text-classification", "hf", ("neg", "pos"), preprocessing).write(folder)


def main() -> None:
    target, texts = Path(sys.argv[1]), texts_of(Path(sys.argv[2]))
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        for part in ("fp32", "scratch", "int8"):
            (work / part).mkdir()
        write_fp32(work / "fp32", texts)
        quantise(work / "fp32", work / "int8", texts[:128], [], Recipe(method="minmax"), work / "scratch")
        write_golden(work / "int8", [{"text": text} for text in texts[:8]])
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(work / "int8", target)


if __name__ == "__main__":
    main()
