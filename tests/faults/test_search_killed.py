"""A search killed with -9 in its middle goes on: finished trials are not made again, the bytes are the same."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from support.toy_search import PROJECT, kill_when, made, write_search

import modelyard

pytest_plugins = ("support.quick_disk",)

SLOW = PROJECT.replace("./fit.py}", "./fit.py, with: {seconds: 0.2}}").replace(
    "space: {model.power: [2, 8]}",
    "space: {model.power: [2, 8], model.block.rate: {low: 0.1, high: 10, log: true}}\n"
    "      trials: 8\n      method: tpe",
)


def outputs(result):
    return {f"{step.step}.{port}": digest for step in result.steps for port, digest in step.outputs.items()}


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_killed_search_ends_with_the_same_winner_and_bytes(quick_disk, jobs):
    calm = modelyard.run(write_search(quick_disk / "calm", SLOW))
    project = write_search(quick_disk / "killed", SLOW, jobs=jobs)
    kill_when(project.parent, 4)
    begun = made(project.parent)
    assert len(begun) < 8
    result = modelyard.run(project)
    assert outputs(result) == outputs(calm)
    assert result.release.model == calm.release.model
    tried = [tuple(row[1:]) for row in made(project.parent)]
    again = len(tried) - len(set(tried))
    assert again <= jobs, "only what was under way when it was killed is made again"
    assert set(tried) == {tuple(row[1:]) for row in made(quick_disk / "calm")}


def test_a_stopped_search_leaves_no_worker_behind(quick_disk):
    project = write_search(quick_disk, SLOW.replace("seconds: 0.2", "seconds: 5"), jobs=2)
    code = f"import modelyard; modelyard.run({str(project)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(made(quick_disk)) < 2 and process.poll() is None:
        time.sleep(0.01)
    workers = {int(row[0]) for row in made(quick_disk)}
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(workers) == 2
    for _ in range(500):
        if not any(os.path.exists(f"/proc/{worker}") for worker in workers):
            return
        time.sleep(0.01)
    raise AssertionError("workers outlived the run")
