"""`quality.json`: everything a report page draws, as plain JSON, and the predictions as Parquet.

The document depends on rows, answers and settings alone: no times, no words in the user's language.

    version, n, labels, left_out, predictor     what was measured
    overall           {name: {value, interval, n}}
    per_class         [{label, n, predicted, precision, recall, f1, roc_auc, pr_auc}]
    confusion         rows are actual classes, columns predicted ones
    roc, pr           [{label, fpr, tpr | recall, precision, thresholds, auc}]
    reliability       {bins: [{confidence, accuracy, n, low, high, from, to}], ece, null_median, null_95}
    baselines         [{name, metrics, …}], gain_over_linear with McNemar's mid-p
    contamination     {rows, share}
    mistakes          most confident first: {row_id, label, predicted, confidence, text}
    missing           what was not measured, and why
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modelyard.base.canonical import canonical_json
from modelyard.methods.evaluation import calibration, ranking
from modelyard.methods.evaluation.estimates import as_json as estimate
from modelyard.methods.evaluation.quality import Answers, Quality

VERSION = 1
FILE = "quality.json"
PREDICTIONS = "predictions.parquet"
TOP_K = "top_k_accuracy"
CURVE_POINTS = 200
ALL_POINTS = 4_000  # over all curves of one kind, so that many classes do not swell the page

Floats = NDArray[np.float64]


def document(quality: Quality, seed: int = 0) -> dict[str, Any]:
    """The part that follows from the answers alone."""
    answers = quality.answers
    return {
        "version": VERSION,
        "n": len(answers.actual),
        "labels": list(answers.labels),
        "overall": {one.name: estimate(one) for one in quality.estimates if not one.slice},
        "top_k": [{"k": int(e.slice["k"]), **(estimate(e) or {})} for e in quality.estimates if e.name == TOP_K],
        "per_class": _per_class(quality),
        "confusion": quality.confusion.tolist(),
        "roc": _curves(quality, "roc_auc"),
        "pr": _curves(quality, "pr_auc"),
        "reliability": None if answers.is_hard else _reliability(answers, seed),
        "missing": dict(quality.missing),
    }


def _per_class(quality: Quality) -> list[dict[str, Any]]:
    names = ("precision", "recall", "f1", "roc_auc", "pr_auc")
    rows = []
    for index, label in enumerate(quality.answers.labels):
        parts = {name: estimate(quality.get(name, class_=label)) for name in names}
        n, predicted = int(quality.confusion[index].sum()), int(quality.confusion[:, index].sum())
        rows.append({"label": label, "n": n, "predicted": predicted, **parts})
    return rows


def _curves(quality: Quality, name: str) -> list[dict[str, Any]]:
    """One curve for two classes (the second is the positive), one a class against the rest otherwise."""
    answers = quality.answers
    wanted = range(len(answers.labels)) if answers.positive is None else [answers.positive]
    points = min(CURVE_POINTS, max(20, ALL_POINTS // max(1, len(answers.labels))))
    curves = []
    for index in wanted:
        area = quality.get(name, class_=answers.labels[index])
        if area is None:
            continue
        positive, scores = answers.actual == index, answers.scores[:, index]
        of_roc = name == "roc_auc"
        curve = (ranking.roc_curve if of_roc else ranking.precision_recall_curve)(positive, scores, points)
        x, y = ("fpr", "tpr") if of_roc else ("recall", "precision")
        parts = {x: _rounded(curve.x), y: _rounded(curve.y), "thresholds": _rounded(curve.thresholds)}
        curves.append({"label": answers.labels[index], "auc": area.value, **parts})
    return curves


def _rounded(values: Floats) -> list[float | None]:
    """Six digits are more than a screen shows; the threshold above all scores is no number."""
    return [round(value, 6) if math.isfinite(value) else None for value in values.tolist()]


def _reliability(answers: Answers, seed: int) -> dict[str, Any]:
    bins = calibration.reliability(answers.right, answers.confidence)
    median, high = calibration.ece_null_band(answers.confidence, seed=seed)
    columns = zip(
        bins.count.tolist(),
        bins.confidence.tolist(),
        bins.accuracy.tolist(),
        bins.low.tolist(),
        bins.high.tolist(),
        bins.edges.tolist(),
        strict=True,
    )
    rows = [
        {"n": n, "confidence": confidence, "accuracy": accuracy, "low": low, "high": up, "from": start, "to": end}
        for n, confidence, accuracy, low, up, (start, end) in columns
    ]
    ends = list(bins.interval())
    return {"bins": rows, "ece": {"value": bins.ece, "interval": ends}, "null_median": median, "null_95": high}


def surest_mistakes(answers: Answers) -> list[int]:
    """Places of the wrong answers, the surest first; equal confidence in row order."""
    wrong = np.flatnonzero(~answers.right)
    order: list[int] = wrong[np.argsort(-answers.confidence[wrong], kind="stable")].tolist()
    return order


def write(folder: Path, value: Mapping[str, Any], name: str = FILE) -> None:
    """Write a report's JSON, canonical. Raises ValueError if a number in it is not finite."""
    (folder / name).write_bytes(canonical_json(value) + b"\n")


def predictions(answers: Answers, row_ids: Sequence[str]) -> pa.Table:
    """Rows of row_id, label, predicted, scores (in the order of the labels, kept in the schema)."""
    labels = np.asarray(answers.labels, dtype=object)
    return pa.table(
        {
            "row_id": pa.array(row_ids, pa.string()),
            "label": pa.array(labels[answers.actual].tolist(), pa.string()),
            "predicted": pa.array(labels[answers.predicted].tolist(), pa.string()),
            "scores": pa.FixedSizeListArray.from_arrays(pa.array(answers.scores.ravel()), len(labels)).cast(
                pa.list_(pa.float64())
            ),
        }
    ).replace_schema_metadata({"labels": canonical_json(list(answers.labels)).decode()})


def write_predictions(folder: Path, table: pa.Table) -> None:
    pq.write_table(table, folder / PREDICTIONS, compression="zstd")
