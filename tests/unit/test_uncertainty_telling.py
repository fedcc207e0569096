"""What is said of uncertainty is in the user's language, names and values apart."""

from __future__ import annotations

import pytest

from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.uncertainty import telling

FOUND = [
    Estimate("coverage", 0.9, (0.88, 0.92), 900),
    Estimate("coverage", 0.79, (0.7, 0.85), 90, {"class": "bad"}),
    Estimate("coverage", 0.84, (0.8, 0.88), 90, {"labels": "1"}),
    Estimate("coverage", 0.5, (0.4, 0.6), 90, {"city": "Ulm"}),
]


def test_parts_are_named_in_english() -> None:
    assert "class bad: 79%; labels in the set: 1: 84%; city = Ulm: 50%" in telling.of_coverage(FOUND, 0.9)[1]


def test_parts_and_scores_are_named_in_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    assert "类别 bad: 79%; 集合中的标签数：1: 84%; city = Ulm: 50%" in telling.of_coverage(FOUND, 0.9)[1]
    assert telling.score("confidence") == "置信度"
    scores = ("entropy", "predictive_entropy", "aleatoric", "epistemic", "energy", "mahalanobis")
    assert [name for name in scores if telling.score(name).isascii()] == []
