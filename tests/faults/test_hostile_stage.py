"""Stages that end the process, fork, claim what they cannot see, or speak to the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.toy import DATA, FIT, SCORE, write_toy

import modelyard
from modelyard.errors import ProjectError, StageError


@pytest.mark.parametrize("code", ["0", "3", "'bye'", ""])
def test_a_stage_that_ends_the_process_is_a_failed_step_and_no_success(tmp_path: Path, code: str) -> None:
    write_toy(tmp_path)
    (tmp_path / "make.py").write_text(DATA.replace('context.say("rows made")', f"raise SystemExit({code})"))
    with pytest.raises(StageError, match="ended the process"):
        modelyard.run(tmp_path)
    write_toy(tmp_path)
    assert modelyard.run(tmp_path).new_release


def test_a_stage_file_that_ends_the_process_is_a_problem_of_the_project(tmp_path: Path) -> None:
    write_toy(tmp_path)
    (tmp_path / "make.py").write_text("raise SystemExit(0)")
    with pytest.raises(ProjectError, match="cannot be loaded"):
        modelyard.run(tmp_path)


def test_a_stage_file_that_links_to_itself_is_a_problem_of_the_project(tmp_path: Path) -> None:
    write_toy(tmp_path)
    (tmp_path / "make.py").unlink()
    (tmp_path / "make.py").symlink_to("make.py")
    with pytest.raises(ProjectError, match="there is no file"):
        modelyard.run(tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("child", ["return", "raise SystemExit(3)", "raise ValueError('child')"])
def test_a_child_that_a_stage_forked_commits_and_fails_nothing(tmp_path: Path, child: str) -> None:
    write_toy(tmp_path)
    fork = f"import os\n    if os.fork() == 0:\n        {child}\n    os.wait()"
    (tmp_path / "make.py").write_text(DATA.replace('context.say("rows made")', fork))
    command = [sys.executable, "-m", "modelyard", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("score.rate") == 1
    assert [run["status"] for run in modelyard.runs(project=tmp_path)] == ["done"] * 3


def test_a_stage_cannot_call_a_measurement_one_on_test_if_it_does_not_see_test(tmp_path: Path) -> None:
    write_toy(tmp_path)
    lie = 'context.measure("fit.rate", 1.0, about="model", on="data/test", n=9, interval="exact")'
    text = FIT.replace("    model = {", f"    {lie}\n    model = {{")
    text = text.replace("STAGE = Stage(", 'STAGE = Stage(claims=(Claim("fit.rate", "rate", better="higher"),), ')
    text = text.replace("import json", "import json\nfrom modelyard.core.evidence import Claim")
    (tmp_path / "fit.py").write_text(text)
    with pytest.raises(StageError, match="cannot see"):
        modelyard.run(tmp_path)


def test_control_characters_of_a_stage_do_not_reach_the_terminal(tmp_path: Path) -> None:
    write_toy(tmp_path)
    (tmp_path / "make.py").write_text(DATA.replace("rows made", "\\x1b[2Jcleared"))
    command = [sys.executable, "-m", "modelyard", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "cleared" in done.stderr
    assert "\x1b" not in done.stderr


def test_the_toy_is_what_these_tests_change() -> None:
    assert 'context.say("rows made")' in DATA
    assert "    model = {" in FIT
    assert "score.rate" in SCORE
