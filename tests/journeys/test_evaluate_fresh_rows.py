"""`modelyard evaluate` on a file of rows: its columns, rows known from training, refusals before anything is asked."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.hostile_http import Answer, Asked, site
from support.tiny_reviews import reviews

import modelyard
from modelyard.app.evaluating import Evaluated, evaluate
from modelyard.app.evaluation_telling import Telling
from modelyard.engine.events import Silent
from modelyard.errors import InputError, UsageError

PROJECT = """version: 1
project: tweets
steps:
  rows: {uses: data.read, with: {path: old.csv, text: tweet, label: kind}}
  split: {uses: data.split, with: {validation: 0.2, test: 0.3}}
  classifier:
    uses: train.text_classification
    with: {size: linear, compute: {threads: 1, device: cpu, precision: fp32}}
release: {model: classifier}
"""
STYLES = ("plain", "loud")


def write(path: Path, rows: Sequence[Sequence[str]], label: str = "kind", more: bool = True) -> Path:
    """Rows of (tweet, label), beside them columns that look more like a label."""
    lines = [(text, kind, "3", STYLES[place % 2]) for place, (text, kind) in enumerate(rows)]
    with path.open("w", newline="", encoding="utf-8") as stream:
        head = ("tweet", label, "annotators", "style")
        csv.writer(stream).writerows([line if more else line[:2] for line in (head, *lines)])
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tweets")
    write(folder / "old.csv", reviews(200, 1))
    (folder / "modelyard.yaml").write_text(PROJECT)
    assert modelyard.run(folder).release is not None
    bundle = next(folder.rglob("release.json")).parent
    shutil.copytree(bundle, folder / "bundle")
    return folder


def figure(found: Evaluated, claim: str) -> dict[str, Any] | None:
    return next((dict(one) for one in found.evidence if one["claim"] == claim and not one["slice"]), None)


def test_the_columns_are_those_the_release_was_made_from_and_are_told(shop: Path) -> None:
    fresh = write(shop / "fresh.csv", reviews(40, 2))
    told = Heard()
    found = evaluate("tweets", data=fresh, project=shop, listener=told)
    assert figure(found, "quality.accuracy")["n"] == 40  # type: ignore[index]
    assert "label = `kind`" in found.columns
    assert found.columns in told.notes
    assert figure(found, "data.test_contamination") is not None


def test_another_name_is_found_by_the_models_classes(shop: Path) -> None:
    fresh = write(shop / "renamed.csv", reviews(40, 2), label="mood")
    assert "label = `mood`" in evaluate("tweets", data=fresh, project=shop).columns
    with pytest.raises(InputError, match="does not know"):
        evaluate("tweets", families=("comparison",), against="tweets", data=fresh, label="style", project=shop)


def test_labels_that_the_model_does_not_know_are_refused_before_an_endpoint_is_asked(shop: Path) -> None:
    fresh = write(shop / "strange.csv", [(text, f"{kind}!") for text, kind in reviews(20, 2)])
    calls: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        calls.append(asked)
        return Answer(b"{}", 200, {"content-type": "application/json"})

    with site({"/v1/chat/completions": answer}) as running:
        sets = [f"steps.{one}.with.{what}" for one in ("against", "model")
                for what in ("model=tiny", "classes=[bad, good]")]  # fmt: skip
        for model, against in (("tweets", f"{running.url}/v1"), (f"{running.url}/v1", None)):
            mine = [one for one in sets if (against is None) == one.startswith("steps.model")]
            given = {"data": fresh, "text": "tweet", "label": "kind", "sets": mine, "project": shop}
            families = ("quality",) if against is None else ("comparison",)
            with pytest.raises(InputError, match="does not know"):
                evaluate(model, families=families, against=against, **given)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="robustness"):
            evaluate(f"{running.url}/v1", families=("robustness",), data=fresh, project=shop)
    assert calls == []


def test_a_piece_of_the_training_file_is_known_by_the_releases_training_rows(shop: Path) -> None:
    piece = write(shop / "piece.csv", reviews(200, 1)[:60])
    for model in ("tweets", shop / "bundle"):
        found = evaluate(model, data=piece, project=shop)
        share = figure(found, "data.test_contamination")
        assert share is not None
        assert share["n"] == 60
        assert share["value"] > 0.3


def test_without_training_rows_contamination_is_no_claim_and_a_bundle_is_a_model(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(shop / "bundle", tmp_path / "bundle")
    write(tmp_path / "two.csv", reviews(200, 1)[:2])
    monkeypatch.chdir(tmp_path)
    told = Heard()
    found = evaluate("./bundle", data="two.csv", project=tmp_path, listener=told)
    assert figure(found, "quality.accuracy")["n"] == 2  # type: ignore[index]
    assert figure(found, "data.test_contamination") is None
    assert any("stand in train" in one for one in told.notes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no model"):
        evaluate("./empty", data="nowhere.csv", project=tmp_path)


def test_selection_counts_the_test_rows_at_hand(shop: Path) -> None:
    evaluate("tweets", families=("quality",), project=shop)
    alone = evaluate("tweets", families=("selection",), project=shop)
    others = evaluate("tweets", families=("quality", "selection"), sets=["seed=7"], project=shop)
    runs = [figure(one, "selection.test_openings")["value"] for one in (alone, others)]  # type: ignore[index]
    # The release's own test rows were opened by `quality` above; rows of files, opened more often, are not counted.
    assert runs[0] == alone_openings(others) - 1
    assert runs[0] <= runs[1] <= runs[0] + 1


def alone_openings(found: Evaluated) -> int:
    return next(one.runs for one in found.openings)


def test_refused_families_are_told_once_and_open_nothing(shop: Path) -> None:
    told = Heard()
    fresh = write(shop / "refused.csv", reviews(30, 5))
    first = evaluate("tweets", data=fresh, project=shop)
    with_bad = evaluate("tweets", families=("quality", "comparison"), against="tweets", data=fresh, project=shop,
                        sets=["steps.comparison.with.columns=[town]"], listener=told)  # fmt: skip
    assert set(with_bad.failed) == {"comparison"}
    assert told.failed == ["comparison"]
    assert [one.runs for one in with_bad.openings] == [one.runs for one in first.openings]


def test_a_family_that_does_not_fit_is_told_once_and_a_part_by_its_rows() -> None:
    told = Heard()
    telling = Telling(told, ("robustness",), {"robustness": {"rows": (1000, 125)}})
    for step in ("cut-robustness", "robustness"):
        telling.step_started(step, "evaluate.robustness", 1, 2)
        telling.step_failed(step, "no classes")
        telling.ended("robustness", "no classes", fits=False)
    assert told.started == ["robustness (cut: 125 of 1,000 rows)"]
    assert told.failed == []
    assert told.left_out == [("robustness", "no classes")]


class Heard(Silent):
    """What was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.failed: list[str] = []
        self.started: list[str] = []
        self.left_out: list[tuple[str, str]] = []

    def note(self, step: str, message: str) -> None:
        self.notes.append(message)

    def step_started(self, step: str, uses: str, position: int, total: int) -> None:
        self.started.append(step)

    def step_failed(self, step: str, message: str) -> None:
        self.failed.append(step)

    def step_left_out(self, step: str, reason: str) -> None:
        self.left_out.append((step, reason))


def test_families_that_need_training_rows_are_left_out_of_a_file(shop: Path) -> None:
    fresh = write(shop / "short.csv", reviews(20, 4))
    with pytest.raises(UsageError, match="training rows"):
        evaluate("tweets", families=("membership",), data=fresh, project=shop)


def test_what_was_taken_stands_in_the_answer(shop: Path) -> None:
    fresh = write(shop / "plain.csv", reviews(20, 3), more=False)
    found = evaluate("tweets", data=fresh, project=shop)
    assert "kind" in json.dumps(found.to_json()["columns"])
