"""A real classifier, searched and cross-validated through the command line."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.tiny_reviews import reviews

from modelyard.methods.data.dataset import Dataset

pytestmark = pytest.mark.slow

PROJECT = """version: 1
project: tiny
steps:
  reviews: {uses: data.read, with: {path: reviews.csv, text: text, label: label}}
  split: {uses: data.split, with: {validation: 0.2, test: 0.3}}
  classifier: {uses: train.text_classification, with: {size: linear}}
  held: {uses: evaluate.validation}
  cv: {folds: {steps: [classifier, held], k: 2}}
  tuned:
    search:
      steps: [classifier, held]
      space: {classifier.linear.strengths: [[0.1], [1.0]]}
      objective: held.quality.f1_macro
  quality: {uses: evaluate.quality, with: {baselines: false}}
  card: {uses: report.card}
release:
  model: tuned
  rules:
    - {claim: quality.accuracy, min: 0.5}
    - {claim: folds.accuracy, of: cv, min: 0.5}
"""


def modelyard(*arguments, cwd):
    environment = {**os.environ, "MODELYARD_LANG": "en", "MODELYARD_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "modelyard", *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    with (folder / "reviews.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *reviews(300, 5)])
    (folder / "modelyard.yaml").write_text(PROJECT)
    result = modelyard("run", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout)


def rows_of(folder, name, split):
    path = json.loads(modelyard("show", "artifact", name, "--json", cwd=folder).stdout)["path"]
    return Dataset.open(Path(path)).table(split).to_pylist()


def test_the_released_model_is_the_best_trial(done):
    folder, result = done
    search = json.loads(modelyard("show", "search", "tuned", "--json", cwd=folder).stdout)
    assert [trial["state"] for trial in search["trials"]] == ["done", "done"]
    best = max(search["trials"], key=lambda trial: (trial["scores"][0], -trial["number"]))
    assert search["winner"] == best["number"]
    assert all(trial["seconds"] > 0 for trial in search["trials"])
    outputs = {step["step"]: step["outputs"] for step in result["steps"]}
    assert outputs["tuned"]["model"] == outputs["classifier"]["model"] == result["release"]["model"]
    shown = modelyard("show", "search", "tuned", cwd=folder).stdout
    assert "grid, 2 of 2 trials" in shown
    assert "★" in shown


def test_the_predictions_are_out_of_fold_for_every_row_but_test(done):
    folder, _ = done
    predictions = rows_of(folder, "cv.predictions", "all")
    given = {part: [row["row_id"] for row in rows_of(folder, "split.data", part)] for part in ("train", "validation")}
    assert Counter(row["row_id"] for row in predictions) == Counter(given["train"] + given["validation"])
    assert sorted({row["fold"] for row in predictions}) == [1, 2]
    assert all(abs(sum(json.loads(row["scores"]).values()) - 1) < 1e-4 for row in predictions)


def test_the_mean_over_folds_is_that_of_the_predictions(done):
    folder, _ = done
    evidence = json.loads(
        modelyard("show", "evidence", "cv.report", "--claim", "folds.accuracy", "--json", cwd=folder).stdout
    )
    predictions = rows_of(folder, "cv.predictions", "all")
    by_fold = {}
    for row in predictions:
        by_fold.setdefault(row["fold"], []).append(row["label"] == row["predicted"])
    means = [sum(found) / len(found) for _, found in sorted(by_fold.items())]
    assert evidence[0]["value"] == pytest.approx(sum(means) / 2)
    assert evidence[0]["interval"][0] < evidence[0]["value"] < evidence[0]["interval"][1]


def test_a_second_run_is_cached_and_plan_says_so(done):
    folder, first = done
    result = json.loads(modelyard("run", "--json", cwd=folder).stdout)
    assert all(step["cached"] for step in result["steps"])
    assert result["release"] == first["release"]
    plan = json.loads(modelyard("plan", "--json", cwd=folder).stdout)
    assert {step["state"] for step in plan["steps"]} == {"cached"}
    assert next(step for step in plan["steps"] if step["step"] == "tuned")["trials"] == {"planned": 2, "done": 2}
