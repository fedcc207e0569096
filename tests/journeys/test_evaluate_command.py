"""`modelyard evaluate` on a release, beside another model, within a bound on time; `modelyard show history`."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from support.tiny_reviews import reviews

import modelyard
from modelyard.app import evaluating
from modelyard.app.show import history
from modelyard.errors import StoreError, UsageError

PROJECT = """version: 1
project: shop
steps:
  rows: {uses: data.read, with: {path: old.csv, text: text, label: label}}
  split: {uses: data.split, with: {validation: 0.2, test: 0.3}}
  classifier:
    uses: train.text_classification
    with: {size: linear, compute: {threads: 1, device: cpu, precision: fp32}}
  quality: {uses: evaluate.quality, with: {baselines: false, threads: 1}}
release: {model: classifier}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    for name, rows in (("old.csv", reviews(200, 1)), ("new.csv", reviews(60, 2))):
        with (folder / name).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows([("text", "label"), *rows])
    (folder / "modelyard.yaml").write_text(PROJECT)
    result = modelyard.run(folder)
    assert result.release is not None
    bundle = next(folder.rglob("release.json")).parent
    shutil.copytree(bundle / "model", folder / "copy")
    return folder


def test_a_release_is_compared_with_a_folder_and_a_second_time_costs_nothing(shop: Path) -> None:
    found = evaluating.evaluate("shop", families=(), against=shop / "copy", project=shop)
    assert found.done == ("comparison",)
    gain = next(item for item in found.evidence if item["claim"] == "comparison.accuracy_gain" and not item["slice"])
    assert gain["value"] == 0
    assert found.report is not None
    assert found.report.is_file()
    (opened,) = found.openings
    # The project's own measurement and this one; both models are the same bytes.
    assert (opened.runs, opened.models) == (2, 1)
    again = evaluating.evaluate("shop", families=(), against=shop / "copy", project=shop)
    assert again.openings == found.openings
    assert again.evidence == found.evidence


def test_a_file_of_rows_is_test_throughout(shop: Path) -> None:
    found = evaluating.evaluate(shop / "copy", data=shop / "new.csv", label="label", text="text", project=shop)
    accuracy = next(item for item in found.evidence if item["claim"] == "quality.accuracy" and not item["slice"])
    assert accuracy["n"] >= 58


def test_when_the_time_is_over_what_is_done_is_kept(shop: Path) -> None:
    found = evaluating.evaluate("shop", families=("latency",), max_seconds=0.01, project=shop)
    assert found.done == ()
    assert found.undone == ("latency",)


def test_one_family_that_fails_does_not_stop_the_others(shop: Path) -> None:
    sets = ["steps.comparison.with.columns=[town]"]
    found = evaluating.evaluate("shop", families=("comparison", "quality"), against="shop", sets=sets, project=shop)
    assert set(found.failed) == {"comparison"}
    assert found.done == ("quality",)


def test_what_cannot_be_measured_is_said_before_anything_runs(shop: Path) -> None:
    with pytest.raises(UsageError, match="fairnes"):
        evaluating.evaluate("shop", families=("fairnes",), project=shop)
    with pytest.raises(UsageError, match="another model"):
        evaluating.evaluate("shop", families=("comparison",), project=shop)
    with pytest.raises(UsageError, match="no test rows"):
        evaluating.evaluate(shop / "copy", project=shop)


def test_the_history_of_a_release_lists_what_was_measured_by_version(shop: Path) -> None:
    found = history("shop", claim="quality.accuracy", project=shop)
    assert {item["version"] for item in found} == {1}
    assert all(item["split"] == "test" and not item["slice"] for item in found)
    with pytest.raises(StoreError, match="nope"):
        history("nope", project=shop)
