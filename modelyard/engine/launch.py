"""Worker processes: one runs in this process, several under torchrun. How many is the profile's business.

Nothing outlives the driver: workers hold the reading end of a pipe whose other end only the driver has, and end when
it does, also after a `kill -9`. A worker that dies ends the others, and its error is the run's.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.errors import (
    DependencyError,
    InputError,
    Interrupted,
    ModelyardError,
    Problem,
    ProfileError,
    StageError,
    StoreError,
)

ERRORS, EVENTS, OUTPUT = "worker-*.error", "events.jsonl", "workers.log"
KINDS = {kind.__name__: kind for kind in (InputError, StoreError, DependencyError, ProfileError)}
"""Errors of a worker that mean more than "a step failed"."""
POLL_S = 0.1
GRACE_S = 40.0
"""More than the 30 seconds that torchrun gives its workers before it kills them."""
_FAILED = re.compile(r"^ +rank +: (\d+) \(local_rank: \d+\)\n +exitcode +: (-?\d+) \(pid: (\d+)\)", re.MULTILINE)
_CLOSED = re.compile(r"Sending process (\d+) closing signal")

Heard = Callable[[Mapping[str, Any]], None]


def call_entry(entry: str, arguments: Json) -> None:
    """Import `module:function` and call it with the arguments."""
    module, _, function = entry.partition(":")
    getattr(importlib.import_module(module), function)(arguments)


def launch(entry: str, arguments: Json, processes: int, scratch: Path, heard: Heard | None = None) -> None:
    """Run the entry in `processes` workers.

    Args:
        heard: gets what workers write to the events file of their scratch folder (`tell`), a line at a time, in order.

    Raises:
        StageError: with the worker's last lines if one fails; of another kind if the worker's error is.
    """
    if processes <= 1:
        call_entry(entry, arguments)
        return
    path = scratch / "arguments.json"
    for old in (*scratch.glob(ERRORS), scratch / EVENTS):
        old.unlink(missing_ok=True)
    path.write_text(json.dumps({"entry": entry, "arguments": arguments}), encoding="utf-8")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["-m", "modelyard.engine.launch", str(path)]
    events = _Events(scratch / EVENTS, heard)
    with (scratch / OUTPUT).open("wb") as output, _started(command, output, _environment(processes)) as agent:
        while agent.poll() is None:
            time.sleep(POLL_S)
            events.read()
    events.read()
    if agent.returncode:
        _fail(entry, agent.returncode, scratch)


@contextmanager
def _started(command: list[str], output: Any, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """torchrun, which has ended on the way out whatever happens inside."""
    agent = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment, start_new_session=True
    )
    try:
        yield agent
    finally:
        if agent.stdin:  # the workers' pipe: those that are left end now
            agent.stdin.close()
        if agent.poll() is None:
            agent.terminate()
            try:
                agent.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                agent.kill()
        agent.wait()


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _environment(processes: int) -> dict[str, str]:
    """The workers share the processor."""
    limits = [os.environ.get(name, "").split(",")[0] for name in ("MODELYARD_THREADS", "OMP_NUM_THREADS")]
    allowed = next((int(limit) for limit in limits if limit.isdecimal() and int(limit)), cores())
    each = str(max(1, min(allowed, cores()) // processes))
    return {**os.environ, "MODELYARD_THREADS": each, "OMP_NUM_THREADS": each, "PYTHONUNBUFFERED": "1"}


class _Events:
    """Lines of a file that another process appends to."""

    def __init__(self, path: Path, heard: Heard | None) -> None:
        self._path, self._heard, self._done = path, heard, 0

    def read(self) -> None:
        """Pass on what has come since; a line that is not whole yet waits."""
        if self._heard is None or not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._done)
            for line in stream:
                if not line.endswith(b"\n"):
                    break
                self._done += len(line)
                self._heard(json.loads(line))


def _fail(entry: str, code: int, scratch: Path) -> NoReturn:
    """Raise the error of the worker that failed first."""
    output = (scratch / OUTPUT).read_text(encoding="utf-8", errors="replace")
    killed = _killed(output)
    if killed:
        rank, number = killed[0]
        raise StageError(
            t("worker {rank} was killed by signal {number} ({name})", rank=rank, number=number, name=_signal(number)),
            where=entry,
            remedy=t("memory may have run out; what is done is kept, run it again to go on"),
        )
    found = sorted(scratch.glob(ERRORS), key=lambda path: path.stat().st_mtime_ns)
    if found:
        value = json.loads(found[0].read_text(encoding="utf-8"))
        kind = KINDS.get(value["kind"])
        if value["problems"]:
            raise (kind or StageError).of([Problem(**problem) for problem in value["problems"]])
        raise StageError(t("a worker process ended with code {code}", code=code), where=entry, remedy=value["trace"])
    tail = "\n".join(output.splitlines()[-20:])
    raise StageError(t("a worker process ended with code {code}", code=code), where=entry, remedy=tail)


def _killed(output: str) -> list[tuple[str, int]]:
    """Ranks that a signal ended, and its number, the first to fail first, by what torchrun printed.

    Not those torchrun itself had to end: they are left because another had failed.
    """
    closed = set(_CLOSED.findall(output))
    failed = [(rank, -int(status)) for rank, status, pid in _FAILED.findall(output) if pid not in closed]
    return [(rank, number) for rank, number in reversed(failed) if number > 0]  # it prints the first as the last


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "?"


def _worker(path: Path) -> None:
    threading.Thread(target=_end_with_driver, daemon=True).start()
    value = json.loads(path.read_text(encoding="utf-8"))
    try:
        call_entry(value["entry"], value["arguments"])
    except Exception as error:
        # torchrun's own report hides what happened; the driver reads this instead
        rank = os.environ.get("RANK", "0")
        report = {
            "kind": type(error).__name__,
            "problems": [problem.to_json() for problem in error.problems] if isinstance(error, ModelyardError) else [],
            "trace": traceback.format_exc(),
        }
        temporary = path.with_name(f"error-{rank}.tmp")
        temporary.write_text(json.dumps(report), encoding="utf-8")
        temporary.rename(path.with_name(ERRORS.replace("*", rank)))
        sys.stdout.flush()
        # Not by `raise`: threads of a process group that waits for a dead peer would hold the process up.
        os._exit(Interrupted.exit_code if isinstance(error, Interrupted) else 1)


def _end_with_driver() -> None:
    """The pipe has an end when the driver has."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    _worker(Path(sys.argv[1]))
