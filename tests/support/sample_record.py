"""Records as the engine writes them, of made-up projects: Chinese reviews, banking requests with 77 classes."""

from __future__ import annotations

import copy
import math
from typing import Any

from support.sample_reports import CLAIMS, curve, digest, interval, pr, profile, quality, roc


def evidence(claim: str, value: float, low: float | None, high: float | None, n: int, **more: Any) -> dict[str, Any]:
    return {
        "claim": claim,
        "value": value,
        "low": low,
        "high": high,
        "exact": False,
        "n": n,
        "unit": "",
        "subject": digest("int8"),
        "subject_step": "int8",
        "dataset": digest("split"),
        "split": "test",
        "slice": {},
        "run": 9,
        "evaluator": digest("evaluator"),
        "withdrawn": None,
        **more,
    }


def _run(
    step: str, uses: str, inputs: list[tuple[str, str]], port: str, kind: str, size: int, **more: Any
) -> dict[str, Any]:
    return {
        "step": step,
        "uses": uses,
        "seed": 0,
        "settings": {},
        "key": digest("key" + step),
        "code": digest("code" + step),
        "libraries": {"numpy": "2.3.1", "pyarrow": "21.0.0"},
        "inputs": [
            {"port": name, "digest": digest(source), "splits": [], "from_step": source} for name, source in inputs
        ],
        "outputs": [{"port": port, "digest": digest(step), "kind": kind, "size": size}],
        "notes": [],
        "environment": {"python": "3.11.9"},
        **more,
    }


def _runs() -> list[dict[str, Any]]:
    return [
        _run(
            "reviews",
            "data.read",
            [],
            "data",
            "dataset",
            1_482_113,
            settings={"path": "reviews.csv", "text": "review", "label": "label"},
            notes=["read 10,012 rows of reviews.csv (UTF-8); 12 bad rows kept apart"],
        ),
        _run(
            "clean",
            "data.clean",
            [("data", "reviews")],
            "data",
            "dataset",
            1_401_220,
            settings={"unicode": "NFC", "duplicates": "drop"},
            notes=["243 exact duplicates and 31 rows with two labels taken out"],
        ),
        _run(
            "split",
            "data.split",
            [("data", "clean")],
            "data",
            "dataset",
            1_409_118,
            settings={"validation": 0.1, "test": 0.2, "stratify": True},
        ),
        _run(
            "classifier",
            "train.text_classification",
            [("data", "split")],
            "model",
            "model",
            12_740_996,
            seconds=148.2,
            libraries={"torch": "2.8.0", "tokenizers": "0.22.0", "accelerate": "1.10.0", "numpy": "2.3.1"},
            settings={
                "base": "scratch",
                "size": "auto",
                "epochs": 6,
                "batch_tokens": 4096,
                "optimizer": {"name": "adamw", "learning_rate": 0.0007, "weight_decay": 0.01},
                "schedule": {"name": "cosine", "warmup": 0.06},
                "label_smoothing": 0.05,
            },
            notes=[
                "tried linear n-grams (0.862), CNN (0.868), encoder (0.859) on validation: CNN chosen",
                "stopped early after epoch 5 of 6",
            ],
        ),
        _run(
            "int8",
            "compress.quantize",
            [("model", "classifier"), ("data", "split")],
            "model",
            "model",
            3_311_842,
            settings={"calibration_rows": 512},
            notes=["int8, static, per channel; 2 of 973 validation answers changed"],
        ),
        _run(
            "quality",
            "evaluate.quality",
            [("model", "int8"), ("data", "split")],
            "report",
            "report",
            60_113,
            settings={"baselines": ["majority", "linear"]},
        ),
        _run(
            "latency",
            "evaluate.latency",
            [("model", "int8"), ("data", "split")],
            "report",
            "report",
            2_113,
            settings={"threads": 1},
        ),
    ]


def _evidence() -> list[dict[str, Any]]:
    about_split = {"subject": digest("split"), "subject_step": "split"}
    timing = {"unit": "ms", "dataset": digest("split"), "run": 10}
    about_clean = {
        "subject": digest("clean"),
        "subject_step": "clean",
        "dataset": digest("clean"),
        "split": "all",
        "run": 4,
    }
    return [
        evidence("quality.accuracy", 0.8782, 0.8630, 0.8920, 1946),
        evidence("quality.f1_macro", 0.8782, 0.8634, 0.8925, 1946),
        evidence("quality.balanced_accuracy", 0.8781, 0.8632, 0.8924, 1946),
        evidence("quality.roc_auc", 0.9471, 0.9372, 0.9561, 1946),
        evidence("quality.pr_auc", 0.9433, 0.9301, 0.9547, 1946),
        evidence("quality.log_loss", 0.3124, 0.2896, 0.3361, 1946),
        evidence("quality.brier", 0.1781, 0.1633, 0.1936, 1946),
        evidence("quality.ece", 0.0191, 0.0041, 0.0342, 1946),
        evidence("quality.mcc", 0.7565, 0.7267, 0.7850, 1946),
        evidence("quality.gain_over_linear", 0.0380, 0.0214, 0.0547, 1946),
        evidence("quality.baseline_majority_accuracy", 0.5036, 0.4814, 0.5258, 1946, **about_split),
        evidence("quality.baseline_linear_accuracy", 0.8402, 0.8233, 0.8558, 1946, **about_split),
        evidence("data.test_contamination", 0.0, 0.0, 0.0, 1946, exact=True, **about_split),
        evidence("quality.recall", 0.8675, 0.8446, 0.8874, 966, slice={"class": "negative"}),
        evidence("quality.recall", 0.8888, 0.8676, 0.9070, 980, slice={"class": "positive"}),
        evidence("latency.p50_ms", 1.12, 1.09, 1.15, 400, **timing),
        evidence("latency.p95_ms", 2.04, 1.93, 2.21, 400, **timing),
        evidence("latency.p99_ms", 2.91, 2.52, 3.60, 400, **timing),
        evidence("latency.throughput", 2412.0, 2360.0, 2461.0, 20, unit="rows/s", run=10),
        evidence("compress.label_agreement", 0.9979, 0.9926, 0.9994, 973, split="validation", run=6),
        evidence("compress.size_ratio", 0.26, 0.26, 0.26, 1, exact=True, dataset="", split="", run=6),
        evidence(
            "size.bytes", 3_311_842, 3_311_842, 3_311_842, 1, exact=True, unit="bytes", dataset="", split="", run=6
        ),
        evidence("data.duplicate_rate", 0.0, 0.0, 0.0, 9726, exact=True, **about_clean),
        evidence("data.conflict_rate", 0.0, 0.0, 0.0, 9726, exact=True, **about_clean),
        evidence(
            "quality.accuracy",
            0.8790,
            0.8637,
            0.8928,
            1946,
            subject=digest("classifier"),
            subject_step="classifier",
            run=8,
        ),
        evidence(
            "quality.accuracy",
            0.9012,
            0.8870,
            0.9137,
            1946,
            withdrawn="lin: measured before the duplicate rows were found",
            run=3,
        ),
    ]


def sample_record() -> dict[str, Any]:
    """A released model of Chinese reviews."""
    return {
        "version": 1,
        "project": "reviews",
        "title": "Review sentiment, Chinese",
        "model": {
            "digest": digest("int8"),
            "step": "int8",
            "format": "onnx",
            "precision": "int8",
            "task": "text-classification",
            "labels": ["negative", "positive"],
            "licence": "Apache-2.0",
            "size_bytes": 3_311_842,
            "parameters": 3_184_130,
            "card": {"task": "text-classification", "preprocessing": {"kind": "tokens", "max_length": 256}},
        },
        "decision": {
            "state": "released",
            "passed": True,
            "findings": [
                {
                    "rule": "quality.accuracy >= 0.8",
                    "passed": True,
                    "reason": "0.863 is at least 0.8",
                    "value": 0.8782,
                    "low": 0.8630,
                    "high": 0.8920,
                    "n": 1946,
                },
                {
                    "rule": "data.duplicate_rate of clean <= 0.01",
                    "passed": True,
                    "reason": "0 is at most 0.01",
                    "value": 0.0,
                    "low": 0.0,
                    "high": 0.0,
                    "n": 9726,
                },
                {
                    "rule": "latency.p95_ms <= 20",
                    "passed": True,
                    "reason": "2.21 is at most 20",
                    "value": 2.04,
                    "low": 1.93,
                    "high": 2.21,
                    "n": 400,
                },
            ],
        },
        "release": {"name": "reviews", "version": 3, "created": "2026-03-02T08:15:00Z"},
        "runs": _runs(),
        "evidence": _evidence(),
        "curves": {
            "classifier": {
                "loss": curve(0.71, 0.16, 480, 0.02, 2),
                "validation_loss": curve(0.69, 0.31, 480, 0.002, 40),
                "learning_rate": [
                    [step, 7e-4 * min(step / 30, 0.5 + 0.5 * math.cos(math.pi * step / 480))]
                    for step in range(0, 481, 8)
                ],
                "validation_accuracy": [[step, 0.5 + 0.375 * (1 - math.exp(-step / 90))] for step in range(0, 481, 40)],
            }
        },
        "reports": {
            "quality": quality(),
            "latency": {
                "histogram": {
                    "edges_ms": [0.8 * 1.12**index for index in range(16)],
                    "counts": [3, 21, 88, 131, 97, 62, 38, 22, 13, 9, 6, 4, 3, 2, 1],
                },
                "by_length": [
                    {"length": 20 * size, "p50_ms": 0.8 + 0.1 * size, "p95_ms": 1 + 0.3 * size}
                    for size in (1, 2, 3, 5, 10)
                ],
                "machine": {"system": "Linux", "architecture": "x86_64", "cores": 2},
                "memory": {"increase_bytes": 41_000_000, "note": "approximate, libraries included"},
                "by_batch": [
                    {"batch": size, "p50_ms": 0.9 + 0.31 * size, "p95_ms": 1.6 + 0.4 * size}
                    for size in (1, 4, 8, 16, 32)
                ],
                "runtime": "onnxruntime 1.22.0",
                "threads": 1,
            },
        },
        "data": {
            "source": {
                "path": "reviews.csv",
                "licence": "CC-BY-4.0",
                "labels": "weak: taken from star ratings, not read by a person",
            },
            "columns": [
                {"name": "review", "role": "text", "type": "string"},
                {"name": "label", "role": "label", "type": "string"},
                {"name": "row_id", "role": "other", "type": "string"},
            ],
            "splits": {
                "train": {"rows": 6807, "profile": profile(6807, 0.504)},
                "validation": {"rows": 973, "profile": profile(973, 0.504, 1.04)},
                "test": {"rows": 1946, "profile": profile(1946, 0.504, 0.97)},
            },
            "removed": {
                "reviews": {"wrong number of columns": 12},
                "clean": {"exact duplicate": 243, "same text, two labels": 31},
            },
        },
        "openings": 2,
        "environment": {
            "python": "3.11.9",
            "platform": "Linux 6.1 x86_64",
            "processor": "Intel Xeon 2.8 GHz",
            "cores": 2,
            "threads": 2,
        },
        "claims": copy.deepcopy(CLAIMS),
    }


def refused_record() -> dict[str, Any]:
    """The same model with a bound it cannot prove."""
    record = sample_record()
    finding = {
        "rule": "quality.accuracy >= 0.88",
        "passed": False,
        "reason": "the low end 0.863 is below 0.88",
        "value": 0.8782,
        "low": 0.8630,
        "high": 0.8920,
        "n": 1946,
    }
    record["decision"] = {
        "state": "refused",
        "passed": False,
        "findings": [*record["decision"]["findings"][1:], finding],
    }
    record["release"] = None
    return record


def draft_record() -> dict[str, Any]:
    """The same model, no rules."""
    return {**sample_record(), "decision": {"state": "draft", "passed": True, "findings": []}, "release": None}


def bare_record() -> dict[str, Any]:
    """The least a record can be."""
    return {"version": 1, "project": "empty", "title": "", "model": {"digest": digest("m"), "step": "m"}}


def many_classes(num: int = 77) -> dict[str, Any]:
    """A record with many classes, few test rows each, one of them with a huge name and one with none."""
    record = sample_record()
    labels = [
        f"request_{index:02d}_about_{['card', 'payment', 'transfer', 'top-up'][index % 4]}" for index in range(num)
    ]
    labels[3] = "a_label_that_never_ends_" * 20
    support = [40 if index % 5 else 12 for index in range(num)]
    support[7] = 0
    matrix = [[0] * num for _ in range(num)]
    for index, rows in enumerate(support):
        wrong = min(rows, index % 6)
        matrix[index][index] = rows - wrong
        for step in range(wrong):
            matrix[index][(index + 1 + 7 * step) % num] += 1
    report = record["reports"]["quality"]
    report |= {"labels": labels, "confusion": matrix, "n": sum(support)}
    shares = [matrix[index][index] / rows if rows else None for index, rows in enumerate(support)]
    report["per_class"] = [
        {
            "label": label,
            "n": rows,
            **{name: share if share is None else interval(share, 0.1, rows) for name in ("precision", "recall", "f1")},
        }
        for label, rows, share in zip(labels, support, shares, strict=True)
    ]
    record["evidence"] = [item for item in record["evidence"] if not item["slice"]] + [
        evidence("quality.recall", share, max(0.0, share - 0.1), min(1.0, share + 0.1), rows, slice={"class": label})
        for label, rows, share in zip(labels, support, shares, strict=True)
        if share is not None
    ]
    report["roc"] = [
        {"label": label, **roc(5 + index % 9), "auc": 0.9 + 0.001 * (index % 80)} for index, label in enumerate(labels)
    ]
    report["pr"] = [
        {"label": label, **pr(4 + index % 9), "auc": 0.85 + 0.001 * (index % 80)} for index, label in enumerate(labels)
    ]
    record["model"] |= {"labels": labels}
    record["title"] = "Banking requests, 77 intents"
    record["data"]["splits"]["train"]["profile"]["labels"] = {
        label: 4 * rows + 20 for label, rows in zip(labels, support, strict=True)
    }
    return record
