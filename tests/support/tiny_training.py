"""A loop over sixty tiny reviews, for tests of its axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from support.tiny_reviews import reviews

from modelyard.methods import networks
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import batching, classification, loop
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import EarlyStopping

CPU = torch.device("cpu")
ENCODER = {
    "kind": "encoder",
    "pooling": "model",
    "config": {
        "model_type": "bert",
        "vocab_size": 400,
        "num_labels": 2,
        "num_hidden_layers": 2,
        "hidden_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
    },
}


def plan(**settings: Any) -> loop.Plan:
    usual = {"epochs": 3, "batch_size": 8, "learning_rate": 1e-2, "early_stopping": EarlyStopping(patience=0)}
    return loop.Plan(**{**usual, **settings})


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def read() -> tuple[int, batching.Rows, batching.Rows]:
    """Vocabulary size, 40 training rows and 20 validation rows."""
    splits = [reviews(40, 1), reviews(20, 2)]
    reader = tokens.wrap(bpe.learn([text for text, _ in splits[0]], 400), 32, 0)
    rows = [
        batching.token_rows(
            reader.ids([text for text, _ in split]),
            0,
            np.array([label == "good" for _, label in split], np.int64),
            [f"row-{position}" for position in range(len(split))],
        )
        for split in splits
    ]
    return reader.tokenizer.get_vocab_size(), rows[0], rows[1]


def network(kind: str, vocabulary: int, dropout: float = 0.3) -> torch.nn.Module:
    torch.manual_seed(5)
    if kind == "encoder":
        settings = {**ENCODER["config"], "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
        return networks.build({**ENCODER, "config": settings})
    spec = {"kind": "cnn", "vocabulary_size": vocabulary, "num_labels": 2, "embedding": 8, "filters": 4}
    return networks.build({**spec, "widths": [2, 3], "dropout": dropout})


def make(
    scratch: Path,
    settings: loop.Plan,
    kind: str,
    hooks: Hooks | None = None,
    dropout: float = 0.3,
    wrap: Callable[[Any], Any] = lambda objective: objective,
) -> loop.Loop:
    """A loop that has not begun."""
    vocabulary, training, validation = read()
    feed = classification.RowFeed(training, training.weights, settings, CPU)
    objective = wrap(classification.CrossEntropy(settings.regularization.label_smoothing))
    scores = classification.ClassScores(validation, CPU)
    module = network(kind, vocabulary, dropout)
    return loop.Loop(module, feed, objective, scores, settings, CPU, scratch, hooks or Hooks())
