"""A pool of rows without labels: which of them are new, and what a model says of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.text import text_key
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.tasks.text_classification import FIELD

BATCH = 512
Progress = Callable[[int, int], None]


@dataclass
class Known:
    """What the data set has already: row ids and texts, 16 bytes each. Grows by what is taken from the pool."""

    row_ids: set[str] = field(default_factory=set)
    keys: set[bytes] = field(default_factory=set)

    @classmethod
    def of(cls, data: Dataset, splits: Sequence[str]) -> Known:
        """Rows and texts of some splits."""
        known, text = cls(), data.need("text")
        for split in splits:
            for batch in data.batches(split, [ROW_ID, text]):
                known.row_ids.update(batch.column(ROW_ID).to_pylist())
                known.keys.update(text_key(value) for value in batch.column(text).to_pylist() if value)
        return known

    def take(self, row_id: str, text: str | None) -> str:
        """Remember a row; why it is none to take, or `` if it is."""
        if text is None or not text.strip():
            return "no text"
        key = text_key(text)
        if row_id in self.row_ids or key in self.keys:
            return "known already"
        self.row_ids.add(row_id)
        self.keys.add(key)
        return ""


@dataclass(frozen=True)
class Part:
    """New rows of one batch of the pool.

    Attributes:
        table: the rows, all columns.
        labels: None where a row has none.
    """

    table: pa.Table
    row_ids: list[str]
    texts: list[str]
    labels: list[str | None]


def fresh(pool: Dataset, known: Known, left_out: Counter[str], progress: Progress) -> Iterator[Part]:
    """The rows of the pool that the data does not have, each text once; the others are counted by reason."""
    text, label = pool.need("text"), pool.role("label")
    total, done = pool.num_rows("all"), 0
    for batch in pool.batches("all", rows=BATCH):
        ids, texts = batch.column(ROW_ID).to_pylist(), batch.column(text).to_pylist()
        labels = batch.column(label).to_pylist() if label else [None] * batch.num_rows
        reasons = [known.take(row_id, value) for row_id, value in zip(ids, texts, strict=True)]
        left_out.update(reason for reason in reasons if reason)
        places = [place for place, reason in enumerate(reasons) if not reason]
        done += batch.num_rows
        progress(done, total)
        if places:
            yield Part(
                pa.Table.from_batches([batch]).take(pa.array(places)),
                [ids[place] for place in places],
                [texts[place] for place in places],
                [None if labels[place] is None else str(labels[place]) for place in places],
            )


def answers(predictor: Predictor, texts: Sequence[str]) -> NDArray[np.float64]:
    """[texts, classes] probabilities, in the order of the predictor's labels."""
    found = np.zeros((len(texts), len(predictor.labels)))
    for start in range(0, len(texts), BATCH):
        part = predictor.predict([{FIELD: text} for text in texts[start : start + BATCH]])
        for offset, one in enumerate(part):
            found[start + offset] = [one.scores[label] for label in predictor.labels]
    return found


@dataclass
class Asked:
    """Unlabelled rows of a pool and a model's answers; texts are held in memory.

    Attributes:
        probabilities: [rows, classes], in the order of the model's labels.
        left_out: rows of the pool that are not asked about, by reason.
    """

    row_ids: list[str]
    texts: list[str]
    probabilities: NDArray[np.float64]
    left_out: Counter[str]


def ask(pool: Dataset, known: Known, predictor: Predictor, progress: Progress) -> Asked:
    """Ask a model about every row of the pool that is new and has no label."""
    asked = Asked([], [], np.zeros((0, len(predictor.labels))), Counter())
    parts = [asked.probabilities]
    for part in fresh(pool, known, asked.left_out, progress):
        places = [place for place, label in enumerate(part.labels) if label is None]
        if len(places) < len(part.labels):
            asked.left_out["labelled already"] += len(part.labels) - len(places)
        texts = [part.texts[place] for place in places]
        asked.row_ids += [part.row_ids[place] for place in places]
        asked.texts += texts
        parts.append(answers(predictor, texts))
    asked.probabilities = np.vstack(parts)
    return asked
