"""`modelyard evaluate` on a release, beside another model, within a bound on time; `modelyard show history`."""

from __future__ import annotations

import csv
import re
import shutil
import sys
from pathlib import Path

import pytest
from support.tiny_reviews import reviews

import modelyard
from modelyard.app import evaluating
from modelyard.app.deadline import Deadline
from modelyard.app.session import open_store
from modelyard.app.show import history
from modelyard.core.evidence import Evidence
from modelyard.engine.bench import Bench
from modelyard.engine.events import Silent
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


def test_families_side_by_side_measure_what_they_measure_one_by_one(shop: Path) -> None:
    wanted = ("quality", "robustness", "uncertainty")
    sets = ["steps.robustness.with.rows=30", "seed=4"]
    one = evaluating.evaluate("shop", families=wanted, sets=sets, jobs=1, project=shop)
    assert set(one.done) == set(wanted)
    beside = evaluating.evaluate("shop", families=wanted, sets=[*sets[:1], "seed=5"], jobs=2, project=shop)
    assert beside.done == one.done
    # Only the seed differs, of which point values of quality know nothing.
    values = [{e["claim"]: e["value"] for e in found.evidence if e["claim"].startswith("quality.") and not e["slice"]}
              for found in (one, beside)]  # fmt: skip
    assert values[0] == values[1]
    heard = Heard()
    evaluating.evaluate("shop", families=wanted, sets=sets, jobs=2, project=shop, listener=heard)
    assert heard.cached >= set(wanted)


class Heard(Silent):
    """What was told."""

    def __init__(self) -> None:
        self.cached: set[str] = set()
        self.done: set[str] = set()

    def step_cached(self, step: str, uses: str, position: int, total: int) -> None:
        self.cached.add(step)

    def step_done(self, step: str, seconds: float) -> None:
        self.done.add(step)


def ends(item: Evidence) -> tuple[str, str]:
    """As the page writes them; of an exact value both are the value."""
    interval = (item.value, item.value) if item.interval == "exact" else item.interval
    return (repr(interval[0]), repr(interval[1])) if interval else ("", "")


def test_all_leaves_out_what_does_not_fit_and_says_why(shop: Path) -> None:
    sets = ["steps.robustness.with.rows=30", "steps.explanation.with.rows=3", "steps.explanation.with.test_rows=20"]
    heard = Heard()
    found = evaluating.evaluate("shop", families=("all",), sets=sets, jobs=2, project=shop, listener=heard)
    assert found.failed == {}
    assert {"quality", "latency", "robustness", "uncertainty", "explanation"} <= set(found.done)
    assert "columns" in found.left_out["fairness"]
    assert "tests" in found.left_out["checklist"]
    assert "language models" in found.left_out["memorization"]
    assert {"latency", "robustness"} <= heard.done  # told by workers and here alike
    # Every figure of every family on the page is one measurement of the ledger: claim, value, ends and n together.
    assert found.report is not None
    subjects = {item["subject"] for item in found.evidence}
    with open_store(shop) as (_, store):
        ledger = store.ledger.evidence_about(subjects)
    known = {(item.claim, repr(item.value), *ends(item), str(item.n)) for item in ledger}
    tags = re.findall(r"<[^>]*data-claim=[^>]*>", found.report.read_text(encoding="utf-8"))
    shown = [dict(re.findall(r'data-(\w+)="([^"]*)"', tag)) for tag in tags]
    figures = {tuple(one.get(name, "") for name in ("claim", "value", "low", "high", "n")) for one in shown}
    assert figures <= known, sorted(figures - known)[:5]
    assert {one[0].partition(".")[0] for one in figures} >= {"quality", "robustness", "uncertainty", "latency"}


def test_what_is_cut_by_the_time_is_said_with_its_rows_and_passes_no_gate(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from modelyard.engine.repeat import side_by_side

    real = side_by_side._here

    def out_of_time(bench: Bench, name: str, *rest: object) -> object:
        if name == "robustness":
            raise KeyboardInterrupt
        return real(bench, name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(side_by_side, "_here", out_of_time)
    monkeypatch.setattr(evaluating, "Deadline", Never)
    sets = ["steps.robustness.with.rows=48", "seed=9"]
    found = evaluating.evaluate("shop", families=("robustness",), sets=sets, max_seconds=60, jobs=1, project=shop)
    assert found.done == ()
    assert found.undone == ()
    assert found.cut == {"robustness": {"rows": (48, 6)}}
    cut = [item for item in found.evidence if item["claim"] == "robustness.worst_accuracy" and not item["slice"]]
    assert [item["n"] for item in cut] == [6]
    assert found.report is not None
    assert found.to_json()["cut"] == {"robustness": {"rows": [48, 6]}}
    (looked,) = found.openings
    monkeypatch.undo()
    again = evaluating.evaluate("shop", families=("robustness",), sets=sets, max_seconds=600, jobs=1, project=shop)
    assert again.cut == {}
    whole = [item for item in again.evidence if item["claim"] == "robustness.worst_accuracy" and not item["slice"]]
    assert [item["n"] for item in whole] == [48]
    # One look at the test rows, not two: the whole has told all that the part had.
    assert again.openings == (looked,)
    # A gate reads evidence by evaluator: what was cut has another than what is whole.
    assert whole[0]["evaluator"] != cut[0]["evaluator"]


class Never(Deadline):
    """A bound on time that is over as soon as something is interrupted."""

    def over(self) -> bool:
        return sys.exc_info()[0] is not None


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
