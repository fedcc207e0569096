"""Training from shares of classes, and from texts that change in every epoch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from support.divided import divided
from support.fake_context import FakeContext

from modelyard.methods.data.augmentation.text import TextChanges
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import batching, classification, loop, neural, objectives
from modelyard.methods.training.candidates import Examples
from modelyard.methods.training.rows import read_splits
from modelyard.stages.train.text_classification import Config, run

CPU = torch.device("cpu")
TEXTS = ["the food was good", "the food was bad", "nice and quick delivery", "poor and slow delivery"] * 6
LABELS = ["pos", "neg"] * 12


def rows_of(texts: list[str]) -> tuple[tokens.Tokens, batching.Rows, Examples]:
    reader = tokens.wrap(bpe.learn(texts, 300), 32, 0)
    labels = np.arange(len(texts), dtype=np.int64) % 2
    names = [f"r{place}" for place in range(len(texts))]
    examples = Examples(texts, labels, names, np.ones(len(texts), np.float32))
    return reader, batching.token_rows(reader.ids(texts), 0, labels, names), examples


def test_shares_that_are_all_on_one_class_are_that_label() -> None:
    torch.manual_seed(0)
    logits, labels, weights = torch.randn(20, 3), torch.arange(20) % 3, torch.rand(20)
    shares = torch.nn.functional.one_hot(labels, 3).float()
    for smoothing in (0.0, 0.1):
        plain = objectives.cross_entropy(logits, labels, weights, smoothing)
        torch.testing.assert_close(objectives.soft_cross_entropy(logits, shares, weights, smoothing), plain)


def test_shares_are_learned_as_torch_itself_learns_them() -> None:
    torch.manual_seed(0)
    logits, shares = torch.randn(20, 3), torch.softmax(torch.randn(20, 3), 1)
    wanted = torch.nn.functional.cross_entropy(logits, shares, reduction="sum", label_smoothing=0.1)
    torch.testing.assert_close(objectives.soft_cross_entropy(logits, shares, torch.ones(20), 0.1), wanted)


def soft_data(path: Path) -> Path:
    shares = [json.dumps({"pos": 0.7, "neg": 0.3} if label == "pos" else {"neg": 1.0}) for label in LABELS]
    shares[1] = None
    columns = {"text": ("text", pa.array(TEXTS)), "label": ("label", pa.array(LABELS))}
    return divided(path, {**columns, "votes": ("soft_label", pa.array(shares))}, validation=8)


def test_soft_labels_of_a_data_set_reach_training(tmp_path: Path) -> None:
    training, validation, labels, notes = read_splits(Dataset.open(soft_data(tmp_path)))
    assert labels == ["neg", "pos"]
    assert training.soft is not None
    np.testing.assert_allclose(training.soft[:3], [[0.3, 0.7], [1, 0], [0.3, 0.7]])
    assert validation.soft is None
    assert notes == ["8 training rows have shares of several classes, which networks learn from"]


def test_a_network_that_learns_shares_answers_shares(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, {"data": soft_data(tmp_path / "in")})
    config = Config(size="cnn", epochs=60, regularization={"dropout": 0.0}, early_stopping={"metric": "loss"})
    run(config, context)
    from modelyard.methods.runtimes import load

    predictor = load(tmp_path / "outputs" / "model")
    score = predictor.predict([{"text": "the food was good"}])[0].scores["pos"]
    predictor.close()
    assert 0.5 < score < 0.9


def test_texts_change_in_every_epoch_by_row_and_seed_alone() -> None:
    reader, rows, examples = rows_of(TEXTS)
    renew = neural.renewal(reader, examples, TextChanges(0.5), seed=0)
    assert renew is not None
    assert neural.renewal(reader, examples, None, seed=0) is None
    chosen = np.array([0, 5, 9])
    first, again, later = renew(chosen, 0), renew(chosen, 0), renew(chosen, 1)
    values = [found.columns["input_ids"][0] for found in (first, again, later)]
    assert torch.equal(values[0], values[1])
    assert len(values[0]) != len(values[2]) or not torch.equal(values[0], values[2])
    alone = renew(np.array([5]), 0)
    middle = first.columns["input_ids"][0][first.starts[1] : first.starts[2]]
    assert torch.equal(middle, alone.columns["input_ids"][0])
    plan = loop.Plan(epochs=1, batch_size=3, learning_rate=0.1)
    feed = classification.RowFeed(rows, np.ones(len(rows), np.float32), plan, CPU, renew=renew)
    batch = feed.batch(chosen, 1)
    assert torch.equal(batch.inputs["input_ids"], later.batch(np.arange(3), CPU)["input_ids"])
    assert batch.targets["labels"].tolist() == [0, 1, 1]


@pytest.mark.parametrize("size", ["cnn"])
def test_training_with_changing_texts_ends_in_the_same_bytes(tmp_path: Path, size: str) -> None:
    columns = {"text": ("text", pa.array(TEXTS)), "label": ("label", pa.array(LABELS))}
    source = divided(tmp_path / "in", columns, validation=8)
    weights = []
    for name, augment in (("a", {"synonyms": 0.3}), ("b", {"synonyms": 0.3}), ("c", None)):
        context = FakeContext(tmp_path / name, {"data": source})
        run(Config(size=size, epochs=3, augment=augment), context)
        weights.append((tmp_path / name / "outputs" / "model" / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]
