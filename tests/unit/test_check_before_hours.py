"""`check` says before a run what would stop it after hours: secrets that are not set, rules that nothing measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelyard.app.plan import check

SECRETS = """\
version: 1
project: p
steps:
  read:
    uses: data.http_api
    with: {url: {secret: THE_URL}, headers: {X: {secret: THE_KEY}}, text: text, label: label}
"""
RULES = """\
version: 1
project: p
steps:
  read: {uses: data.read, with: {path: rows.csv, text: text, label: label}}
  clean: {uses: data.clean}
  split: {uses: data.split}
  train: {uses: train.text_classification}
  quality: {uses: evaluate.quality}
release:
  model: train
  rules:
    - {claim: quality.accuracy, min: 0.5}
    - {claim: train.validation_accuracy, min: 0.5}
    - {claim: data.duplicate_rate, max: 0.5}
    - {claim: data.duplicate_rate, of: clean, max: 0.5}
"""


def project(folder: Path, text: str) -> Path:
    (folder / "rows.csv").write_text("text,label\na,x\nb,y\n")
    path = folder / "modelyard.yaml"
    path.write_text(text)
    return path


def test_secrets_that_are_not_set_are_named_at_any_depth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("THE_KEY", raising=False)
    monkeypatch.setenv("THE_URL", "https://example.org/rows")
    path = project(tmp_path, SECRETS)
    (problem,) = check(path)
    assert problem.where == "modelyard.yaml:4 (read)"
    assert "`THE_KEY` is not set" in problem.found
    assert "THE_KEY" in problem.remedy
    monkeypatch.setenv("THE_KEY", "k")
    assert check(path) == []


def test_rules_about_what_a_step_reads_but_does_not_measure_are_found(tmp_path: Path) -> None:
    assert check(project(tmp_path, RULES)) == []
    more = (
        "    - {claim: data.duplicate_rate, of: read, max: 0.5}\n    - {claim: train.parameters, of: split, max: 9}\n"
    )
    duplicates, parameters = check(project(tmp_path, RULES + more))
    assert "measured by `clean` about `clean`, not about `read`" in duplicates.found
    assert "not about `split`" in parameters.found
