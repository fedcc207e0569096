"""Robustness beside a reference, a checklist and membership through the command line, and rules that hold them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest
from support.tiny_reviews import reviews

pytestmark = pytest.mark.slow

PROJECT = """version: 1
project: tiny
steps:
  reviews: {uses: data.read, with: {path: reviews.csv, text: text, label: label}}
  split: {uses: data.split, with: {validation: 0.2, test: 0.4}}
  plain: {uses: train.text_classification, with: {size: linear, linear: {strengths: [0.0001]}}}
  classifier: {uses: train.text_classification, with: {size: linear, linear: {strengths: [1.0]}}}
  robust: {uses: evaluate.robustness, in: {reference: plain}, with: {kinds: [typos, homophones, appended_noise]}}
  check: {uses: evaluate.checklist, with: {tests: checklist.yaml}}
  leaks: {uses: evaluate.membership}
release:
  model: classifier
  rules:
    - {claim: robustness.worst_accuracy, min: 0.1}
    - {claim: robustness.mce, max: 50}
    - {claim: membership.blind_auc, max: 0.9}
    - {claim: checklist.failure_rate, slice: {test: marks}, max: 0.01}
"""
TESTS = "tests:\n- {name: marks, kind: INV, templates: ['{a}。'], fill: {a: [很好吃, 太慢]}, change: [。, ！]}\n"


def modelyard(*arguments, cwd):
    environment = {**os.environ, "MODELYARD_LANG": "en", "MODELYARD_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "modelyard", *arguments], cwd=cwd, env=environment, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("behaviour")
    with (folder / "reviews.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *reviews(400, 5)])
    (folder / "modelyard.yaml").write_text(PROJECT, encoding="utf-8")
    (folder / "checklist.yaml").write_text(TESTS, encoding="utf-8")
    return folder, modelyard("run", "--json", cwd=folder)


def test_rules_hold_what_was_measured_and_refuse_what_too_few_cases_cannot_show(done) -> None:
    _, result = done
    assert result.returncode == 7, result.stdout + result.stderr
    decision = json.loads(result.stdout)["decision"]
    held = {one["rule"]["claim"]: one["passed"] for one in decision["findings"]}
    assert held == {
        "robustness.worst_accuracy": True,
        "robustness.mce": True,
        "membership.blind_auc": True,
        # Two cases cannot show a rate below 0.01, whatever the model answers.
        "checklist.failure_rate": False,
    }


def test_a_mistake_of_the_checklist_stops_the_run_with_its_line_and_a_remedy(done) -> None:
    folder, _ = done
    (folder / "checklist.yaml").write_text(TESTS.replace("change:", "chnage:"), encoding="utf-8")
    result = modelyard("run", cwd=folder)
    assert result.returncode == 4
    told = result.stdout + result.stderr
    assert "checklist.yaml:2: unknown field `tests.0.chnage`" in told
    assert "did you mean `change`?" in told
