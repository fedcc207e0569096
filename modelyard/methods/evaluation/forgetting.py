"""What an update forgot and what it gained: the old and the new model on the same rows, paired.

On old test rows the difference of accuracies is what was forgotten (Lopez-Paz & Ranzato 2017 call its negative the
backward transfer), on new test rows it is what was gained. Rows that both answer alike carry no doubt, so the
interval is that of a paired difference (Newcombe 1998, method 10), far shorter than that of two separate rates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.evaluation.paired import Pairs, difference_interval, mcnemar_mid_p
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.statistics.wilson import wilson
from modelyard.methods.tasks import image_classification, text_classification

FIELDS = {text_classification.NAME: ("text", text_classification.FIELD),
          image_classification.NAME: ("image", image_classification.FIELD)}  # fmt: skip
"""Task to (role of the column, field of a record)."""
SHOWN = 5

Bools = NDArray[np.bool_]
Note = Callable[[int, int], None]


@dataclass(frozen=True)
class Judged:
    """Labelled rows and who was right.

    Attributes:
        labels: of each row.
        before, after: [rows] whether the old and the new model were right.
        left_out: rows without a value or a label.
    """

    labels: tuple[str, ...]
    before: Bools
    after: Bools
    left_out: int = 0

    @property
    def pairs(self) -> Pairs:
        """Old model first."""
        return Pairs.of(self.before, self.after)

    def of_class(self, label: str) -> Judged:
        """The rows of one class."""
        mine = np.array([one == label for one in self.labels])
        return Judged((label,) * int(mine.sum()), self.before[mine], self.after[mine])

    def to_json(self) -> dict[str, Any]:
        """Accuracies, their paired difference (old less new), McNemar's mid-p; by class too."""
        value = self._own_json()
        value["by_class"] = {label: self.of_class(label)._own_json() for label in sorted(set(self.labels))}
        return value

    def _own_json(self) -> dict[str, Any]:
        pairs = self.pairs
        interval = difference_interval(pairs)
        return {
            "n": pairs.n,
            "left_out": self.left_out,
            "before": _rate(self.before),
            "after": _rate(self.after),
            "drop": {"value": pairs.difference, "interval": list(interval) if interval else None},
            "only_before": pairs.first,
            "only_after": pairs.second,
            "mcnemar_mid_p": mcnemar_mid_p(pairs),
        }


def _rate(right: Bools) -> dict[str, Any]:
    hits, n = int(right.sum()), len(right)
    return {"value": hits / n if n else None, "interval": list(wilson(hits, n))}


def judge(data: Dataset, before: Predictor, after: Predictor, batch_rows: int, known_only: bool, note: Note) -> Judged:
    """Ask both models about every test row, in batches.

    Args:
        known_only: every label must be one that the old model knows (old data); else its rows count as wrong for it.
        note: hears (rows done, rows in all).

    Raises:
        InputError: the models have different tasks, or one without labels; there are no rows; labels are strange.
    """
    role, field = _reading(before, after)
    rows, left_out = _rows(data, role)
    labels = tuple(label for _, label in rows)
    _refuse_strangers(labels, before.labels if known_only else after.labels)
    right = np.zeros((2, len(rows)), np.bool_)
    for start in range(0, len(rows), batch_rows):
        part = rows[start : start + batch_rows]
        records = [{field: value} for value, _ in part]
        for place, model in enumerate((before, after)):
            right[place, start : start + len(part)] = _right(model, records, [label for _, label in part])
        note(start + len(part), len(rows))
    return Judged(labels, right[0], right[1], left_out)


def _reading(before: Predictor, after: Predictor) -> tuple[str, str]:
    if before.task != after.task or before.task not in FIELDS:
        raise InputError(
            t("the old model is for {before}, the new one for {after}", before=before.task, after=after.task),
            expected=t("two models of one task: {tasks}", tasks=", ".join(FIELDS)),
            remedy=t("bind the model that was updated to `before`"),
        )
    return FIELDS[before.task]


def _rows(data: Dataset, role: str) -> tuple[list[tuple[Any, str]], int]:
    """(value, label) of the test rows that have both, and how many have not."""
    names = [data.need(role), data.need("label"), ROW_ID]
    table = data.table("test", names)
    columns = (table.column(name).to_pylist() for name in names)
    rows = [(value, str(label)) for value, label, _ in zip(*columns, strict=True) if value and label is not None]
    if not rows:
        raise InputError(
            t("the split has no row with a {role} and a label", role=role), where="test", expected=t("labelled rows")
        )
    return rows, table.num_rows - len(rows)


def _refuse_strangers(labels: Sequence[str], known: Sequence[str]) -> None:
    strange = sorted(set(labels) - set(known))
    if strange:
        raise InputError(
            t("the data has labels that the model does not know: {labels}", labels=", ".join(strange[:SHOWN])),
            expected=t("labels of the model: {known}", known=", ".join(list(known)[:SHOWN])),
            remedy=t("`old` is the data the old model was trained on, `data` what the new one learned"),
        )


def _right(model: Predictor, records: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> list[bool]:
    answers = model.predict(list(records))
    for answer in answers:
        if not np.isfinite(list(answer.scores.values())).all():
            raise StageError(t("a score of the model is not a number"), remedy=t("the model is broken: train it again"))
    return [answer.label == label for answer, label in zip(answers, labels, strict=True)]
