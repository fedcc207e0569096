"""`golden.json`: a few records with the answers the model gave when it was made. A server replays them before it
answers anybody: other answers mean that the bytes, the runtime or the processor are not what was measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.runtimes import load
from modelyard.methods.runtimes.model_folder import GOLDEN
from modelyard.methods.runtimes.predictor import Predictor, Record
from modelyard.methods.tasks import find

NUM_RECORDS = 8
SHOWN = 80
TOLERANCE = 1e-3
"""Of a score. Other processors round in another order; int8 with f32 sums stays far inside."""


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
        task = find(predictor.task)
        answers = [predictor.predict([record])[0] for record in chosen]
    finally:
        predictor.close()
    value = {
        "records": [dict(record) for record in chosen],
        "predictions": [task.stored(answer) for answer in answers],
        "tolerance": tolerance,
    }
    (folder / GOLDEN).write_bytes(canonical_json(value) + b"\n")


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
    task = find(predictor.task)
    answers = predictor.predict(records)
    remedy = t("do not serve it: check the runtime's version and the processor, or make the model again here")
    problems = []
    for index, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
        off = task.distance(answer, wanted)
        if not off <= tolerance:
            found = t("answers {answer}, which is off by {off:.4f}", answer=_short(task.stored(answer)), off=off)
            wish = t("{answer} within {tolerance}", answer=_short(wanted), tolerance=tolerance)
            problems.append(Problem(f"golden.json[{index}]", found, wish, remedy))
    return problems


def _short(answer: Mapping[str, Any]) -> str:
    """An answer in a message: its label, or the beginning of all of it."""
    return f"`{answer['label']}`" if "label" in answer else json.dumps(answer, ensure_ascii=False)[:SHOWN]
