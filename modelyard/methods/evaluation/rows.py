"""Labelled rows of a split, and a predictor's answers to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.text import text_key
from modelyard.methods.evaluation.quality import Answers
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.tasks.text_classification import FIELD

NAMED = 10  # unknown labels named in an error


@dataclass(frozen=True)
class LabelledRows:
    """Rows with a text and a label, in the split's order.

    Attributes:
        row_ids, texts, labels: vectors of one length.
        left_out: row ids without a text or without a label; they cannot be judged, and are counted.
    """

    row_ids: tuple[str, ...]
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @classmethod
    def read(cls, data: Dataset, split: str) -> LabelledRows:
        """All rows of a split. Raises InputError if no column has the role `text` or `label`."""
        names = [ROW_ID, data.need("text"), data.need("label")]
        table = data.table(split, names)
        kept: list[tuple[str, str, str]] = []
        left_out = []
        for row_id, text, label in zip(*(table.column(name).to_pylist() for name in names), strict=True):
            if text is None or label is None:
                left_out.append(str(row_id))
            else:
                kept.append((str(row_id), str(text), str(label)))
        ids, texts, labels = zip(*kept, strict=True) if kept else ((), (), ())
        return cls(ids, texts, labels, tuple(left_out))

    def __len__(self) -> int:
        return len(self.row_ids)


def contaminated(rows: LabelledRows, train: LabelledRows) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """For each row [n], whether its text, normalised, stands in train: what the model may know by heart."""
    known = {text_key(text) for text in train.texts}
    return np.fromiter((text_key(text) in known for text in rows.texts), dtype=np.bool_, count=len(rows))


def answer(
    predictor: Predictor,
    rows: LabelledRows,
    batch_rows: int,
    note: Callable[[int, int], None] = lambda done, total: None,
) -> Answers:
    """The predictor's answers to all rows, in batches; `note(done, total)` hears of each.

    Raises:
        InputError: there are no rows, or labels the model does not know.
        StageError: the model gave a score that is not a number, or a label it does not list.
    """
    if not len(rows):
        raise InputError(
            t("the split has no row with a text and a label"),
            expected=t("labelled rows to measure on"),
            remedy=t("give `data.split` a larger share for this split"),
        )
    index = {label: position for position, label in enumerate(predictor.labels)}
    _refuse_unknown(rows.labels, index)
    predicted = np.empty(len(rows), dtype=np.int64)
    scores = np.empty((len(rows), len(index)), dtype=np.float64)
    for start in range(0, len(rows), batch_rows):
        texts = rows.texts[start : start + batch_rows]
        found = predictor.predict([{FIELD: text} for text in texts])
        for offset, prediction in enumerate(found, start=start):
            predicted[offset] = index.get(prediction.label, -1)
            scores[offset] = [prediction.scores[label] for label in predictor.labels]
        note(min(start + batch_rows, len(rows)), len(rows))
    _refuse_unsound(rows, predicted, scores)
    actual = np.fromiter((index[label] for label in rows.labels), dtype=np.int64, count=len(rows))
    return Answers(tuple(predictor.labels), actual, predicted, scores)


def _refuse_unknown(labels: Sequence[str], index: dict[str, int]) -> None:
    unknown = Counter(label for label in labels if label not in index)
    if not unknown:
        return
    named = ", ".join(f"`{label}` ({count})" for label, count in unknown.most_common(NAMED))
    if len(unknown) > NAMED:
        named += ", …"
    known = ", ".join(f"`{label}`" for label in list(index)[:NAMED]) + (", …" if len(index) > NAMED else "")
    raise InputError(
        t("the data has labels that the model does not know: {named}", named=named),
        expected=t("labels of the model: {known}", known=known),
        remedy=t("train on these labels too, or map or remove these rows before the split"),
    )


def _refuse_unsound(rows: LabelledRows, predicted: np.ndarray, scores: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1) | (predicted < 0))
    if bad.size:
        raise StageError(
            t("the model's answer to {count} rows is not a number or not one of its labels", count=bad.size),
            where=f"row {rows.row_ids[int(bad[0])]}",
            remedy=t("the model is broken: train or convert it again"),
        )
