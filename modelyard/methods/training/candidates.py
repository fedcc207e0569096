"""What every way of making a text classifier takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.methods.preprocessing.ngrams import Ngrams
from modelyard.methods.preprocessing.tokens import Tokens


@dataclass(frozen=True)
class Examples:
    """Labelled texts.

    Attributes:
        texts: as they are in the data.
        labels: [rows] int64, positions in the list of labels.
        names: row ids, for messages.
        weights: [rows] of each row in training; ones if the data has none.
        soft: [rows, classes] shares of each class where annotators differ (rows sum to 1); None: the label alone.
    """

    texts: Sequence[str]
    labels: NDArray[np.int64]
    names: Sequence[str]
    weights: NDArray[np.float32]
    soft: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True)
class Candidate:
    """A trained classifier that is not saved yet.

    Attributes:
        name: `linear`, `cnn`, `encoder`, `blend`, `base`.
        module: with its final weights, in evaluation mode.
        network: its spec for methods/networks.
        preprocessors: what it reads with, n-grams first.
        logits: [validation rows, classes].
        metrics: of these logits: accuracy, f1_macro, loss.
        details: choices made on the way, for the model's provenance; no times.
        huggingface: (model, tokenizer) of transformers if the folder is to be a Hugging Face one.
    """

    name: str
    module: torch.nn.Module
    network: Mapping[str, Any]
    preprocessors: tuple[Ngrams | Tokens, ...]
    logits: NDArray[np.float32]
    metrics: Mapping[str, float]
    details: Mapping[str, Any] = field(default_factory=dict)
    huggingface: tuple[Any, Any] | None = None

    @property
    def num_parameters(self) -> int:
        """Weights that were learned."""
        return sum(parameter.numel() for parameter in self.module.parameters())
