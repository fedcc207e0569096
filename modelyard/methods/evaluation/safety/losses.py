"""Losses of rows under a predictor: of the right label, or of a text's tokens in the mean."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation.measuring.examples import batched
from modelyard.methods.evaluation.measuring.judged import judged

Floats = NDArray[np.float64]
SMALLEST = 1e-12
"""Of a probability: scores are told in single precision."""


def rows_of(
    data: Dataset, split: str, task: str, labels: Sequence[str], most: int, seed: int
) -> tuple[list[Any], list[Any], int]:
    """Records and truths of a split, at most `most` at random, and how many rows cannot be judged.

    Raises InputError for labels that are none of `labels`, the model's.
    """
    examples = judged(data, split, task, labels)
    order = np.argsort(ranks(seed, "membership", examples.row_ids), kind="stable")[:most]
    places = sorted(int(place) for place in order)
    return examples.pick(places), [examples.truths[place] for place in places], len(examples.left_out)


def losses(
    predictor: Any, records: Sequence[Any], truths: Sequence[Any], rows: int, note: Callable[[int], None]
) -> Floats:
    """Of each row, [n].

    Raises:
        InputError: the model tells neither scores by label nor likelihoods.
    """
    found: list[float] = []
    if predictor.task == "text-generation":
        if not hasattr(predictor, "log_likelihood"):
            raise InputError(t("the model's runtime tells no likelihoods"), where="model")
        for batch in batched(iter(_texts(records, truths)), rows):
            found += [-one.log_probability / max(1, one.tokens) for one in predictor.log_likelihood(batch)]
            note(len(found))
        return np.array(found)
    for batch in batched(iter(records), rows):
        for answer, truth in zip(predictor.predict(batch), truths[len(found) : len(found) + len(batch)], strict=True):
            found.append(_loss(answer, truth))
        note(len(found))
    return np.array(found)


def _loss(answer: Any, truth: Any) -> float:
    scores = getattr(answer, "scores", None)
    if not isinstance(scores, dict) or isinstance(truth, list | tuple | set | frozenset):
        raise InputError(
            t("the model's answers tell no probability of the right answer"),
            where="model",
            expected=t("a classifier of one label, or a language model"),
        )
    return -math.log(max(float(scores.get(str(truth), 0.0)), SMALLEST))


def _texts(records: Sequence[Any], truths: Sequence[Any]) -> list[Any]:
    """With the answer that is wanted, where there is one."""
    return [
        record if truth.answer is None else {**record, "answer": truth.answer}
        for record, truth in zip(records, truths, strict=True)
    ]


def texts_of(data: Dataset, split: str, most: int, seed: int) -> list[str]:
    """Texts of a split, at most `most` at random, in the split's order."""
    name = data.need("text")
    table = data.table(split, [ROW_ID, name])
    ids, texts = (table.column(one).to_pylist() for one in (ROW_ID, name))
    order = np.argsort(ranks(seed, "memorization", [str(one) for one in ids]), kind="stable")
    kept = [int(place) for place in order if texts[place]][:most]
    return [str(texts[place]) for place in sorted(kept)]
