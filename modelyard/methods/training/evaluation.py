"""Answers and scores on validation rows while training. (What a release is judged by is measured elsewhere.)"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.methods.training.batching import RowBatches, by_length

EVALUATION_TOKENS = 8192
"""Padded tokens computed in one go."""


def logits_of(module: Any, rows: RowBatches, device: torch.device) -> NDArray[np.float32]:
    """[rows, classes] logits in the order of the rows, in fp32 and evaluation mode, as the predictor computes."""
    was_training = module.training
    module.eval()
    parts, places = [], []
    with torch.inference_mode():
        for batch in by_length(rows.lengths, EVALUATION_TOKENS):
            output = module(**rows.batch(batch, device))
            parts.append((output if isinstance(output, torch.Tensor) else output.logits).float().cpu().numpy())
            places.append(batch)
    module.train(was_training)
    logits = np.concatenate(parts)
    result = np.empty_like(logits)
    result[np.concatenate(places)] = logits
    return result


def log_softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    """Row-wise, in double precision."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return result


def scores(logits: NDArray[Any], labels: NDArray[np.int64]) -> dict[str, float]:
    """`accuracy`, `f1_macro` (over the classes that occur in labels or answers) and `loss` (mean cross-entropy)."""
    answers = logits.argmax(1)
    classes = logits.shape[1]
    hits = np.bincount(labels[answers == labels], minlength=classes)
    either = np.bincount(labels, minlength=classes) + np.bincount(answers, minlength=classes)
    f1 = 2 * hits[either > 0] / either[either > 0]
    loss = -log_softmax(logits)[np.arange(len(labels)), labels].mean()
    return {"accuracy": float((answers == labels).mean()), "f1_macro": float(f1.mean()), "loss": float(loss)}
