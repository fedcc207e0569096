"""Spans in a text: names, places, whatever the model marks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.marked_spans import parse_spans
from modelyard.methods.evaluation import spans
from modelyard.methods.evaluation.estimates import as_json
from modelyard.methods.evaluation.measuring.examples import Examples, Note, Reader, Row, asked, fields, quiet
from modelyard.methods.evaluation.measuring.family import Family, Plain, Shown, worst
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.evaluation.spans import Counts, Span
from modelyard.methods.runtimes.predictor import Predictor

COLUMN = "spans"


@dataclass(frozen=True)
class Spans(Family):
    """Characters [start, end) with a type.

    Attributes:
        column: of the marked spans.
    """

    column: str = COLUMN

    def of_column(self, column: str) -> Spans:
        return Spans(column)

    def reader(self, data: Dataset, task: str, settings: Measuring) -> Reader:
        name = self.column
        if name not in {column.name for column in data.columns}:
            raise InputError(t("no column `{name}`", name=name), where="data", expected=t("a column of marked spans"))
        records = fields(data, task)

        def truth(row: Row) -> tuple[Span, ...] | None:
            marked = parse_spans(row[name], str(row[records.columns[0]]))
            return None if marked is None else tuple((one.start, one.end, one.label) for one in marked.spans)

        return Reader(records, (name,), truth, t("a text or spans"))

    def answer(self, predictor: Predictor, examples: Examples, settings: Measuring, note: Note = quiet) -> Any:
        found = asked(predictor, examples, settings.batch_rows, note)
        return [tuple((span.start, span.end, span.label) for span in one.spans) for one in found]

    def measure(self, answers: Any, examples: Examples, settings: Measuring, seed: int) -> Plain:
        missing: dict[str, str] = {}
        counts = Counts.of(examples.truths, answers)
        if not counts.types:
            missing["span_f1"] = "there is no such span, true or found"
        return Plain(answers, tuple(spans.measure(counts, missing, seed)) if counts.types else (), missing)

    def document(self, measured: Any, examples: Examples, shown: Shown, seed: int) -> dict[str, Any]:
        counts = Counts.of(examples.truths, measured.answers)
        by_type = {(one.name, one.slice.get("type")): one for one in measured.estimates}
        rows = [
            {
                "type": name,
                "n": int(counts.true[:, place].sum()),
                "found": int(counts.found[:, place].sum()),
                **{part: as_json(by_type.get((f"span_{part}", name))) for part in ("precision", "recall", "f1")},
            }
            for place, name in enumerate(counts.types)
        ]
        wrong = (counts.true + counts.found - 2 * counts.hits).sum(axis=1)
        order = [int(place) for place in np.argsort(-wrong, kind="stable") if wrong[place]]
        mistakes = [
            quoted
            | {
                "missed": _listed(set(examples.truths[place]) - set(measured.answers[place]), quoted.get("text", "")),
                "wrong": _listed(set(measured.answers[place]) - set(examples.truths[place]), quoted.get("text", "")),
            }
            for place, quoted in worst(order, examples, shown)
        ]
        return {"span_types": rows, "span_mistakes": mistakes}

    def predictions(self, measured: Any, examples: Examples) -> pa.Table:
        return pa.table(
            {
                "row_id": pa.array(examples.row_ids, pa.string()),
                "spans": pa.array([_json(one) for one in examples.truths], pa.string()),
                "predicted": pa.array([_json(one) for one in measured.answers], pa.string()),
            }
        )


def _json(found: tuple[Span, ...]) -> str:
    return json.dumps([{"start": start, "end": end, "label": label} for start, end, label in found], ensure_ascii=False)


def _listed(found: set[Span], text: str) -> list[str]:
    """Type and text of each, or its place if the text is not shown."""
    return [f"{label}: {text[start:end] or f'{start}–{end}'}" for start, end, label in sorted(found)]


FAMILY = Spans()
