"""A worker process: is told once what is repeated, then makes one trial, fold or step for each line it reads."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any, TextIO

from modelyard.core.project import SecretName
from modelyard.engine.bench import Bench
from modelyard.engine.bind import load_project_dict
from modelyard.engine.bound import BoundFolds, BoundSearch, BoundStep
from modelyard.engine.events import Silent, StepOutcome
from modelyard.engine.execute import make_or_reuse
from modelyard.engine.prepare import prepare
from modelyard.engine.profiles import Profile
from modelyard.engine.repeat.folds import make_fold
from modelyard.engine.repeat.trial import run_trial
from modelyard.errors import ModelyardError, ProjectError
from modelyard.store import open as open_store

STOPPING = threading.Event()


def main() -> None:
    """Work until there is nothing more to do or somebody says stop, which is not an error."""
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.suppress(KeyboardInterrupt):
        _work()


def _work() -> None:
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")  # a stage may print: only answers go where the driver reads
    os.dup2(2, 1)
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    job = json.loads(lines.get())
    profile = _profile(job["profile"])
    with open_store(profile.store, profile.ledger_url()) as store:
        bound, problems = load_project_dict(job["project"], Path(job["folder"]))
        if bound is None:
            raise ProjectError.of(problems)
        bench = Bench(bound, store, profile, Silent(), parts=frozenset(job["parts"]))
        bench.join(job["invocation"])
        step = bound.step(job["step"]) if job["step"] else None
        above = [StepOutcome(**outcome) for outcome in job["above"]]
        _say(out, {"ready": True})
        while line := lines.get():
            ask = json.loads(line)
            _say(out, _answer(bench, step, above, ask) if step else _made(bench, above, ask, out))
            bench.memo.save()
            if STOPPING.is_set():
                return


def _stop(signum: int, frame: FrameType | None) -> None:
    STOPPING.set()
    raise KeyboardInterrupt


def _read(lines: SimpleQueue[str]) -> None:
    """Hands lines on. When the driver is gone there is nobody to work for: its next run goes on from what is done."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def _answer(bench: Bench, step: BoundStep, above: list[StepOutcome], ask: Mapping[str, Any]) -> dict[str, Any]:
    try:
        if isinstance(step, BoundFolds):
            make_fold(bench, step, ask["fold"], above)
            return {"fold": ask["fold"]}
        assert isinstance(step, BoundSearch)
        trial, made = run_trial(bench, step, above, ask["number"], ask["values"])
        return {"trial": trial.to_json(), "made": made}
    except ModelyardError as error:
        return error.to_json()


def _made(bench: Bench, above: list[StepOutcome], ask: Mapping[str, Any], out: TextIO) -> dict[str, Any]:
    """One ordinary step; what it tells goes to the driver as it comes."""
    bench.listener = Telling(out)
    try:
        prepared = prepare(bench, bench.bound.step(ask["make"]), above)
        outcome = make_or_reuse(bench, prepared, ask["place"], ask["of"])
    except ModelyardError as error:
        return error.to_json()
    return {"outcome": {**vars(outcome), "outputs": dict(outcome.outputs)}}


class Telling:
    """A listener whose words go to the driver. Stages may tell from several threads."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._lock = out, threading.Lock()

    def _tell(self, method: str, *values: Any) -> None:
        with self._lock:
            _say(self._out, {"event": method, "values": values})

    def step_started(self, step: str, uses: str, position: int, total: int) -> None:
        self._tell("step_started", step, uses, position, total)

    def step_cached(self, step: str, uses: str, position: int, total: int) -> None:
        self._tell("step_cached", step, uses, position, total)

    def step_done(self, step: str, seconds: float) -> None:
        self._tell("step_done", step, seconds)

    def step_failed(self, step: str, message: str) -> None:
        self._tell("step_failed", step, message)

    def step_left_out(self, step: str, reason: str) -> None:
        self._tell("step_left_out", step, reason)

    def waiting(self, step: str) -> None:
        self._tell("waiting", step)

    def progress(self, step: str, done: int, total: int, what: str) -> None:
        self._tell("progress", step, done, total, what)

    def note(self, step: str, message: str) -> None:
        self._tell("note", step, message)


def _say(out: TextIO, value: Mapping[str, Any]) -> None:
    out.write(json.dumps(value) + "\n")
    out.flush()


def _profile(value: Mapping[str, Any]) -> Profile:
    ledger = value["ledger"]
    named = SecretName(ledger["secret"]) if isinstance(ledger, dict) else ledger
    return Profile(**{**value, "store": Path(value["store"]), "ledger": named})


if __name__ == "__main__":
    main()
