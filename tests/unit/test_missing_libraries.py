"""A library that a later step lacks is told before the first step runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_stages import PROJECT, write_project

import modelyard
from modelyard.errors import DependencyError


def test_a_run_does_not_begin_without_what_its_last_step_needs(tmp_path: Path) -> None:
    path = write_project(tmp_path, PROJECT)
    stage = tmp_path / "card.py"
    stage = stage if stage.exists() else tmp_path / "evaluate" / "quality.py"
    text = stage.read_text(encoding="utf-8")
    stage.write_text(
        text.replace("STAGE = Stage(", 'STAGE = Stage(libraries=("no-such-library",), ', 1), encoding="utf-8"
    )
    with pytest.raises(DependencyError, match="no-such-library"):
        modelyard.run(path)
    assert not list((tmp_path / ".modelyard").glob("artifacts/*/*"))
