"""A model asked about rows as they are and as each change leaves them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, ModelyardError
from modelyard.methods.evaluation.measuring.examples import Examples, Note, quiet
from modelyard.methods.evaluation.robustness.perturbation import Perturbation
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Predictor, Record
from modelyard.methods.runtimes.recorded import FORMAT as RECORDED

Floats = NDArray[np.float64]
CLASSES = ("text-classification", "image-classification", "tabular-classification")
SETS = ("text-multi-label",)
NUMBERS = ("text-regression", "tabular-regression")
SPANS = ("token-classification",)
CLEAN = ("clean", 0)
NEARLY_ALL = 0.9
"""Share of changed records that were refused, from which on nothing is measured."""
SHOWN = 3
"""Examples kept of each change."""


@dataclass(frozen=True)
class Example:
    """A row whose answer a change made worse."""

    row_id: str
    before: Record
    after: Record
    answer: str
    changed_answer: str


@dataclass
class Judged:
    """Errors of each row, as it is and under each change.

    Attributes:
        clean: [n] error of the row: 0 or 1 for classes, sets and the spans of a text, |truth - answer| for numbers.
        errors: by (kind, severity) [n]; NaN where nothing could be changed.
        checks: by (kind, severity) [n]: 1 where the check failed, 0 where it held, NaN where it did not apply.
        spans: by (kind, severity), the rows as they are under CLEAN, [n, 3] true spans, found ones, and both.
        refused: records that the model would not read after a change; they count as wrong, but a number's are left out.
    """

    row_ids: tuple[str, ...]
    clean: Floats
    errors: dict[tuple[str, int], Floats] = field(default_factory=dict)
    checks: dict[tuple[str, int], Floats] = field(default_factory=dict)
    refused: dict[tuple[str, int], int] = field(default_factory=dict)
    spans: dict[tuple[str, int], Floats] = field(default_factory=dict)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    is_rate: bool = True


def judge(
    predictor: Predictor,
    examples: Examples,
    perturbations: Sequence[Perturbation],
    seed: int,
    rows: int,
    batch_rows: int,
    note: Note = quiet,
) -> Judged:
    """Ask about at most `rows` rows, chosen by their ids.

    Raises InputError if the task has no right and wrong, no row can be judged, or the rows as they are cannot be read.
    """
    error_of = error_by_task(predictor.task)
    places = some_places(examples, rows, seed)
    count = len(places)
    if not count:
        raise InputError(
            t("the split has no row that can be judged"),
            expected=t("labelled rows to measure on"),
            remedy=t("give `data.split` a larger share for this split"),
        )
    found = Judged(tuple(examples.row_ids[place] for place in places), np.zeros(count))
    found.is_rate = predictor.task not in NUMBERS
    for one in perturbations:
        (found.checks if one.check else found.errors)[one.kind, one.severity] = np.full(count, np.nan)
    if predictor.task in SPANS:
        found.spans = {name: np.full((count, 3), np.nan) for name in (CLEAN, *found.errors)}
    truths = [examples.truths[place] for place in places]
    for start, records in _batches(examples, places, batch_rows):
        part = slice(start, start + len(records))
        batch = _Batch(predictor, records, truths[part], found.row_ids[part], start)
        answers = predictor.predict(records)
        found.clean[part] = [error_of(truth, answer) for truth, answer in zip(batch.truths, answers, strict=True)]
        if predictor.task in SPANS:
            found.spans[CLEAN][part] = [_counted(*pair) for pair in zip(batch.truths, answers, strict=True)]
        for one in perturbations:
            _under(one, batch, answers, error_of, seed, found)
        note(start + len(records), count)
    return found


def refuse_recorded(model: Path) -> None:
    """Raise InputError for recorded answers: nobody asked about changed records, and no answer is not a wrong one."""
    if ModelCard.read(model).format != RECORDED:
        return
    raise InputError(
        t("the endpoint was asked about the test rows alone, not about changed ones"),
        where="model",
        expected=t("a model that answers any record"),
        remedy=t("what changes records (robustness, explanation) needs the model itself"),
    )


def refuse_unanswered(found: Judged) -> None:
    """Raise InputError if the model refused nearly all changed records: what is left is no figure of its answers."""
    refused = sum(found.refused.values())
    asked = sum(int((~np.isnan(rows)).sum()) for rows in (*found.errors.values(), *found.checks.values()))
    if not found.is_rate:  # a number that was refused is no error, and stands nowhere
        asked += refused
    if refused and refused >= NEARLY_ALL * asked:
        raise InputError(
            t("the model refused {count:,} of {asked:,} changed records: nothing is measured", count=refused,
              asked=asked),
            where="model",
            expected=t("a model that answers changed records"),
            remedy=t("ask it about one such record with `modelyard predict` to see why"),
        )  # fmt: skip


def error_by_task(task: str) -> Callable[[Any, Any], float]:
    """The error of an answer beside its truth. Raises InputError for tasks without one."""
    if task in CLASSES:
        return lambda truth, answer: float(answer.label != truth)
    if task in SETS:
        return lambda truth, answer: float(set(answer.labels) != set(truth))
    if task in NUMBERS:
        return lambda truth, answer: abs(float(truth) - float(answer.value))
    if task in SPANS:
        return lambda truth, answer: float(set(spans_of(answer)) != set(truth))
    raise InputError(
        t("robustness of the task `{task}` is not measured yet", task=task),
        expected=", ".join((*CLASSES, *SETS, *NUMBERS, *SPANS)),
    )


def spans_of(answer: Any) -> tuple[tuple[int, int, str], ...]:
    """(start, end, label) of each span of an answer."""
    return tuple((span.start, span.end, span.label) for span in answer.spans)


def _counted(truth: Any, answer: Any) -> tuple[int, int, int]:
    found = set(spans_of(answer)) if answer is not None else set()
    return len(set(truth)), len(found), len(found & set(truth))


def some_places(examples: Examples, rows: int, seed: int) -> list[int]:
    """Places of all rows, or of `rows` chosen by their ids, in the split's order."""
    from modelyard.methods.data.row_random import ranks

    chosen = np.argsort(ranks(seed, "robustness", examples.row_ids), kind="stable")[:rows]
    return [int(place) for place in np.sort(chosen)]


@dataclass(frozen=True)
class _Batch:
    predictor: Predictor
    records: Sequence[Record]
    truths: Sequence[Any]
    row_ids: Sequence[str]
    start: int


def _batches(examples: Examples, places: Sequence[int], size: int) -> Any:
    """(start, records) of the rows at `places`, read one after the other."""
    wanted, start = set(places), 0
    batch: list[Record] = []
    for place, record in enumerate(examples.records()):
        if place not in wanted:
            continue
        batch.append(record)
        if len(batch) == size:
            yield start, batch
            start, batch = start + len(batch), []
    if batch:
        yield start, batch


def _under(
    one: Perturbation,
    batch: _Batch,
    answers: Sequence[Any],
    error_of: Callable[[Any, Any], float],
    seed: int,
    found: Judged,
) -> None:
    rows = zip(batch.records, batch.truths, batch.row_ids, strict=True)
    changed = [one.of_row(record, truth, seed, row_id) for record, truth, row_id in rows]
    able = [(place, *pair) for place, pair in enumerate(changed) if pair is not None]
    told = ask(batch.predictor, [record for _, record, _ in able])
    name = (one.kind, one.severity)
    for (place, record, truth), answer in zip(able, told, strict=True):
        where = batch.start + place
        if found.spans:
            found.spans[name][where] = _counted(truth, answer)
        if answer is None:
            found.refused[name] = found.refused.get(name, 0) + 1
        if one.check:
            found.checks[name][where] = _fails(one.check, answers[place], answer)
            worse = found.checks[name][where] > 0
        elif answer is None and not found.is_rate:
            continue
        else:
            found.errors[name][where] = 1.0 if answer is None else error_of(truth, answer)
            worse = found.errors[name][where] > found.clean[where]
        kept = found.examples.setdefault(one.kind, [])
        if worse and len(kept) < SHOWN:
            kept.append(
                Example(
                    batch.row_ids[place], batch.records[place], record,
                    said(answers[place], batch.records[place]), said(answer, record),
                )
            )  # fmt: skip


def ask(predictor: Predictor, records: Sequence[Record]) -> list[Any]:
    """The answers; None where the model refuses a record, which does not keep the others from being answered."""
    if not records:
        return []
    try:
        return list(predictor.predict(records))
    except InputError:
        return [_alone(predictor, record) for record in records]


def _alone(predictor: Predictor, record: Record) -> Any:
    try:
        return predictor.predict([record])[0]
    except ModelyardError:
        return None


def _fails(check: str, before: Any, after: Any) -> float:
    """Whether a check fails; NaN where the answer has nothing to check: a number is never quite the same."""
    if hasattr(before, "value"):
        return float("nan")
    if after is None:
        return 1.0
    if check == "same":
        return float(said(before) != said(after))
    if not getattr(before, "scores", None):
        return float("nan")
    labels = (before.label,) if hasattr(before, "label") else tuple(before.labels)
    if not labels:
        return float("nan")
    return float(sum(after.scores[label] for label in labels) >= sum(before.scores[label] for label in labels))


def said(answer: Any, record: Record | None = None) -> str:
    """An answer in few characters; spans with their words if the record has them."""
    if answer is None:
        return "-"
    if hasattr(answer, "label"):
        return str(answer.label)
    if hasattr(answer, "spans"):
        text = str((record or {}).get("text", ""))
        told = [f"{label}: {text[start:end] or f'{start}–{end}'}" for start, end, label in spans_of(answer)]
        return "; ".join(told) or "-"
    return ";".join(answer.labels) if hasattr(answer, "labels") else f"{answer.value:.6g}"
