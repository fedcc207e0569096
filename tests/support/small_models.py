"""Small trained classifiers in every format, made once a process: good and bad reviews from a dozen words."""

from __future__ import annotations

import atexit
import random
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from modelyard.methods import networks, preprocessing
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.preprocessing import bpe, ngrams, tokens
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard

LABELS = ("bad", "good")
WORDS = {
    "bad": ["awful", "broken", "差", "很差", "失望", "slow"],
    "good": ["great", "clean", "好", "很好", "满意", "fast"],
    "": ["the", "room", "hotel", "的", "房间", "酒店", "and", "was", "very", "手机"],
}
MAX_LENGTH = 48


@cache
def root() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="small-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def rows(count: int = 400, seed: int = 0) -> tuple[tuple[str, str], ...]:
    """(text, label), of 1 to 40 words; about two in five words tell, and of those one in ten tells wrong."""
    generator, made = random.Random(seed), []
    for _ in range(count):
        label = generator.choice(LABELS)
        other = LABELS[1 - LABELS.index(label)]
        kinds = generator.choices([label, other, ""], [0.4, 0.04, 0.6], k=generator.choice([1, 3, 8, 20, 40]))
        made.append((" ".join(generator.choice(WORDS[kind]) for kind in kinds), label))
    return tuple(made)


def divided(folder: Path) -> Path:
    """A data set of 120 training and 120 test rows, with row ids `train0` and so on."""
    names = ("row_id", "text", "label")
    write_schema(folder, [Column("row_id", "other", "string"), *(Column(name, name, "string") for name in names[1:])])
    schema = pa.schema([(name, pa.string()) for name in names])
    for split, seed in (("train", 0), ("test", 5)):
        made = rows(120, seed)
        columns = ([f"{split}{place}" for place in range(120)], [row[0] for row in made], [row[1] for row in made])
        write_split(folder, split, [pa.table(dict(zip(names, columns, strict=True)))], schema)
    return folder


def texts(count: int = 64, seed: int = 1) -> list[str]:
    return [text for text, _ in rows(count, seed)]


def records(count: int = 64, seed: int = 1) -> list[dict[str, str]]:
    return [{"text": text} for text in texts(count, seed)]


@cache
def dataset() -> Path:
    """A data set with train and validation."""
    folder = root() / "data"
    folder.mkdir()
    names = ("row_id", "text", "label")
    write_schema(folder, [Column("row_id", "other", "string"), *(Column(name, name, "string") for name in names[1:])])
    schema = pa.schema([(name, pa.string()) for name in names])
    for split, seed in (("train", 0), ("validation", 2)):
        made = rows(400, seed)
        columns = ([str(index) for index in range(len(made))], [row[0] for row in made], [row[1] for row in made])
        write_split(folder, split, [pa.table(dict(zip(names, columns, strict=True)))], schema)
    return folder


def tokenizer() -> Any:
    return tokens.wrap(bpe.learn([text for text, _ in rows()], 400), MAX_LENGTH, 0)


def train(module: torch.nn.Module, encoder: Any, steps: int, rate: float) -> None:
    """A few steps, enough that most answers are sure."""
    torch.manual_seed(0)
    optimizer = torch.optim.AdamW(module.parameters(), lr=rate)
    made = rows()
    for step in range(steps):
        batch = [made[(step * 32 + offset) % len(made)] for offset in range(32)]
        arrays = encoder.encode([text for text, _ in batch])
        output = module(**{name: torch.from_numpy(array) for name, array in arrays.items()})
        logits = output if isinstance(output, torch.Tensor) else output.logits
        wanted = torch.tensor([LABELS.index(label) for _, label in batch])
        torch.nn.functional.cross_entropy(logits, wanted).backward()
        optimizer.step()
        optimizer.zero_grad()


def card(format: str, spec: dict[str, Any], network: dict[str, Any] | None = None, **values: Any) -> ModelCard:
    return ModelCard("text-classification", format, LABELS, spec, network or {}, **values)


@cache
def huggingface() -> Path:
    """Format `hf`: a BERT of two layers and 32 units."""
    from transformers import BertConfig, BertForSequenceClassification

    folder = root() / "hf"
    folder.mkdir()
    encoder = tokenizer()
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=encoder.tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    module = BertForSequenceClassification(config)
    train(module, encoder, 60, 3e-3)
    module.eval().save_pretrained(folder)
    encoder.tokenizer.save(str(folder / "tokenizer.json"))
    card("hf", encoder.spec()).write(folder)
    write_golden(folder, records(8))
    return folder


@cache
def ours(kind: str) -> Path:
    """Format `modelyard`: `linear`, `cnn` or a `blend` of both."""
    folder = root() / kind
    folder.mkdir()
    words = ngrams.fit([text for text, _ in rows()])
    encoder = tokenizer()
    specs: dict[str, dict[str, Any]] = {
        "linear": {"kind": "linear", "num_features": words.num_features, "num_labels": 2},
        "cnn": {
            "kind": "cnn",
            "vocabulary_size": encoder.tokenizer.get_vocab_size(),
            "num_labels": 2,
            "embedding": 24,
            "filters": 16,
            "widths": [2, 3],
        },
    }
    specs["blend"] = {"kind": "blend", "children": [specs["linear"], specs["cnn"]], "weights": [0.5, 0.7]}
    encoder.tokenizer.save(str(folder / "tokenizer.json"))
    parts = {"linear": words.save(folder), "cnn": encoder.spec()}
    spec = parts.get(kind) or {"kind": "union", "parts": list(parts.values())}
    torch.manual_seed(0)
    module = networks.build(specs[kind])
    train(module, preprocessing.load(folder, spec), 60, 1e-2)
    networks.save(module, folder)
    card("modelyard", spec, specs[kind]).write(folder)
    write_golden(folder, records(8))
    return folder


@cache
def source(name: str) -> Path:
    return huggingface() if name == "hf" else ours(name)


@cache
def exported(name: str, engine: str) -> Path:
    """The fp32 model in format `onnx` or `openvino`."""
    from modelyard.methods.export import onnx, openvino

    folder, target = source(name), root() / f"{name}-{engine}"
    target.mkdir()
    origin = ModelCard.read(folder)
    encoder = preprocessing.load(folder, origin.preprocessing)
    batches = [encoder.encode(texts(count)) for count in (1, 7)]
    if engine == "onnx":
        onnx.export(folder, origin, target, batches)
    else:
        openvino.export(exported(name, "onnx") / "model.onnx", target, batches)
    copy_preprocessing(folder, target)
    card(engine, dict(origin.preprocessing)).write(target)
    return target


@cache
def int8(name: str, engine: str) -> Path:
    from modelyard.methods.compression.int8 import Recipe, quantise

    target, scratch = root() / f"{name}-{engine}-int8", root() / f"{name}-{engine}-scratch"
    target.mkdir()
    scratch.mkdir()
    train_texts = [text for text, _ in rows()][:100]
    quantise(source(name), target, train_texts, texts(200, 2), Recipe(engine=engine), scratch)  # type: ignore[arg-type]
    write_golden(target, records(8))
    return target


def copy_preprocessing(folder: Path, target: Path) -> None:
    for file in ("tokenizer.json", "ngrams.json", "ngrams.safetensors"):
        if (folder / file).exists():
            shutil.copyfile(folder / file, target / file)


def scores(answers: list[Any]) -> Any:
    """[records, labels]."""
    return np.array([list(answer.scores.values()) for answer in answers])
