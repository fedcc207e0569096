"""A small project, killed once at every durable operation: the next run ends as if nothing had happened."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest
from support.toy import write_toy

import modelyard
from modelyard.base import files
from modelyard.store.collect import verify_store

pytest_plugins = ("support.quick_disk",)
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def digests(result):
    return {f"{step.step}.{port}": digest for step in result.steps for port, digest in step.outputs.items()}


def run_and_die(project: Path, at: int) -> bool:
    """Run in a child that kills itself at the `at`-th durable operation; False if it came to its end."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(operation: str, path: Path) -> None:
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

        files.hook = hook
        try:
            modelyard.run(project)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def acknowledged(folder: Path) -> dict[str, str]:
    """What the ledger says is done: step to the digests of its outputs."""
    if not (folder / ".modelyard" / "store.json").exists():
        return {}
    runs = modelyard.runs(project=folder)
    return {run["step"]: run["outputs"][0]["digest"] for run in runs if run["status"] == "done"}


def check(project: Path, expected: dict[str, str]) -> None:
    before = acknowledged(project.parent)
    result = modelyard.run(project)
    assert digests(result) == expected
    cached = {step.step for step in result.steps if step.cached}
    assert cached >= set(before), "something acknowledged was lost"
    assert result.release is not None
    assert [info.release.version for info in modelyard.releases(project=project)] == [1]
    assert modelyard.verify(project).problems == ()
    modelyard.verify_release("toy", project=project)


def sweep(tmp_path, stride: int, offset: int) -> None:
    expected = digests(modelyard.run(write_toy(tmp_path / "calm")))
    at = 1 + offset
    while True:
        folder = tmp_path / f"at-{at}"
        project = write_toy(folder)
        if not run_and_die(project, at):
            break
        check(project, expected)
        shutil.rmtree(folder)
        at += stride
    assert at > 60, "the hooks were not reached"


def test_a_run_killed_at_a_sample_of_its_durable_operations_loses_nothing(quick_disk):
    sweep(quick_disk, stride=7, offset=3)


@pytest.mark.proof
def test_a_run_killed_at_every_durable_operation_loses_nothing(quick_disk):
    sweep(quick_disk, stride=1, offset=0)


def test_the_scrub_that_checks_finds_damage(tmp_path):
    """The check above would not be fooled: damage is found."""
    project = write_toy(tmp_path)
    modelyard.run(project)
    victim = next((tmp_path / ".modelyard" / "artifacts").rglob("model.json"))
    victim.chmod(0o644)
    victim.write_text("{}")
    from modelyard.store import open as open_store

    with open_store(tmp_path / ".modelyard") as store:
        assert verify_store(store).problems


@pytest.mark.parametrize("operation", ["fsync", "rename", "write"])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_a_disk_that_refuses_gives_a_clear_error_and_recovers(tmp_path, monkeypatch, operation, error):
    import errno

    from modelyard.errors import StageError, StoreError

    project = write_toy(tmp_path)
    modelyard.run(project, until="data")
    seen = 0

    def hook(name: str, path: Path) -> None:
        nonlocal seen
        if name == operation:
            seen += 1
            if seen == 2:
                raise OSError(getattr(errno, error), os.strerror(getattr(errno, error)))

    monkeypatch.setattr(files, "hook", hook)
    with contextlib.suppress(StoreError, StageError):  # nothing else may come out; a cache may fail unnoticed
        modelyard.run(project)
    assert seen >= 2
    monkeypatch.setattr(files, "hook", lambda name, path: None)
    result = modelyard.run(project)
    assert result.release is not None
    assert modelyard.verify(project).problems == ()
