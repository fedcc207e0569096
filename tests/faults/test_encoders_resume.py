"""Encoders that are killed after any step go on and end with the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.tiny_encoders import Stopped, job, pairs_columns, reversed_columns, texts_data, tiny_encoder, write_pairs

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing import lossless
from modelyard.methods.training.encoders import embedding, filling, models, pairs, rewriting, sequences
from modelyard.methods.training.encoders.settings import Rewriter
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import models as language_models
from modelyard.methods.training.language.learning import Learning
from modelyard.methods.training.settings import Optimizer

STEPS = 6
LEARNING = Learning(max_steps=STEPS, accumulation=2, evaluate_every=2, optimizer=Optimizer(learning_rate=1e-2))


def fill(folder: Path, scratch: Path, stop_at: int | None):
    model, tokenizer = tiny_encoder("bert", dropout=0.2)
    data = texts_data(folder / "texts", 16)
    return filling.fit(
        model, tokenizer, data, "text", filling.Settings(24, 4, learning=LEARNING), job(scratch, stop_at)
    )


def embed(folder: Path, scratch: Path, stop_at: int | None):
    model, tokenizer = tiny_encoder("roberta", embedding.KIND, dropout=0.2)
    columns = {split: pairs_columns(24, seed) for seed, split in enumerate(("train", "validation"))}
    data = Dataset.open(write_pairs(folder / "pairs", **columns))
    found = {split: pairs.read(data, split, pairs.Columns("text", "text_b"), Hooks()) for split in columns}
    return embedding.fit(model, tokenizer, found, embedding.Settings(32, 4, learning=LEARNING), job(scratch, stop_at))


def rewrite(folder: Path, scratch: Path, stop_at: int | None):
    columns = {split: reversed_columns(20, seed) for seed, split in enumerate(("train", "validation"))}
    data = Dataset.open(write_pairs(folder / "answers", **columns))
    tokenizer = language_models.fresh_tokenizer(lossless.characters(["abcde"]), 16)
    shape = rewriting.configuration(Rewriter(layers=1, width=32, heads=2, dropout=0.2), tokenizer, 17)
    model = models.fresh(shape, rewriting.KIND, 0, 1)
    settings = rewriting.Settings(16, 16, 4, smoothing=0.1, learning=LEARNING)
    rows = {split: sequences.read(data, split, "answer", Hooks()) for split in columns}
    encoded = {
        split: rewriting.encode(some, model, tokenizer, settings, split, Hooks()) for split, some in rows.items()
    }
    return rewriting.fit(model, encoded, settings, job(scratch, stop_at))


@pytest.mark.parametrize(("train", "moments"), [(fill, (1, 2, 3, 5)), (embed, (1, 4)), (rewrite, (2, 3, 5))])
def test_stopping_after_any_step_changes_no_bit(tmp_path: Path, train, moments) -> None:
    expected = train(tmp_path, tmp_path / "straight", None)
    assert expected.details["steps"] == STEPS
    for stop_at in moments:
        scratch = tmp_path / str(stop_at)
        with pytest.raises(Stopped):
            train(tmp_path, scratch, stop_at)
        found = train(tmp_path, scratch, None)
        ours, theirs = found.model.state_dict(), expected.model.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
        assert found.details == expected.details
