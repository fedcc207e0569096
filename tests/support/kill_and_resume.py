"""Run by tests in a process of its own: trains once straight through and once with kill -9 at random moments.

    python kill_and_resume.py FOLDER SEED size[+axes]:kills …

Prints one JSON line a size: digests of both model folders, measurements, checkpoints a killed run had left.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))

import sklearn.svm  # noqa: F401
import transformers  # noqa: F401
from support.fake_context import FakeContext
from support.killing import compare, tell_all
from support.tiny_reviews import reviews, write_dataset

from modelyard.methods.runtimes import load  # noqa: F401
from modelyard.methods.training import saving, text_classifier  # noqa: F401
from modelyard.stages.train.text_classification import Config, run

CONFIG = {
    "epochs": 4,
    "batch_size": 8,
    "accumulation": 2,
    "reading": {"vocabulary_size": 400, "max_length": 32},
    "compute": {"threads": 1, "checkpoint_seconds": 0, "device": "cpu"},
    "early_stopping": {"patience": 0},
}
AXES = {
    "": {},
    "muon": {"optimizer": {"name": "muon", "layer_decay": 0.8}, "ema": {"decay": 0.9}, "batch_size": "auto"},
    "lion": {
        "optimizer": {"name": "lion", "unfreeze": 0.5},
        "schedule": {"name": "wsd"},
        "loss": {"name": "focal"},
        "regularization": {"l2": 1e-4},
        "initialization": {"name": "orthogonal"},
    },
}
"""Settings beside the usual ones."""


def compared(folder: Path, size: str, kills: int, draw: random.Random) -> dict[str, Any]:
    data = write_dataset(folder / size / "data", {"train": reviews(240, 1), "validation": reviews(60, 2)})
    plain, _, axes = size.partition("+")
    compute = {**CONFIG["compute"], "checkpoint_activations": plain.startswith("encoder") and bool(axes)}
    config = Config(**{**CONFIG, **AXES[axes], "size": plain, "compute": compute})

    def train(root: Path) -> list[list[Any]]:
        context = FakeContext(root, {"data": data}, seed=3)
        run(config, context)
        return [[one.claim, one.value] for one in context.measurements]

    return compare(folder / size, train, kills, (0.05, 0.7), draw)


if __name__ == "__main__":
    tell_all("size", compared)
