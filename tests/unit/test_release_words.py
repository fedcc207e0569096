"""A signed decision is told in the reader's language, whatever language it was signed in."""

from __future__ import annotations

import pytest

from modelyard.cli.release import _finding

FOUND = {
    "reason": "met",
    "passed": True,
    "exact": False,
    "value": 0.8833333333,
    "interval": [0.855174, 0.906615],
    "n": 600,
    "bad_end": 0.855174,
    "text": "quality.accuracy >= 0.64: 0.883333, 95 % interval [0.855174, 0.906615], n = 600: "
    "the bad end 0.855174 passes",
}


def test_in_english_a_finding_reads_as_it_was_signed(monkeypatch):
    monkeypatch.setenv("MODELYARD_LANG", "en")
    assert _finding(FOUND) == FOUND["text"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "quality.accuracy >= 0.64: 0.883333，95% 区间 [0.855174, 0.906615]，n = 600：不利一端 0.855174 通过"),
        ({"reason": "missed", "passed": False}, "不利一端 0.855174 不通过"),
        ({"exact": True}, "quality.accuracy >= 0.64: 0.883333（精确值），通过"),
        ({"reason": "no evidence", "value": None}, FOUND["text"]),
    ],
)
def test_in_chinese_it_is_put_into_words_anew(monkeypatch, change, said):
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    assert said in _finding({**FOUND, **change})
