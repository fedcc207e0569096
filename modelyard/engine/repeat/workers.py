"""Trials, folds and single steps side by side: worker processes, as many as the profile's `jobs`.

Workers are asked over pipes, a JSON line each way, and end when the pipe does: also when this process was killed.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any, TypeVar

from modelyard.base.canonical import Json
from modelyard.base.clock import monotonic
from modelyard.base.messages import t
from modelyard.core.project import Project, SecretName
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundSearch
from modelyard.engine.events import StepOutcome
from modelyard.engine.repeat.goals import Trial
from modelyard.engine.repeat.trial import Inside, heard_by, run_trial
from modelyard.errors import (
    DependencyError,
    InputError,
    IntegrityError,
    Interrupted,
    ModelyardError,
    Problem,
    ProfileError,
    StageError,
    StoreError,
)

Batch = Sequence[tuple[int, Mapping[str, Json]]]
Ended = Callable[[Trial, bool, float], None]
Heard = Callable[[str, Sequence[Any]], None]
T = TypeVar("T")
EVENT = '{"event":'
"""How a line begins that is not yet the answer."""
MODULE = "modelyard.engine.repeat.worker"
GRACE_S = 5.0
KINDS = {
    kind.__name__: kind for kind in (DependencyError, InputError, IntegrityError, Interrupted, ProfileError, StoreError)
}
"""Errors that a worker may report and that mean more than "a step failed"."""


@contextmanager
def crew(
    bench: Bench, search: BoundSearch, above: Sequence[StepOutcome], ended: Ended
) -> Iterator[Callable[[Batch], list[Trial | None]]]:
    """Something that runs a batch of trials and gives them back in order.

    Args:
        ended: told of each trial as it ends, whether anything had to run, and the seconds it took.
    """
    if bench.profile.jobs <= 1:

        def here(batch: Batch) -> list[Trial | None]:
            found: list[Trial | None] = []
            for number, values in batch:
                began = monotonic()
                with heard_by(bench, Inside(bench.listener, search.name)):
                    trial, made = run_trial(bench, search, above, number, values)
                ended(trial, made, monotonic() - began)
                found.append(trial)
            return found

        yield here
        return
    workers = Workers(bench, search.name, above)

    def beside(batch: Batch) -> list[Trial | None]:
        found: list[Trial | None] = [None] * len(batch)
        asks = [{"number": number, "values": dict(values)} for number, values in batch]
        for place, reply, seconds in workers.each(asks):
            trial = Trial.from_json(reply["trial"])
            ended(trial, bool(reply["made"]), seconds)
            found[place] = trial
        return found

    try:
        yield beside
    finally:
        workers.stop()


class Workers:
    """Processes that are started when first needed, and each asked by one thread at a time."""

    def __init__(self, bench: Bench, name: str, above: Sequence[StepOutcome], heard: Heard | None = None) -> None:
        """Args:
        name: of the search or folds whose work it is; `` for single steps.
        above: outcomes of the steps above it.
        heard: what single steps tell, as (method of the listener, its values); called from several threads.
        """
        self._heard = heard or (lambda method, values: None)
        self._job = {
            "project": project_json(bench.bound.project),
            "folder": str(bench.base),
            "profile": profile_json(bench),
            "step": name,
            "parts": sorted(bench.parts),
            "invocation": bench.invocation(),
            "above": [{**vars(outcome), "outputs": dict(outcome.outputs)} for outcome in above],
        }
        self._jobs = bench.profile.jobs
        self._pool = ThreadPoolExecutor(self._jobs)
        self._idle: queue.SimpleQueue[subprocess.Popen[str]] = queue.SimpleQueue()
        self._all: list[subprocess.Popen[str]] = []
        self._threads = bench.profile.threads
        if bench.profile.threads is None:
            words = t("each of {jobs} processes may use all cores: set `threads:` in the profile", jobs=self._jobs)
            bench.listener.note(name, words)

    def each(self, asks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Any], float]]:
        """Place, answer and seconds of each, as they come. Raises the first error that a worker met."""
        futures: dict[Future[tuple[dict[str, Any], float]], int] = {
            self._pool.submit(self._one, value): place for place, value in enumerate(asks)
        }
        for future in _as_they_end(futures):
            yield (futures[future], *future.result())

    def each_or_error(self, asks: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, Any] | ModelyardError]]:
        """Place and answer of each, or the error that its worker met: one that fails does not stop the others."""
        futures = {self._pool.submit(self._one, value): place for place, value in enumerate(asks)}
        for future in _as_they_end(futures):
            try:
                yield futures[future], future.result()[0]
            except ModelyardError as error:
                yield futures[future], error

    def _one(self, value: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        began = monotonic()
        worker = self._worker()
        reply = _ask(worker, value, self._heard)
        self._idle.put(worker)
        if "problems" in reply:
            raise _error(reply)
        return reply, monotonic() - began

    def _worker(self) -> subprocess.Popen[str]:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            worker = subprocess.Popen(
                [sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                env=_environment(self._threads),
            )  # fmt: skip
            self._all.append(worker)
            _ask(worker, self._job, self._heard)
            return worker

    def stop(self) -> None:
        """End the workers; one in the middle of its work is interrupted, so that its run is recorded as such."""
        self._pool.shutdown(wait=False, cancel_futures=True)  # else what waits begins as soon as a worker has ended
        for worker in self._all:
            if worker.poll() is None:
                worker.send_signal(signal.SIGTERM)
        for worker in self._all:
            try:
                worker.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self._pool.shutdown(wait=True)
        for worker in self._all:
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()


def _as_they_end(futures: Iterable[Future[T]]) -> Iterator[Future[T]]:
    """Those that ended at once in the order they were asked."""
    order = {future: place for place, future in enumerate(futures)}
    left = set(order)
    while left:
        done, left = wait(left, return_when=FIRST_COMPLETED)
        yield from sorted(done, key=order.__getitem__)


def _environment(threads: int | None) -> dict[str, str]:
    """Of a worker: libraries that compute in threads of their own take no more than the profile gives."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if threads else ()
    return {**{name: str(threads) for name in names}, **os.environ}


def _ask(worker: subprocess.Popen[str], value: Mapping[str, Any], heard: Heard) -> dict[str, Any]:
    if worker.stdin is None or worker.stdout is None:
        raise ValueError("the worker has no pipes")
    try:
        worker.stdin.write(json.dumps(value) + "\n")
        worker.stdin.flush()
        line = worker.stdout.readline()
        while line.startswith(EVENT):
            event = json.loads(line)
            heard(event["event"], event["values"])
            line = worker.stdout.readline()
    except OSError:
        line = ""
    if not line:
        worker.wait()
        raise StageError(
            t("a worker process ended with code {code}", code=worker.returncode),
            remedy=t("its last words are above; with `jobs: 1` the trials run in this process"),
        )
    reply: dict[str, Any] = json.loads(line)
    return reply


def _error(reply: Mapping[str, Any]) -> ModelyardError:
    kind: type[ModelyardError] = KINDS.get(reply["error"], StageError)
    return kind.of([Problem(**problem) for problem in reply["problems"]])


def project_json(project: Project) -> dict[str, Any]:
    """A project as a dict that reads back as the same project, without its release."""
    steps = {}
    for step in project.steps:
        body: dict[str, Any] = {step.block: _plain(step.settings)}
        if not step.repeat:
            body |= {"uses": step.uses, "in": {port: list(names) for port, names in step.inputs.items()}}
        if step.seed is not None:
            body["seed"] = step.seed
        steps[step.name] = body
    return {"version": 1, "project": project.name, "seed": project.seed, "steps": steps}


def _plain(value: Any) -> Any:
    if isinstance(value, SecretName):
        return {"secret": value.secret}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def profile_json(bench: Bench) -> dict[str, Any]:
    """A profile as JSON; secrets by name."""
    return {**vars(bench.profile), "store": str(bench.profile.store), "ledger": _plain(bench.profile.ledger)}
