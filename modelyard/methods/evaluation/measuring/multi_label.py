"""Several labels a text."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.multi_label import labels_json, parse_labels
from modelyard.methods.evaluation import multi_label
from modelyard.methods.evaluation.estimates import Estimate, as_json
from modelyard.methods.evaluation.measuring.examples import Examples, Note, Reader, asked, fields, quiet
from modelyard.methods.evaluation.measuring.family import Beside, Bools, Family, Plain, Shown, worst
from modelyard.methods.evaluation.multi_label import Decisions, label_rows
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.statistics.wilson import wilson

PER_CLASS = ("precision", "recall", "f1", "pr_auc")


class MultiLabel(Family):
    """Any number of labels a record, each with its probability."""

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        label = data.need("label")
        return Reader(fields(data, task), (label,), lambda row: _labels(row[label]), t("a text or labels"))

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Decisions:
        """Raises InputError for labels the model does not know, StageError for scores that are no numbers."""
        labels = tuple(predictor.labels)
        unknown = Counter(label for row in examples.truths for label in row if label not in labels)
        if unknown:
            named = ", ".join(f"`{label}` ({count})" for label, count in unknown.most_common(10))
            raise InputError(
                t("the data has labels that the model does not know: {named}", named=named),
                expected=t("labels of the model: {known}", known=", ".join(f"`{one}`" for one in labels[:10])),
                remedy=t("train on these labels too, or map or remove these rows before the split"),
            )
        found = list(asked(predictor, examples, settings.batch_rows, note))
        scores = np.array([[one.scores[label] for label in labels] for one in found], dtype=np.float64)
        if not np.isfinite(scores).all():
            bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
            raise StageError(
                t("the model's answer to {count} rows is not a number", count=bad.size),
                where=f"row {examples.row_ids[int(bad[0])]}",
                remedy=t("the model is broken: train or convert it again"),
            )
        given = label_rows(labels, [one.labels for one in found])
        return Decisions(labels, label_rows(labels, examples.truths), given, scores)

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Plain:
        missing: dict[str, str] = {}
        found = multi_label.measure(answers, missing, seed)
        return Plain(answers, tuple(one for one in found if math.isfinite(one.value)), missing)

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        answers: Decisions = measured.answers
        by_label = {(one.name, one.slice.get("class")): one for one in measured.estimates}
        rows = [
            {
                "label": label,
                "n": int(answers.actual[:, place].sum()),
                "predicted": int(answers.given[:, place].sum()),
                **{name: as_json(by_label.get((name, label))) for name in PER_CLASS},
            }
            for place, label in enumerate(answers.labels)
        ]
        wrong = (answers.actual != answers.given).sum(axis=1)
        order = [int(place) for place in np.argsort(-wrong, kind="stable") if wrong[place]]
        mistakes = [
            quoted
            | {
                "label": ", ".join(examples.truths[place]) or "–",
                "predicted": ", ".join(_names(answers, answers.given[place])) or "–",
            }
            for place, quoted in worst(order, examples, shown)
        ]
        return {"labels": list(answers.labels), "per_class": rows, "mistakes": mistakes}

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        answers: Decisions = measured.answers
        given = [labels_json(_names(answers, row)) for row in answers.given]
        scores = pa.array(answers.scores.tolist(), pa.list_(pa.float64()))
        return pa.table(
            {
                "row_id": pa.array(examples.row_ids, pa.string()),
                "label": pa.array([labels_json(row) for row in examples.truths], pa.string()),
                "predicted": pa.array(given, pa.string()),
                "scores": scores,
            }
        ).replace_schema_metadata({"labels": labels_json(answers.labels)})

    def without(self, measured: Any, twins: Bools) -> Estimate | None:
        fresh = int((~twins).sum())
        if not fresh:
            return None
        right = int(((measured.answers.actual == measured.answers.given).all(axis=1) & ~twins).sum())
        return Estimate("subset_accuracy", right / fresh, wilson(right, fresh), fresh, {"text": "not in train"})

    def beside(
        self, data: Dataset, measured: Any, examples: Examples, settings: Measuring, seed: int, note: Note = quiet
    ) -> Beside | None:
        """Always the commonest set of labels."""
        train = Examples.read(data, "train", examples.reader)
        if not len(train):
            return None
        counts = Counter(frozenset(row) for row in train.truths)
        best = min(counts, key=lambda one: (-counts[one], sorted(one)))
        n = len(examples)
        hits = sum(frozenset(row) == best for row in examples.truths)
        one = Estimate("baseline_majority_accuracy", hits / n, wilson(hits, n), n)
        entry = {"name": "majority", "label": labels_json(tuple(sorted(best))),
                 "metrics": {"subset_accuracy": as_json(one)}}  # fmt: skip
        exact = float((measured.answers.actual == measured.answers.given).all(axis=1).mean())
        return Beside((one,), (), {"baselines": [entry]}, (one.value, exact, exact - one.value))


def _labels(value: Any) -> tuple[str, ...] | None:
    """None for a cell that is no list of labels: the row is left out, and counted."""
    try:
        return parse_labels(value)
    except InputError:
        return None


def _names(answers: Decisions, row: Bools) -> tuple[str, ...]:
    return tuple(label for label, given in zip(answers.labels, row.tolist(), strict=True) if given)


FAMILY = MultiLabel()
