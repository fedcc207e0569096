"""What a full evaluation costs: `modelyard evaluate RELEASE --with all` of the Chinese reviews, families side by side.

The example is run once (training is not counted), then a second release of a smaller model stands beside it. Every
family that fits is measured: quality, uncertainty, robustness, explanation, maps, membership, latency, the checklist of
the example, fairness by swapped words, and the comparison of both. Timed from a cold start of the command, with nothing
cached; then again one family after the other, and once more with everything cached.

    python benchmarks/evaluation.py [--rounds 3] [--jobs 2] [--rows 10000]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from common import HERE, WORK, markdown, write_result

EXAMPLE = HERE.parent / "examples" / "reviews-zh"
FOLDER = WORK / "evaluation"
MODELYARD = str(Path(sys.executable).with_name("modelyard"))
SETS = (
    "steps.checklist.with.tests=checklist.yaml",
    "steps.fairness.with.swaps=[gender, region]",
)


def prepare(rows: int) -> None:
    """Two releases of the example: as it is, and of a linear model."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(EXAMPLE, FOLDER, ignore=shutil.ignore_patterns(".modelyard"))
    project = (FOLDER / "modelyard.yaml").read_text(encoding="utf-8")
    (FOLDER / "modelyard.yaml").write_text(project.partition("  rules:")[0], encoding="utf-8")
    lines = (FOLDER / "reviews.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (FOLDER / "reviews.csv").write_text("".join(lines[: rows + 1]), encoding="utf-8")
    run(["run", "--quiet", "--release", "--set", "steps.classifier.with.size=linear"])
    run(["run", "--quiet"])


def run(arguments: list[str]) -> str:
    done = subprocess.run([MODELYARD, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr or done.stdout)
    return done.stdout


def evaluated(seed: int, jobs: int) -> tuple[float, dict[str, Any]]:
    """Seconds of the whole command, and what it found; a new seed makes every run new."""
    sets = [part for one in (*SETS, f"seed={seed}") for part in ("--set", one)]
    began = time.perf_counter()
    models = ["reviews-zh@2", "--against", "reviews-zh@1"]
    said = run(["evaluate", *models, "--with", "all", "--jobs", str(jobs), "--quiet", "--json", *sets])
    return time.perf_counter() - began, json.loads(said)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rows", type=int, default=10_000)
    options = parser.parse_args()
    prepare(options.rows)
    beside, alone, cached = [], [], []
    for place in range(options.rounds):
        seconds, found = evaluated(100 + place, options.jobs)
        beside.append(seconds)
        alone.append(evaluated(200 + place, 1)[0])
        cached.append(evaluated(100 + place, options.jobs)[0])
    rows = [
        [name, f"{statistics.median(times):.1f}", f"{min(times):.1f}–{max(times):.1f}"]
        for name, times in (
            (f"nothing cached, {options.jobs} families side by side", beside),
            ("nothing cached, one after the other", alone),
            ("everything cached", cached),
        )
    ]
    body = markdown(["`modelyard evaluate reviews-zh@2 --with all --against reviews-zh@1`", "seconds", "min–max"], rows)
    body += f"\n\nFamilies measured: {', '.join(found['done'])}. Figures: {len(found['evidence'])}."
    left = [f"- {name}: {reason}" for name, reason in found["left_out"].items()]
    body += "\n\nLeft out, as the command says:\n\n" + "\n".join(left)
    write_result("evaluation", "A full evaluation", body, [f"modelyard {version('modelyard')}"])


if __name__ == "__main__":
    main()
