"""Run by tests in a process of its own: trains once straight through and once with kill -9 at random moments.

    python kill_and_resume.py FOLDER SEED size[+axes]:kills …

Children are forked from here, where the libraries are already loaded: a kill costs no start-up. Prints one JSON line a
size: digests of both model folders, measurements, and how often a killed run went on from a checkpoint.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
sys.path.insert(0, str(Path(__file__).parents[1]))

import sklearn.svm  # noqa: F401
import transformers  # noqa: F401
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

from modelyard.base.canonical import digest_file
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


def train(root: Path, data: Path, size: str) -> None:
    shutil.rmtree(root / "outputs", ignore_errors=True)
    context = FakeContext(root, {"data": data}, seed=3)
    size, _, axes = size.partition("+")
    compute = {**CONFIG["compute"], "checkpoint_activations": size.startswith("encoder") and bool(axes)}
    run(Config(**{**CONFIG, **AXES[axes], "size": size, "compute": compute}), context)
    said = [line for line in context.said if "step" in line]
    measured = [[one.claim, one.value] for one in context.measurements]
    (root / "result.json").write_text(json.dumps({"said": said, "measured": measured}))


def child(root: Path, data: Path, size: str) -> int:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            train(root, data, size)
            code = 0
        finally:
            os._exit(code)
    return pid


def finish(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise SystemExit(f"a run ended with status {status}")


def digests(root: Path) -> dict[str, str]:
    folder = root / "outputs" / "model"
    return {str(path.relative_to(folder)): digest_file(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def compare(folder: Path, size: str, kills: int, draw: random.Random) -> dict[str, object]:
    data = write_dataset(folder / size / "data", {"train": reviews(240, 1), "validation": reviews(60, 2)})
    straight, killed = folder / size / "straight", folder / size / "killed"
    straight.mkdir()
    killed.mkdir()
    began = time.monotonic()
    finish(child(straight, data, size))
    whole = time.monotonic() - began
    hit = 0
    for _ in range(kills):
        pid = child(killed, data, size)
        time.sleep(draw.uniform(0.05, 0.7) * whole)
        os.kill(pid, signal.SIGKILL)
        hit += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    checkpoints = [str(path.relative_to(killed)) for path in killed.glob("scratch/*/0*")]
    finish(child(killed, data, size))
    results = [json.loads((root / "result.json").read_text()) for root in (straight, killed)]
    return {
        "size": size,
        "straight": digests(straight),
        "killed": digests(killed),
        "measured": [one["measured"] for one in results],
        "hit": hit,
        "checkpoints": checkpoints,
    }


if __name__ == "__main__":
    target, seed = Path(sys.argv[1]), int(sys.argv[2])
    for argument in sys.argv[3:]:
        name, count = argument.split(":")
        line = json.dumps(compare(target, name, int(count), random.Random(f"{seed}{name}")))
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
