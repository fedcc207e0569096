"""Workers: in this process if there is one, under torchrun if there are several; a failing one ends the run."""

from __future__ import annotations

import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from modelyard.engine import launch as launching
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


def torchruns_words(failures: dict[int, tuple[int, int]], closed: tuple[int, ...] = ()) -> str:
    """What torchrun prints of ranks that ended with an exit code, in this order of time: {rank: (code, pid)}."""
    lines = [f"W1122 api.py:1034] Sending process {pid} closing signal SIGTERM" for pid in closed]
    report = {rank: ProcessFailure(rank, pid, code, "<N/A>") for rank, (code, pid) in failures.items()}
    for moment, failure in enumerate(report.values()):
        failure.timestamp = moment
    first, (code, pid) = next(iter(failures.items()))
    lines.append(f"E1122 api.py:1002] failed (exitcode: {code}) local_rank: {first} (pid: {pid}) of binary: python")
    return "\n".join([*lines, str(ChildFailedError("modelyard.engine.launch", report))])


def test_the_worker_that_was_killed_is_named_and_not_those_torchrun_had_to_kill_for_it():
    printed = torchruns_words({1: (-9, 71), 0: (-9, 70), 2: (-15, 72)}, closed=(70, 72))
    assert launching._killed(printed) == [("1", 9)]


def test_the_first_of_several_killed_workers_comes_first():
    assert launching._killed(torchruns_words({2: (-7, 72), 0: (-9, 70), 1: (1, 71)}))[0] == ("2", 7)


def test_a_killed_worker_is_named_though_another_missed_it_first():
    assert launching._killed(torchruns_words({0: (1, 70), 1: (-9, 71)})) == [("1", 9)]


def test_a_worker_that_torchrun_killed_after_an_error_of_another_does_not_hide_the_error():
    assert launching._killed(torchruns_words({1: (1, 71), 0: (-9, 70)}, closed=(70,))) == []
