"""A gate on fairness, through the command line: it refuses a model that differs between groups and passes the same
kind of model learned with exponentiated gradient."""

from __future__ import annotations

import csv
import random

import pytest
from support.mail_project import modelyard as command

import modelyard

PROJECT = """version: 1
project: loans
steps:
  rows: {uses: data.read, with: {path: rows.csv, label: paid}}
  split: {uses: data.split, with: {validation: 0.2, test: 0.4}}
  plain: {uses: train.tabular, with: {kind: linear, linear: {strengths: [1.0]}, compute: {threads: 1}}}
  mitigated:
    uses: train.tabular
    in: {data: split}
    with:
      kind: linear
      linear: {strengths: [1.0]}
      compute: {threads: 1}
      fairness: {kind: exponentiated_gradient, columns: [sex], gap: 0.02, sees_groups: true}
  picture:
    uses: evaluate.trade_off
    in: {models: [plain, mitigated], data: split}
    with: {columns: [sex], names: [plain, mitigated]}
  quality: {uses: evaluate.quality, in: {model: MODEL}, with: {baselines: false, examples: 0}}
  fair: {uses: evaluate.fairness, in: {model: MODEL}, with: {columns: [sex]}}
release:
  model: MODEL
  rules:
    - {claim: quality.accuracy, min: 0.7}
    - {claim: fairness.demographic_parity_difference, max: 0.15, slice: {by: sex}}
"""
GATE = 7


@pytest.fixture
def loans(tmp_path):
    """Rows in which `income` follows the sex, and the label the income: leaving `sex` out mends nothing."""
    draw = random.Random(0)
    with (tmp_path / "rows.csv").open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(["sex", "income", "merit", "paid"])
        for _ in range(4000):
            sex, merit = draw.choice(["f", "m"]), draw.gauss(0, 1)
            income = draw.gauss(1.0 if sex == "m" else 0.0, 0.5)
            paid = "yes" if merit + 0.5 * (income - 0.5) + draw.gauss(0, 0.3) > 0 else "no"
            writer.writerow([sex, round(income, 3), round(merit, 3), paid])
    return tmp_path


def run(folder, model):
    (folder / "modelyard.yaml").write_text(PROJECT.replace("MODEL", model), encoding="utf-8")
    return command("run", cwd=folder, check=False)


def test_a_gate_on_fairness_refuses_the_plain_model_and_passes_the_mitigated(loans):
    refused = run(loans, "plain")
    assert refused.returncode == GATE, refused.stderr
    assert "fairness.demographic_parity_difference" in refused.stdout
    passed = run(loans, "mitigated")
    assert passed.returncode == 0, passed.stdout
    spots = {
        (one["claim"], one["slice"]["model"]): one["value"] for one in modelyard.evidence("picture", project=loans)
    }
    assert spots["trade_off.gap", "plain"] > 0.12 > spots["trade_off.gap", "mitigated"]
    assert spots["trade_off.accuracy_cost", "mitigated"] > 0
