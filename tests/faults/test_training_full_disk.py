"""A disk that is full while a checkpoint is written ends the run with its error; what was saved before is kept."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

from support import train_on_fake

from modelyard.methods.training import loop


def train_until_full(scratch: Path) -> int:
    """Exit code of a process whose files may not grow from the third checkpoint on: 7 if it says why it ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        save, saves = loop.Loop.save, [0]

        def limited(self: loop.Loop) -> None:
            saves[0] += 1
            if saves[0] == 3:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (64, resource.RLIM_INFINITY))
            save(self)

        loop.Loop.save = limited  # type: ignore[method-assign]
        train_on_fake.train(scratch)
    except Exception as error:
        code = 7 if "large" in str(error).lower() or "27" in str(error) else 8
    finally:
        os._exit(code)


def test_a_checkpoint_that_does_not_fit_loses_nothing_that_was_saved(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("MODELYARD_DEVICE", "cpu")
    assert train_until_full(tmp_path / "full") == 7
    assert any((tmp_path / "full").iterdir())
    again, whole = train_on_fake.train(tmp_path / "full"), train_on_fake.train(tmp_path / "whole")
    assert again["weights"] == whole["weights"]
