"""A worker that dies ends the run with its error; nothing hangs, and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelyard.engine.launch import launch
from modelyard.errors import StageError

TESTS = Path(__file__).parents[1]
ENTRY = "support.parallel_work:fail"


def assert_gone(folder: Path, seconds: float = 60.0) -> None:
    pids = [int(path.read_text()) for path in folder.glob("pid-*")]
    assert len(pids) == 2
    end = time.monotonic() + seconds
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < end, "a worker is left"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "words"), [("kill", "worker 1 was killed by signal 9"), ("raise", "rank one has had enough")]
)
def test_a_dead_worker_ends_the_run_with_its_error(how, words, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with pytest.raises(StageError) as caught:
        launch(ENTRY, {"folder": str(tmp_path), "how": how}, 2, tmp_path)
    assert words in str(caught.value)
    assert_gone(tmp_path)


@pytest.mark.slow
def test_a_worker_that_hangs_ends_the_run_when_the_time_is_up(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    with pytest.raises(StageError) as caught:
        launch(ENTRY, {"folder": str(tmp_path), "how": "hang", "timeout": 15}, 2, tmp_path)
    assert "imed out" in str(caught.value)
    assert_gone(tmp_path)


@pytest.mark.slow
def test_workers_end_with_their_driver(tmp_path):
    code = (
        "from pathlib import Path; from modelyard.engine.launch import launch; "
        f"launch({ENTRY!r}, {{'folder': {str(tmp_path)!r}, 'how': 'hang'}}, 2, Path({str(tmp_path)!r}))"
    )
    driver = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(TESTS)})
    end = time.monotonic() + 120
    while len(list(tmp_path.glob("pid-*"))) < 2:
        assert time.monotonic() < end
        assert driver.poll() is None
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert_gone(tmp_path)
