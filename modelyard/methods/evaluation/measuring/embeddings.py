"""Sentence embeddings: pairs with a score are compared by rank, pairs that belong together are searched for.

Pairs are `text` (the column of that role) and `text_b`, or the column that the setting `answer` names; a label or
target says how alike they are, or whether they belong together (1 or 0). Without one every pair belongs together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.text import text_key
from modelyard.methods.evaluation.estimates import Estimate, as_json
from modelyard.methods.evaluation.means import rank_correlation_interval, share_interval
from modelyard.methods.evaluation.measuring.examples import Examples, Fields, Note, Read, Reader, Row, asked, quiet
from modelyard.methods.evaluation.measuring.family import Family, Plain, Shown
from modelyard.methods.evaluation.measuring.regression import target_of
from modelyard.methods.evaluation.regression import spearman
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.evaluation.similarity import cosines, partner_places
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.statistics.wilson import wilson

PARTNER = "text_b"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Pairs:
    """Embeddings of pairs.

    Attributes:
        scores: how alike each pair is by the data [n].
        near: cosine of each pair [n].
        places: of the partners of pairs that belong together [m ≤ n], from 1, among `num_documents` different texts.
    """

    scores: Floats
    near: Floats
    places: NDArray[np.int64]
    num_documents: int


class Embeddings(Family):
    """A vector a text."""

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        first = data.need("text")
        there = {column.name: column for column in data.columns}
        other = settings.answer or PARTNER
        if other not in there:
            raise InputError(t("no column `{name}`", name=other), where="data", expected=t("the text of the pair"))
        label = data.role("label")

        def record(row: Row) -> dict[str, Any] | None:
            return None if row[first] is None or row[other] is None else {"text": row[first]}

        def key(row: Row, read: Read) -> bytes:
            return text_key(read(row[first])) + text_key(read(row[other]))

        def truth(row: Row) -> tuple[str, str, float] | None:
            score = 1.0 if label is None else target_of(row[label])
            return None if score is None else (str(row[first]), str(row[other]), score)

        fields = Fields("text", (first, other), record, key)
        return Reader(fields, (label,) if label else (), truth, t("two texts or a score"))

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Pairs:
        first = _vectors(list(asked(predictor, examples, settings.batch_rows, note)), examples)
        partners = [truth[1] for truth in examples.truths]
        found: list[Any] = []
        for start in range(0, len(partners), settings.batch_rows):
            found += predictor.predict([{"text": text} for text in partners[start : start + settings.batch_rows]])
        second = _vectors(found, examples)
        scores = np.array([truth[2] for truth in examples.truths])
        documents = {text: place for place, text in enumerate(dict.fromkeys(partners))}
        where = _first_places(partners)
        together = np.flatnonzero(scores == scores.max())
        if len(set(scores.tolist())) > 2:  # graded pairs: nobody said which belong together
            together = together[:0]
        right = [documents[partners[place]] for place in together.tolist()]
        places = partner_places(first[together], second[where], right)
        return Pairs(scores, cosines(first, second), places, len(documents))

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Plain:
        missing: dict[str, str] = {}
        found = []
        rho = spearman(answers.scores, answers.near)
        if math.isfinite(rho):
            n = answers.scores.size
            found.append(Estimate("spearman", rho, rank_correlation_interval(rho, n), n))
        else:
            missing["spearman"] = "all targets or all answers are equal"
        n = answers.places.size
        if n and answers.num_documents > 1:
            found.append(
                Estimate("mrr", float((1 / answers.places).mean()), share_interval(1 / answers.places, seed), n)
            )
            for k in settings.cutoffs:
                hits = int((answers.places <= k).sum())
                found.append(Estimate("retrieval_recall", hits / n, wilson(hits, n), n, {"k": str(k)}))
        else:
            missing["retrieval_recall"] = "no pairs that belong together, or one text only"
        return Plain(answers, tuple(found), missing)

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        recalls = [
            {"name": one.name, "k": int(one.slice["k"]), **(as_json(one) or {})}
            for one in measured.estimates
            if one.name == "retrieval_recall"
        ]
        return {"ranked": recalls, "documents": measured.answers.num_documents}

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        pairs: Pairs = measured.answers
        return pa.table(
            {
                "row_id": pa.array(examples.row_ids, pa.string()),
                "score": pa.array(pairs.scores),
                "cosine": pa.array(pairs.near),
            }
        )


def _first_places(texts: list[str]) -> list[int]:
    """Where each different text stands first."""
    found: dict[str, int] = {}
    for place, text in enumerate(texts):
        found.setdefault(text, place)
    return list(found.values())


def _vectors(found: list[Any], examples: Examples) -> Floats:
    """[n, d]. Raises StageError if one is no number."""
    vectors = np.array([one.vector for one in found], dtype=np.float64)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise StageError(
            t("the model's answer to {count} rows is not a number", count=bad.size),
            where=f"row {examples.row_ids[int(bad[0])]}",
            remedy=t("the model is broken: train or convert it again"),
        )
    return vectors


FAMILY = Embeddings()
