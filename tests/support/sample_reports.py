"""The parts of a sample record that stages write: quality report, curves, profiles."""

from __future__ import annotations

import math
from typing import Any

from modelyard.base.canonical import digest_json

CLAIMS = {
    "quality.accuracy": {
        "description": "share of rows whose predicted label is the true one",
        "unit": "",
        "better": "higher",
    },
    "quality.f1_macro": {
        "description": "mean over classes of the harmonic mean of precision and recall",
        "unit": "",
        "better": "higher",
    },
    "quality.ece": {"description": "expected calibration error, bins of equal mass", "unit": "", "better": "lower"},
    "latency.p95_ms": {"description": "95th percentile of the time one record takes", "unit": "ms", "better": "lower"},
    "size.bytes": {"description": "bytes of all files of the model", "unit": "bytes", "better": "lower"},
    "data.duplicate_rate": {"description": "share of rows whose text occurs before", "unit": "", "better": "lower"},
}

TEXTS = (
    ("房间很干净，服务员态度也好，就是隔音太差，半夜被走廊的声音吵醒了三次。总体还行吧。", "negative", "positive"),
    ("说实话第一次住的时候印象一般，这次升级了房型，早餐也丰富了，下次还会来。", "positive", "negative"),
    ("The food arrived cold and 40 minutes late, but the driver apologised. 给三星。", "negative", "positive"),
    ("不推荐？不，不推荐才怪！<b>强烈</b>安利给所有人", "positive", "negative"),
    ("屏幕不错，电池不行，快递很快，客服不理人。", "negative", "positive"),
    ("价格便宜是便宜，可是一分钱一分货。", "negative", "positive"),
    ("没有想象中的差", "positive", "negative"),
    ("比隔壁那家强多了，不过也就那样。", "negative", "positive"),
)


def digest(name: str) -> str:
    return digest_json(name)


def curve(start: float, end: float, steps: int, wobble: float, every: int = 1) -> list[list[float]]:
    points = []
    for step in range(0, steps + 1, every):
        part = step / steps
        points.append(
            [
                step,
                round(end + (start - end) * math.exp(-4 * part) + wobble * math.sin(step * 1.7) * (1 - 0.5 * part), 5),
            ]
        )
    return points


def roc(skill: float) -> dict[str, list[float]]:
    x = [index / 60 for index in range(61)]
    return {"fpr": x, "tpr": [round(1 - (1 - value) ** skill, 4) for value in x]}


def pr(skill: float) -> dict[str, list[float]]:
    x = [index / 60 for index in range(61)]
    return {"recall": x, "precision": [round(1 - 0.5 * value**skill, 4) for value in x]}


def interval(value: float, reach: float, n: int = 1946) -> dict[str, Any]:
    return {"value": value, "interval": [max(0.0, round(value - reach, 4)), min(1.0, round(value + reach, 4))], "n": n}


def by_class(label: str, n: int, precision: float, recall: float, f1: float) -> dict[str, Any]:
    metrics = {"precision": precision, "recall": recall, "f1": f1}
    return {"label": label, "n": n, **{name: interval(value, 0.021, n) for name, value in metrics.items()}}


def bins() -> list[dict[str, Any]]:
    scores = (0.53, 0.61, 0.7, 0.78, 0.85, 0.9, 0.94, 0.97, 0.985, 0.995)
    right = (0.55, 0.585, 0.66, 0.74, 0.83, 0.9, 0.925, 0.965, 0.99, 0.99)
    ends = [(max(0.0, b - 0.06), min(1.0, b + 0.05)) for b in right]
    return [
        {"confidence": a, "accuracy": b, "n": 195, "low": low, "high": high, "from": a - 0.03, "to": a + 0.005}
        for a, b, (low, high) in zip(scores, right, ends, strict=True)
    ]


def quality() -> dict[str, Any]:
    """`quality.json` as evaluate.quality writes it."""
    majority = {"accuracy": interval(0.5036, 0.022), "f1_macro": interval(0.3349, 0.01)}
    linear = {"accuracy": interval(0.8402, 0.0163), "f1_macro": interval(0.8401, 0.0163)}
    return {
        "version": 1,
        "n": 1946,
        "labels": ["negative", "positive"],
        "left_out": [],
        "predictor": {"runtime": "onnxruntime 1.22.0", "digest": digest("int8")},
        "overall": {"accuracy": interval(0.8782, 0.0145)},
        "confusion": [[838, 128], [109, 871]],
        "per_class": [
            by_class("negative", 966, 0.885, 0.8675, 0.8761),
            by_class("positive", 980, 0.8719, 0.8888, 0.8803),
        ],
        "roc": [{"label": "positive", **roc(9.0), "thresholds": [None] * 61, "auc": 0.9471}],
        "pr": [{"label": "positive", **pr(6.0), "thresholds": [None] * 61, "auc": 0.9433}],
        "reliability": {"bins": bins(), "ece": interval(0.0191, 0.015), "null_median": 0.0172, "null_95": 0.0261},
        "baselines": [
            {"name": "majority", "metrics": majority, "label": "positive"},
            {"name": "linear", "metrics": linear, "units": "characters", "c": 0.5},
        ],
        "gain_over_linear": {"value": 0.038, "interval": [0.0214, 0.0547], "n": 1946, "mcnemar_mid_p": 0.00001},
        "contamination": {"rows": 0, "share": 0.0},
        "mistakes": [
            {
                "row_id": f"r{index}",
                "text": text,
                "label": label,
                "predicted": predicted,
                "confidence": round(0.995 - 0.006 * index, 3),
            }
            for index, (text, label, predicted) in enumerate(TEXTS)
        ],
        "missing": {},
    }


def profile(rows: int, share: float, stretch: float = 1.0) -> dict[str, Any]:
    """A split's profile as data.split writes it."""
    quantiles = {"0": 2, "0.05": 9, "0.25": 24, "0.5": 47, "0.75": 88, "0.95": 203, "0.99": 311, "1": 1204}
    return {
        "rows": rows,
        "num_labels": 2,
        "labels": {"positive": round(rows * share), "negative": rows - round(rows * share)},
        "text_length": {
            "unit": "characters",
            "mean": 68.2,
            "quantiles": {name: round(value * stretch) for name, value in quantiles.items()},
        },
        "scripts": {"Han": 0.981, "Latin": 0.016, "none": 0.003},
    }
