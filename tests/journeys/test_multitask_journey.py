"""One encoder for two tasks, measured task by task, released by a rule about one of them; through the command line."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path

import pytest
from support.tiny_reviews import reviews

from modelyard.app import evaluating
from modelyard.cli.main import run

PROJECT = """version: 1
project: shop
steps:
  rows: {uses: data.read, with: {path: rows.csv, text: text}}
  split: {uses: data.split, with: {validation: 0.2, test: 0.3}}
  many:
    uses: train.multitask
    with:
      tasks:
        feeling: {task: text-classification, column: mood}
        length: {task: text-regression, column: characters}
      epochs: 1
      batch_size: 16
      reading: {vocabulary_size: 400, max_length: 32}
      compute: {threads: 1, device: cpu, precision: fp32}
  chosen: {uses: evaluate.validation, with: {threads: 1}}
  quality: {uses: evaluate.quality, with: {threads: 1}}
release:
  model: many
  rules:
    - {claim: quality.accuracy, min: LEAST, slice: {task: feeling}}
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Texts of which two thirds have a mood, and all but a few a length."""
    rows = [
        (text, mood if at % 3 else "", len(text) if at % 7 else "") for at, (text, mood) in enumerate(reviews(240, 1))
    ]
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "mood", "characters"), *rows])
    (tmp_path / "modelyard.yaml").write_text(PROJECT.replace("LEAST", "0.05"))
    return tmp_path


def test_each_task_has_its_figures_its_sections_and_its_rule(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    assert run(["plan"]) == 0
    assert "quality.accuracy [task=feeling]" in capsys.readouterr().out
    assert run(["run"]) == 0
    capsys.readouterr()
    assert run(["plan", "--json"]) == 0
    (rule,) = json.loads(capsys.readouterr().out)["rules"]
    assert rule["rows"] is None  # of this task there are fewer than the split has
    card = json.loads(next(shop.rglob("release.json")).parent.joinpath("model/model.json").read_text(encoding="utf-8"))
    assert {name: about["column"] for name, about in card["outputs"].items()} == {
        "feeling": "mood", "length": "characters",
    }  # fmt: skip
    found = evaluating.evaluate("shop", families=("quality", "latency"), project=shop)
    assert (found.failed, set(found.done)) == ({}, {"quality", "latency"})
    of_task = {(one["claim"], one["slice"]["task"]): one for one in found.evidence if "task" in one["slice"]}
    assert ("quality.accuracy", "feeling") in of_task
    assert ("quality.rmse", "length") in of_task
    assert ("quality.gain_over_linear", "feeling") in of_task
    assert of_task["quality.accuracy", "feeling"]["n"] < of_task["quality.rmse", "length"]["n"]
    assert found.report is not None
    released = (shop / ".modelyard" / "reports" / "shop.html").read_text(encoding="utf-8")
    page = found.report.read_text(encoding="utf-8")
    for drawn in ("confusion", "reliability", "answers"):  # once a language, validation's report set aside
        assert released.count(f'data-chart="{drawn}"') == page.count(f'data-chart="{drawn}"') == 2
    for place, title in ((1, "feeling: Quality"), (2, "length: Quality")):
        assert f'id="en-task-{place}-quality"><h2>{title}</h2>' in page
    known = {
        (item["claim"], repr(item["value"]), str(item["n"]),
         "; ".join(f"{name}={value}" for name, value in sorted(item["slice"].items())))
        for item in found.evidence
    }  # fmt: skip
    tags = [dict(re.findall(r'data-(\w+)="([^"]*)"', tag)) for tag in re.findall(r"<[^>]*data-claim=[^>]*>", page)]
    shown = {tuple(html.unescape(one.get(name, "")) for name in ("claim", "value", "n", "slice")) for one in tags}
    assert shown <= known, sorted(shown - known)[:5]
    assert {one for one in known if one[0].startswith("quality.") and "task=" in one[3]} <= shown


def test_a_rule_about_a_task_refuses_what_is_too_weak(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(shop)
    (shop / "modelyard.yaml").write_text(PROJECT.replace("LEAST", "1.0"))
    assert run(["run"]) == 7
    out = capsys.readouterr()
    assert "quality.accuracy [task=feeling] >= 1" in out.out + out.err
