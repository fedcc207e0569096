"""A released model goes on in another project: named, gated by what it forgot, run again only if the release moved."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from support.tiny_reviews import reviews

import modelyard
from modelyard.engine.bind import load_project_dict
from modelyard.errors import ModelyardError

COMPUTE = "{threads: 1, device: cpu, precision: fp32}"
FIRST = f"""version: 1
project: shop
steps:
  rows: {{uses: data.read, with: {{path: old.csv, text: text, label: label}}}}
  split: {{uses: data.split, with: {{validation: 0.2, test: 0.3}}}}
  classifier:
    uses: train.text_classification
    with: {{size: linear, compute: {COMPUTE}}}
  quality: {{uses: evaluate.quality, with: {{baselines: false, threads: 1}}}}
release: {{model: classifier}}
"""
SECOND = f"""version: 1
project: shop-updated
steps:
  old: {{uses: model.release, with: {{release: RELEASE}}}}
  rows: {{uses: data.read, with: {{path: new.csv, text: text, label: label}}}}
  split: {{uses: data.split, with: {{validation: 0.2, test: 0.3}}}}
  update:
    uses: train.update
    in: {{model: old.model, data: split, old: old.data}}
    with: {{epochs: 2, compute: {COMPUTE}}}
  forgetting:
    uses: evaluate.forgetting
    in: {{model: update, before: old.model, old: old.data, data: split}}
    with: {{threads: 1}}
release:
  model: update
  rules:
    - {{claim: forgetting.accuracy_drop, max: BOUND}}
"""


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *rows])


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(tmp_path / "old.csv", reviews(300, 1))
    write(tmp_path / "new.csv", reviews(150, 2))
    (tmp_path / "first.yaml").write_text(FIRST)
    return tmp_path


def second(folder: Path, release: str, bound: float = 0.5) -> modelyard.RunResult:
    (folder / "second.yaml").write_text(SECOND.replace("RELEASE", release).replace("BOUND", str(bound)))
    return modelyard.run(folder / "second.yaml")


def cached(result: modelyard.RunResult) -> dict[str, bool]:
    return {step.step: step.cached for step in result.steps}


def test_a_release_goes_on_under_a_gate_on_forgetting(shop: Path) -> None:
    first = modelyard.run(shop / "first.yaml")
    made = {step.step: step.outputs for step in first.steps}
    result = second(shop, "shop@1")
    outputs = {step.step: step.outputs for step in result.steps}
    # The released artifacts themselves, not copies of them.
    assert outputs["old"] == {"model": made["classifier"]["model"], "data": made["split"]["data"]}
    assert result.release is not None
    assert result.release.state == "released"
    again = second(shop, "shop@1")
    assert all(cached(again).values())
    # Other words for the same release are the same run.
    assert all(cached(second(shop, "shop")).values())
    refused = second(shop, "shop@1", bound=-0.5)
    assert refused.refused
    assert refused.decision is not None
    assert [finding.rule.claim for finding in refused.decision.findings] == ["forgetting.accuracy_drop"]


def test_a_newer_release_is_another_input(shop: Path) -> None:
    modelyard.run(shop / "first.yaml")
    second(shop, "shop")
    (shop / "first.yaml").write_text(FIRST.replace("size: linear", "size: linear, linear: {strengths: [0.01]}"))
    modelyard.run(shop / "first.yaml")
    found = cached(second(shop, "shop"))
    assert (found["old"], found["update"], found["rows"]) == (False, False, True)
    assert all(cached(second(shop, "shop@1")).values())


@pytest.mark.parametrize("release", ["nobody", "shop@7", "shop:canary"])
def test_a_release_that_is_not_there_is_named(shop: Path, release: str) -> None:
    modelyard.run(shop / "first.yaml")
    with pytest.raises(ModelyardError) as caught:
        second(shop, release)
    assert release.split(":", maxsplit=1)[0] in str(caught.value)


def test_a_damaged_release_is_not_taken(shop: Path) -> None:
    first = modelyard.run(shop / "first.yaml")
    assert first.release is not None
    digest = first.release.bundle
    bundle = shop / ".modelyard" / "artifacts" / digest[7:9] / digest[9:]
    weights = next(bundle.rglob("model.safetensors"))
    weights.chmod(0o644)
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ModelyardError):
        second(shop, "shop@1")


def test_the_old_model_and_the_old_data_of_forgetting_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,b\n")
    steps = {
        "rows": {"uses": "data.read", "with": {"path": "a.csv", "text": "text", "label": "label"}},
        "split": {"uses": "data.split"},
        "classifier": {"uses": "train.text_classification"},
        "forgetting": {"uses": "evaluate.forgetting"},
    }
    _, problems = load_project_dict({"version": 1, "project": "p", "steps": steps}, tmp_path)
    assert [problem.found for problem in problems] == [
        "`evaluate.forgetting` needs its input `before` named",
        "`evaluate.forgetting` needs its input `old` named",
    ]
