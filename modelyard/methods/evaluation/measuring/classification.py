"""Single-label classifiers of texts, tables and pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError, StageError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import baselines, comparison, document, ordinal, quality, table_baselines
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.measuring import ordered
from modelyard.methods.evaluation.measuring.examples import Examples, Note, Reader, asked, fields, quiet
from modelyard.methods.evaluation.measuring.family import Beside, Bools, Family, Shown, worst
from modelyard.methods.evaluation.quality import Answers, Quality
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.statistics.wilson import wilson

NAMED = 10  # unknown labels named in an error


class Classification(Family):
    """One label a record, with a probability for each."""

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        label = data.need("label")
        records = fields(data, task)
        lacks = {"text": t("a text or a label"), "image": t("an image or a label"), "table": t("a label")}
        return Reader(records, (label,), lambda row: label_of(row[label]), lacks[records.kind])

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Answers:
        """Raises InputError for labels the model does not know, StageError if it gave a score that is no number, or a
        label it does not list."""
        labels = tuple(predictor.labels)
        index = {label: position for position, label in enumerate(labels)}
        refuse_unknown(examples.truths, index)
        _refuse_unknown_settings(settings, index)
        predicted = np.empty(len(examples), dtype=np.int64)
        scores = np.empty((len(examples), len(index)), dtype=np.float64)
        for place, found in enumerate(asked(predictor, examples, settings.batch_rows, note)):
            predicted[place] = index.get(found.label, -1)
            scores[place] = [found.scores[label] for label in labels]
        _refuse_unsound(examples.row_ids, predicted, scores)
        actual = np.fromiter((index[label] for label in examples.truths), dtype=np.int64, count=len(examples))
        return Answers(labels, actual, predicted, scores)

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Quality:
        found = quality.measure(answers, seed)
        more, missing = [], dict(found.missing)
        if settings.order:
            more += ordinal.of_ranks(answers, settings.order, seed)
        if settings.costs:
            more += ordinal.of_costs(answers, settings.costs, seed)
        if settings.rank_by and answers.positive is not None:
            gains, scores = (answers.actual == answers.positive).astype(np.float64), answers.scores[:, answers.positive]
            ranked, why = ordered.measure(examples.column(settings.rank_by), gains, scores, settings.cutoffs, seed)
            more, missing = more + ranked, missing | why
        elif settings.rank_by:
            missing["ndcg"] = "ranking needs two classes or a number"
        return replace(found, estimates=(*found.estimates, *more), missing=missing) if more or missing else found

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        answers = measured.answers
        mistakes = [
            quoted
            | {
                "label": answers.labels[int(answers.actual[place])],
                "predicted": answers.labels[int(answers.predicted[place])],
                "confidence": float(answers.confidence[place]),
            }
            for place, quoted in worst(document.surest_mistakes(answers), examples, shown)
        ]
        ranked = ordered.as_json(measured.estimates)
        return document.document(measured, seed) | {"mistakes": mistakes} | ({"ranked": ranked} if ranked else {})

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        return document.predictions(measured.answers, examples.row_ids)

    def without(self, measured: Any, twins: Bools) -> Estimate | None:
        fresh = int((~twins).sum())
        if not fresh:
            return None
        right = int((measured.answers.right & ~twins).sum())
        return Estimate("accuracy", right / fresh, wilson(right, fresh), fresh, {"text": "not in train"})

    def beside(
        self, data: Dataset, measured: Any, examples: Examples, settings: Measuring, seed: int, note: Note = quiet
    ) -> Beside | None:
        train = Examples.read(data, "train", examples.reader)
        linear = _linear(data, train, examples, seed, note)
        found = comparison.compare(measured.answers, examples.truths, train.truths, linear)
        accuracy = float(measured.answers.right.mean())
        strongest = found.about_data[-1]
        gains = (found.paired.gain,) if found.paired else ()
        difference = found.paired.gain.value if found.paired else accuracy - strongest.value
        return Beside(found.about_data, gains, found.to_json(), (strongest.value, accuracy, difference))


def label_of(value: Any) -> str | None:
    return None if value is None else str(value)


def _linear(data: Dataset, train: Examples, examples: Examples, seed: int, note: Note) -> comparison.Guess | None:
    """A linear model for texts and tables; pictures have none."""
    if examples.reader.fields.kind == "image":
        return None
    if examples.reader.fields.kind == "table":
        return table_baselines.classes(data, train, examples, seed, note)
    held = Examples.read(data, "validation", examples.reader)
    learned, tuned = [(_texts(one), one.truths) for one in (train, held)]
    found = baselines.linear(learned, tuned, _texts(examples), seed, note)
    tuning = [{"c": c, "accuracy": accuracy} for c, accuracy in found.validation.items()]
    about = {"units": found.units, "c": found.c, "validation": tuning, "num_features": found.num_features}
    return comparison.Guess(found.predicted, about)


def _texts(examples: Examples) -> list[str]:
    return [str(record["text"]) for record in examples.records()]


def refuse_unknown(labels: Iterable[str], index: Collection[str]) -> None:
    """Raise InputError for labels that are none of the model's."""
    unknown = Counter(label for label in labels if label not in index)
    if not unknown:
        return
    named = ", ".join(f"`{label}` ({count})" for label, count in unknown.most_common(NAMED))
    if len(unknown) > NAMED:
        named += ", …"
    raise InputError(
        t("the data has labels that the model does not know: {named}", named=named),
        expected=t("labels of the model: {known}", known=_known(index)),
        remedy=t("train on these labels too, or map or remove these rows before the split"),
    )


def _refuse_unknown_settings(settings: Measuring, index: Mapping[str, int]) -> None:
    named = {
        "order": settings.order,
        "costs": [*settings.costs, *(one for row in settings.costs.values() for one in row)],
    }
    for setting, labels in named.items():
        strange = sorted(set(labels) - set(index))
        if strange or (setting == "order" and labels and len(labels) != len(index)):
            raise InputError(
                t("`{setting}` does not fit the labels of the model", setting=setting),
                where=f"{setting}: {', '.join(strange)}" if strange else setting,
                expected=t("labels of the model: {known}", known=_known(index)),
            )


def _known(index: Collection[str]) -> str:
    return ", ".join(f"`{label}`" for label in list(index)[:NAMED]) + (", …" if len(index) > NAMED else "")


def _refuse_unsound(row_ids: Sequence[str], predicted: np.ndarray, scores: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1) | (predicted < 0))
    if bad.size:
        raise StageError(
            t("the model's answer to {count} rows is not a number or not one of its labels", count=bad.size),
            where=f"row {row_ids[int(bad[0])]}",
            remedy=t("the model is broken: train or convert it again"),
        )


FAMILY = Classification()
