"""Masked language models: tokens hidden in turn, or masks that the data already has.

With a label, texts hold one mask and the label is what belongs there. Without one, tokens of each text are masked one
at a time (at most MOST a text, spread evenly) and the model is asked for each: accuracy among the first k, and
pseudo-perplexity (Salazar et al. 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.estimates import Estimate, as_json
from modelyard.methods.evaluation.means import ratio_interval
from modelyard.methods.evaluation.measuring.examples import Examples, Note, Reader, asked, batched, fields, quiet
from modelyard.methods.evaluation.measuring.family import Family, Plain, Shown
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.statistics.wilson import wilson

MOST = 32
MOST_CANDIDATES = 100
NOT_AMONG = 1 << 30


@dataclass(frozen=True)
class Places:
    """For each row, the places (from 1) of the right tokens among the candidates, and their log-probabilities.

    Attributes:
        log_probabilities: empty where only candidates are known.
    """

    ranks: tuple[tuple[int, ...], ...]
    log_probabilities: tuple[tuple[float, ...], ...]


class FillMask(Family):
    """A token for each mask."""

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        label, records = data.role("label"), fields(data, task)
        if label is None:
            return Reader(records, (), lambda row: "", t("a text"))
        return Reader(records, (label,), lambda row: None if row[label] is None else str(row[label]),
                      t("a text or a label"))  # fmt: skip

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Places:
        if examples.data.role("label") is not None:
            return _of_candidates(predictor, examples, settings, note)
        pseudo = getattr(predictor, "pseudo_likelihood", None)
        if pseudo is None:
            raise InputError(
                t("the model's runtime masks no tokens by itself"),
                where="data",
                expected=t("texts with a mask, and a label that says what belongs there"),
            )
        if not len(examples):
            list(asked(predictor, examples, settings.batch_rows, note))  # says that there are no rows
        found: list[Any] = []
        for records in batched(examples.records(), settings.batch_rows):
            found += pseudo(records, MOST)
            note(len(found), len(examples))
        return Places(tuple(one.ranks for one in found), tuple(one.log_probabilities for one in found))

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Plain:
        missing: dict[str, str] = {}
        found: list[Estimate] = []
        sizes = np.array([float(len(one)) for one in answers.ranks])
        n = int(sizes.sum())
        for k in settings.cutoffs if n else ():
            hits = np.array([float(sum(rank <= k for rank in one)) for one in answers.ranks])
            # One mask a text is a rate; several masks of one text hang together.
            rate = int(hits.sum()) if sizes.max() == 1 else None
            ends = wilson(rate, n) if rate is not None else ratio_interval(hits, sizes, seed, bounded=True)
            found.append(Estimate("mask_accuracy", float(hits.sum()) / n, ends, n, {"k": str(k)}))
        if answers.log_probabilities and n:
            losses = np.array([-math.fsum(one) for one in answers.log_probabilities])
            ends = ratio_interval(losses, sizes, seed)
            value = float(losses.sum() / sizes.sum())
            around = (math.exp(min(ends[0], 700)), math.exp(min(ends[1], 700))) if ends else None
            found.append(Estimate("pseudo_perplexity", math.exp(min(value, 700)), around, len(losses)))
        if not n:
            missing["mask_accuracy"] = "no token was scored"
        return Plain(answers, tuple(found), missing)

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        ranked = [
            {"name": one.name, "k": int(one.slice["k"]), **(as_json(one) or {})}
            for one in measured.estimates
            if one.name == "mask_accuracy"
        ]
        return {"ranked": ranked}

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        answers: Places = measured.answers
        told = [list(one) for one in answers.log_probabilities] or [[] for _ in answers.ranks]
        ranks = [[rank if rank < NOT_AMONG else None for rank in one] for one in answers.ranks]
        return pa.table(
            {
                "row_id": pa.array(examples.row_ids, pa.string()),
                "ranks": pa.array(ranks, pa.list_(pa.int64())),
                "log_probabilities": pa.array(told, pa.list_(pa.float64())),
            }
        )


def _of_candidates(predictor: Predictor, examples: Examples, settings: Measuring, note: Note) -> Places:
    """The place of the label among the candidates of the text's first mask."""
    most = min(MOST_CANDIDATES, max(settings.cutoffs))
    ranks: list[tuple[int, ...]] = []
    if not len(examples):
        list(asked(predictor, examples, settings.batch_rows, note))
    for records in batched(examples.records(), settings.batch_rows):
        for found in predictor.predict([{**record, "top_k": most} for record in records]):
            words = [one.token.strip() for one in found.candidates if getattr(one, "mask", 0) == 0]
            wanted = examples.truths[len(ranks)].strip()
            ranks.append((words.index(wanted) + 1 if wanted in words else NOT_AMONG,))
        note(len(ranks), len(examples))
    return Places(tuple(ranks), ())


FAMILY = FillMask()
