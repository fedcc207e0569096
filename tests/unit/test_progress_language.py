"""What the terminal says while a step runs, and of rows that cannot be used, is in the user's language."""

from __future__ import annotations

import io

import pytest

from modelyard.cli import progress
from modelyard.cli.progress import TerminalListener
from modelyard.methods.data.rows import Bad


def test_what_is_counted_is_said_in_the_users_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_SECONDS", 0.0)
    said = {}
    for language in ("en", "zh"):
        monkeypatch.setenv("MODELYARD_LANG", language)
        stream = io.StringIO()
        TerminalListener(stream).progress("model", 1, 80, "steps")
        said[language] = stream.getvalue().strip()
    assert said == {"en": "1/80 steps", "zh": "1/80 步"}


def test_the_fault_of_a_row_is_told_in_the_users_language_and_kept_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = Bad("target is not a finite number", "y: nan", "1,nan")
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    assert bad.told == "目标值不是有限数: y: nan"
    assert bad.reason == "target is not a finite number: y: nan"
