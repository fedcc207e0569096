"""Checkpoints written while training goes on: copied to the host at once, written by a thread, one at a time."""

from __future__ import annotations

import threading
from pathlib import Path

from modelyard.methods.training import checkpoints
from modelyard.methods.training.checkpoints import Checkpoint
from modelyard.methods.training.settings import Keeping


class Saver:
    """Writes checkpoints to a folder. What goes wrong in the thread is raised by the next call."""

    def __init__(self, folder: Path, keeping: Keeping) -> None:
        self._folder, self._keeping = folder, keeping
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None

    def save(self, checkpoint: Checkpoint) -> None:
        """Begin to write; waits for the one before. The tensors may change as soon as this returns."""
        self.wait()
        still = checkpoints.on_host(checkpoint)
        if not self._keeping.background:
            checkpoints.write(self._folder, still, self._keeping)
            return
        self._thread = threading.Thread(target=self._write, args=(still,), name="checkpoint", daemon=True)
        self._thread.start()

    def _write(self, checkpoint: Checkpoint) -> None:
        try:
            checkpoints.write(self._folder, checkpoint, self._keeping)
        except BaseException as error:
            self._failure = error

    def check(self) -> None:
        """Raise what went wrong in the thread since the last call, if anything."""
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def wait(self) -> None:
        """Until nothing is being written."""
        self.close()
        self.check()

    def close(self) -> None:
        """As `wait`, without raising: for a way out that has its own error."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
