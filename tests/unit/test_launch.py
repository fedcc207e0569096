"""Workers: in this process if there is one, under torchrun if there are several; a failing one ends the run."""

from __future__ import annotations

import pytest

from modelyard.engine.launch import launch
from modelyard.errors import StageError

ENTRY = """
import os
from pathlib import Path


def write_rank(arguments):
    Path(arguments["folder"], os.environ.get("RANK", "alone")).write_text(os.environ.get("WORLD_SIZE", "1"))


def fail(arguments):
    if os.environ["RANK"] == "1":
        raise ValueError("rank one has had enough")
"""


@pytest.fixture
def entry(tmp_path, monkeypatch):
    (tmp_path / "worker_entry.py").write_text(ENTRY)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


def test_one_process_is_this_one(entry):
    launch("worker_entry:write_rank", {"folder": str(entry)}, 1, entry)
    assert (entry / "alone").read_text() == "1"


def test_two_processes_each_know_their_rank(entry):
    launch("worker_entry:write_rank", {"folder": str(entry)}, 2, entry)
    assert [(entry / rank).read_text() for rank in "01"] == ["2", "2"]


def test_a_worker_that_fails_ends_the_run_with_its_error(entry):
    with pytest.raises(StageError) as caught:
        launch("worker_entry:fail", {}, 2, entry)
    assert "rank one has had enough" in str(caught.value)
