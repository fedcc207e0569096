"""A project on the first rows of the bundled e-mails, and the real command line to run it."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "spam-en"

PROJECT = """version: 1
project: mail
steps:
  mail: {uses: data.read, with: {path: mail.csv, text: text, label: label}}
  clean: {uses: data.clean}
  split: {uses: data.split, with: {validation: 0.15, test: 0.3}}
  classifier: {uses: train.text_classification, with: {size: SIZE}}
  int8: {uses: compress.quantize, with: {calibration_rows: 64}}
  quality: {uses: evaluate.quality}
  latency: {uses: evaluate.latency, with: {records: 200}}
  card: {uses: report.card}
release:
  model: int8
  rules:
    - {claim: quality.accuracy, min: 0.85}
    - {claim: data.duplicate_rate, of: clean, max: 0.01}
    - {claim: latency.p95_ms, max: 2000}
"""


def modelyard(*arguments, cwd, check=True, lang="en"):
    environment = {**os.environ, "MODELYARD_LANG": lang, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "modelyard", *arguments], cwd=cwd, capture_output=True, text=True, env=environment
    )
    if check and done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def write_project(folder: Path, size="linear", rows=700, text=PROJECT) -> Path:
    """A project on the first rows of the bundled e-mails."""
    folder.mkdir(parents=True, exist_ok=True)
    source = next(path for path in sorted(EXAMPLE.iterdir()) if path.suffix in (".csv", ".tsv"))
    with source.open(encoding="utf-8", newline="") as stream:
        table = list(csv.reader(stream, delimiter="\t" if source.suffix == ".tsv" else ","))
    with (folder / "mail.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(table[: rows + 1])
    (folder / "modelyard.yaml").write_text(text.replace("SIZE", size))
    return folder


def outputs(result):
    """Step to its outputs, of a run's JSON."""
    return {step["step"]: step["outputs"] for step in result["steps"]}
