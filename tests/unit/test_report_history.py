"""The history of a project on its page: curves over the versions, on the same test rows alone."""

from __future__ import annotations

import re
from typing import Any

from support.sample_record import digest, sample_record

from modelyard.methods.reporting import parse, render


def point(version: int, value: float, claim: str = "quality.accuracy", **more: Any) -> dict[str, Any]:
    record = sample_record()
    dataset = next(item["dataset"] for item in record["evidence"] if item["split"] == "test")
    return {"claim": claim, "dataset": dataset, "version": version, "value": value, "low": value - 0.02,
            "high": value + 0.02, "n": 800, "unit": ""} | more  # fmt: skip


def shown(*points: dict[str, Any]) -> str:
    found = re.search(r'id="en-history".*?</section>', render(sample_record() | {"history": list(points)}), re.S)
    return found[0] if found else ""


def test_a_curve_with_its_band_for_every_claim_of_several_versions() -> None:
    page = shown(point(1, 0.8), point(2, 0.85), point(3, 0.9), point(3, 0.1, "quality.ece"))
    assert page.count("<figure") == 1
    assert 'class="band' in page
    assert "Over the releases" in page


def test_other_test_rows_and_a_single_version_are_no_history() -> None:
    assert shown(point(1, 0.8)) == ""
    assert shown(point(1, 0.8, dataset=digest("other rows")), point(2, 0.9)) == ""
    assert shown(point(1, 0.8), point(2, 0.9)) != ""


def test_many_claims_are_cut_to_six_and_the_command_for_the_rest_is_named() -> None:
    points = [point(version, 0.5, f"quality.m{name}") for name in range(9) for version in (1, 2)]
    page = shown(*points)
    assert page.count("<figure") == 6
    assert "3 more: `modelyard show history" in page


def test_each_task_of_several_has_a_curve_of_its_own_named_by_it() -> None:
    page = shown(*(point(version, 0.5 + at / 10, task=task) for at, task in enumerate(("mood", "<b>")) for version in
                   (1, 2)), point(1, 0.2, task="lone"))  # fmt: skip
    assert page.count("<figure") == 2
    assert "mood: " in page
    assert "&lt;b&gt;: " in page
    assert "lone" not in page


def test_numbers_that_are_not_finite_are_no_points() -> None:
    record = sample_record() | {"history": [point(1, float("nan")), point(2, 0.5), point(3, 0.6)]}
    assert parse(record).history[0].value is None
    assert "NaN" not in render(record)
