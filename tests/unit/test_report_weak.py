"""The card's limits name whom the model fails, and the coverage tile does not hide it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.sample_record import evidence, sample_record

from modelyard.methods.reporting import render
from modelyard.methods.reporting.model_card import markdown

COVERAGE = "uncertainty.coverage"


def limits_of(record: dict[str, Any], lang: str = "en") -> str:
    said = markdown(record, lang).split({"en": "## Limits", "zh": "## 局限"}[lang], 1)[1].split("\n## ", 1)[0]
    return re.sub(r"\\(.)", r"\1", said.replace("\u00a0", " "))


def tweets() -> dict[str, Any]:
    """Three classes of tweets: one never answered with, one mostly missed; sets that promise 90 %."""
    record = sample_record()
    labels = ["hate", "offensive", "neither"]
    record["model"] |= {"labels": labels, "card": {"postprocessing": [{"kind": "conformal_set", "error": 0.1}]}}
    quality = next(report for report in record["reports"].values() if "confusion" in report)
    quality |= {"labels": labels, "confusion": [[0, 250, 36], [0, 3800, 60], [0, 500, 300]], "per_class": []}
    record["evidence"] += [
        evidence("quality.recall", 0.0, 0.0, 0.013, 286, slice={"class": "hate"}),
        evidence("quality.recall", 0.98, 0.97, 0.99, 3860, slice={"class": "offensive"}),
        evidence("quality.recall", 0.375, 0.34, 0.41, 800, slice={"class": "neither"}),
        evidence(COVERAGE, 0.901, 0.892, 0.909, 4946),
        evidence(COVERAGE, 0.0, 0.0, 0.013, 286, slice={"class": "hate"}),
        evidence(COVERAGE, 0.97, 0.96, 0.98, 3860, slice={"class": "offensive"}),
        evidence(COVERAGE, 0.88, 0.85, 0.91, 800, slice={"class": "neither"}),
        evidence(COVERAGE, 0.7, 0.6, 0.8, 90, slice={"region": "north"}),
        evidence(COVERAGE, 0.6, 0.5, 0.7, 90, slice={"labels": "1"}),
    ]
    record["decision"]["findings"].insert(
        0, {"rule": f"{COVERAGE} >= 0.88", "passed": True, "value": 0.901, "low": 0.892, "high": 0.909, "n": 4946}
    )
    return record


def test_a_class_that_is_never_answered_stands_among_the_limits() -> None:
    said = limits_of(tweets())
    assert "Classes that the model never answers with, though test rows have them: hate (n = 286)" in said
    assert "misses most rows (share found): neither 37.5 % (n = 800)" in said
    assert "offensive" not in said


def test_parts_below_the_promised_coverage_stand_among_the_limits_and_below_the_tile() -> None:
    said = limits_of(tweets())
    assert (
        "90 % they promise, for these classes or groups: hate 0.0 % (n = 286); region = north 70.0 % (n = 90)" in said
    )
    assert "labels = 1" not in said
    tile = re.search(r'title="uncertainty.coverage">.*?</div>', render(tweets()), re.S)[0]  # type: ignore[index]
    shown = re.sub(r"<[^>]*>", "", tile).replace("\u00a0", " ")
    assert "not for every class and group: hate 0.0 % (n = 286); region = north 70.0 % (n = 90)" in shown


@pytest.mark.parametrize("error", [0.4, None])
def test_nothing_is_said_of_coverage_that_keeps_its_promise(error: float | None) -> None:
    record = tweets()
    record["model"]["card"]["postprocessing"][0] = {"kind": "conformal_set", "error": error}
    record["evidence"] = [
        item for item in record["evidence"] if item["claim"] != COVERAGE or item["slice"].get("class") != "hate"
    ]
    assert "promise" not in limits_of(record)
    assert "not for every" not in render(record)


def test_limits_of_weak_classes_are_chinese_on_the_chinese_card() -> None:
    said = limits_of(tweets(), "zh")
    assert "测试集中存在、但模型从不给出的类别： hate (n = 286)" in said
    assert "低于所承诺的 90%" in said
