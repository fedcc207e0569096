"""`golden.json`: a few records with the answers the model gave when it was made. A server replays them before it
answers anybody: other answers mean that the bytes, the runtime or the processor are not what was measured.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.runtimes import load
from modelyard.methods.runtimes.model_folder import GOLDEN
from modelyard.methods.runtimes.predictor import Prediction, Predictor, Record

NUM_RECORDS = 8
TOLERANCE = 1e-3
"""Of a score. Other processors round in another order; int8 with f32 sums stays far inside."""

DIGITS = 6
"""Scores are kept to so many digits, far inside the tolerance: the last bits differ from machine to machine."""


def write_golden(folder: Path, records: Sequence[Record], tolerance: float = TOLERANCE) -> None:
    """Ask the model in `folder` about the first 8 records, one at a time, and write `golden.json` into it.

    Raises:
        InputError: there is no record, or the model cannot be loaded.
    """
    chosen = list(records[:NUM_RECORDS])
    if not chosen:
        raise InputError(t("no record to make golden answers from"), where=str(folder))
    predictor = load(folder)
    try:
        answers = [predictor.predict([record])[0] for record in chosen]
    finally:
        predictor.close()
    value = {
        "records": [dict(record) for record in chosen],
        "predictions": [_rounded(answer) for answer in answers],
        "tolerance": tolerance,
    }
    (folder / GOLDEN).write_bytes(canonical_json(value) + b"\n")


def _rounded(answer: Prediction) -> dict[str, object]:
    return {"label": answer.label, "scores": {name: round(score, DIGITS) for name, score in answer.scores.items()}}


def check_golden(folder: Path, predictor: Predictor) -> list[Problem]:
    """Replay `golden.json` as one batch; one problem a record whose answer differs.

    A label counts as different only if its score is off too: two scores that are equal within the tolerance may
    change places. Raises InputError if the file is missing or unreadable.
    """
    path = folder / GOLDEN
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        records, expected, tolerance = value["records"], value["predictions"], float(value["tolerance"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            t("the golden answers cannot be read: {error}", error=error),
            where=str(path),
            remedy=t("make the model again; every model folder carries golden.json"),
        ) from None
    answers = predictor.predict(records)
    remedy = t("do not serve it: check the runtime's version and the processor, or make the model again here")
    problems = []
    for index, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
        off = _distance(answer, wanted["scores"])
        if not off <= tolerance:
            found = t("answers `{label}`, a score is off by {off:.4f}", label=answer.label, off=off)
            wish = t("`{label}` within {tolerance}", label=wanted["label"], tolerance=tolerance)
            problems.append(Problem(f"golden.json[{index}]", found, wish, remedy))
    return problems


def _distance(answer: Prediction, wanted: dict[str, float]) -> float:
    """Largest difference of a score; infinite if the labels are not the same ones."""
    if set(answer.scores) != set(wanted):
        return float("inf")
    return max(abs(answer.scores[name] - score) for name, score in wanted.items())
