"""Execute a bound project from top to bottom: reuse what was made, make the rest, lose nothing.

A step is made under a lock on its key, in a folder of its own that survives a kill. Only when `run` has returned are
its outputs committed, and only then does the ledger learn of them, in one transaction with the evidence.
"""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.base.clock import monotonic
from modelyard.base.files import remove_tree
from modelyard.base.messages import t
from modelyard.core.artifact import Artifact
from modelyard.core.evidence import Evidence, Measurement
from modelyard.core.run import Binding, Run, Status
from modelyard.engine import refresh, released
from modelyard.engine.bound import BoundFolds, BoundProject, BoundSearch, BoundStep
from modelyard.engine.context import StageContext
from modelyard.engine.events import Listener, Silent, StepOutcome
from modelyard.engine.history import record_of
from modelyard.engine.identity import CodeMemo, environment, evaluator_of
from modelyard.engine.inputs import bindings_of, lay_out, record_bytes
from modelyard.engine.keys import identity_of, key_of, settings_json
from modelyard.engine.profiles import Profile
from modelyard.engine.tracking import open_mirror
from modelyard.engine.workers import run_in_workers, wants_workers
from modelyard.errors import IntegrityError, Interrupted, ModelyardError, StageError, StoreError
from modelyard.store import Store


@dataclass
class Bench:
    """What an execution works with: where it stores, how it runs, who watches."""

    bound: BoundProject
    store: Store
    profile: Profile
    listener: Listener = field(default_factory=Silent)
    remake_damaged: bool = True
    again: frozenset[str] = frozenset()
    """Steps to run anew though they are cached."""

    def __post_init__(self) -> None:
        self.memo = CodeMemo.open(self.store.root / "cache" / "code.json")

        self.fetches: dict[str, int] = {}
        self._invocation: int | None = None
        _announce(self.profile)

    @property
    def base(self) -> Path:
        return self.bound.project.folder

    def invocation(self) -> int:
        """The ledger's id of this `modelyard run`; recorded when the first step has to run."""
        if self._invocation is None:
            self._invocation = self.store.ledger.begin_invocation(self.bound.project.name)
        return self._invocation

    def join(self, invocation: int) -> None:
        """Work for a `modelyard run` that another process began."""
        self._invocation = invocation

    def finish(self, status: Status, outcome: Mapping[str, Any]) -> None:
        """Record how the `modelyard run` ended, if anything ran."""
        if self._invocation is not None:
            self.store.ledger.finish_invocation(self._invocation, status, outcome)
            self._invocation = None


def _announce(profile: Profile) -> None:
    """Tell methods, and the workers they start, where the profile lets them run."""
    if profile.threads:
        os.environ["MODELYARD_THREADS"] = str(profile.threads)
    if profile.device != "auto":
        os.environ["MODELYARD_DEVICE"] = profile.device


@dataclass(frozen=True)
class Prepared:
    """A step whose inputs are known: everything its key is made of."""

    step: BoundStep
    bindings: list[Binding]
    identity: dict[str, Any]
    key: str
    record: bytes
    fetch: refresh.Fetch | None = None


def execute(bench: Bench, until: str | None = None) -> list[StepOutcome]:
    """Run every step down to `until` (all if None). Raises the first step's error; what was made stays.

    Args:
        until: the last step; one that runs inside a search stands for the search.
    """
    outcomes: list[StepOutcome] = []
    steps = list(bench.bound.steps)
    if until is not None:
        until = bench.bound.members().get(until, until)
        steps = steps[: [step.name for step in steps].index(until) + 1]
    members = bench.bound.members()
    try:
        for position, step in enumerate(steps, 1):
            if step.name in members:
                continue  # its search runs it
            if isinstance(step, BoundSearch):
                from modelyard.engine.repeat.search import run_search

                outcomes += run_search(bench, step, outcomes, position, len(steps))
                continue
            if bench.profile.jobs > 1:
                from modelyard.engine.repeat.folds import make_ahead

                make_ahead(bench, step, outcomes)
            prepared = prepare(bench, step, outcomes)
            if prepared.fetch:
                bench.fetches[step.name] = prepared.fetch.generation
            outcomes.append(make_or_reuse(bench, prepared, position, len(steps)))
    except BaseException as error:
        bench.finish("killed" if isinstance(error, Interrupted) else "failed", {"error": str(error)})
        raise
    finally:
        bench.memo.save()
    bench.finish("done", {"steps": {outcome.step: dict(outcome.outputs) for outcome in outcomes}})
    return outcomes


def prepare(bench: Bench, step: BoundStep, above: list[StepOutcome], renew: bool = True) -> Prepared:
    """Bind a step's inputs to what the steps above made, and compute its key.

    Args:
        renew: whether what is fetched from outside may be too old; False to look at what there is.
    """
    outputs = {outcome.step: outcome.outputs for outcome in above}
    needs_record = any(port.kind == "record" for port in step.stage.inputs.values())
    record = record_bytes(record_of(bench.store, bench.bound, above)) if needs_record else b""
    bindings = bindings_of(step, outputs, record, bench.store)
    secret, seed = bench.profile.resolve_secret, bench.bound.project.seed
    identity = identity_of(step.found, step.config, seed, bindings, bench.base, bench.memo, secret)
    if isinstance(step, BoundSearch):
        from modelyard.engine.repeat.search import identity_of_members

        identity["members"] = identity_of_members(bench, step)
    elif isinstance(step, BoundFolds):
        from modelyard.engine.repeat.folds import keys_of_folds

        identity["members"] = keys_of_folds(bench, step, above)
    if step.stage.release:
        identity[released.PART] = released.digests_of(bench.store, bench.bound, step)
    fetch = _fetch(bench, step, identity, renew) if step.stage.refresh else None
    if fetch:
        identity = {**identity, refresh.PART: fetch.generation}
    return Prepared(step, bindings, identity, key_of(identity), record, fetch)


def _fetch(bench: Bench, step: BoundStep, identity: Mapping[str, Any], renew: bool) -> refresh.Fetch:
    """Which fetch the step is; decided once in a run, so that `always` fetches once."""
    if step.name in bench.fetches:
        return refresh.Fetch(bench.fetches[step.name])
    if not renew:
        return refresh.made(bench.store, step.step.uses, identity)
    return refresh.due(bench.store, step.step.uses, refresh.policy_of(step.stage, step.config), identity)


def reusable(bench: Bench, key: str) -> Run | None:
    """The finished run with this key whose outputs are all there.

    Raises:
        IntegrityError: the bytes of an output are not what was stored.
    """
    run = bench.store.ledger.completed(key)
    if run is None or not all(bench.store.artifacts.has(binding.digest) for binding in run.outputs):
        return None
    for binding in run.outputs:
        bench.store.artifacts.use(binding.digest)  # checked, and safe from a gc in another process from here on
    return run


def reuse(bench: Bench, prepared: Prepared) -> Run | None:
    """The finished run of a step, unless it is to run anew."""
    return None if prepared.step.name in bench.again else _whole(bench, prepared)


def _whole(bench: Bench, prepared: Prepared) -> Run | None:
    """As `reusable`; what was changed by hand is set aside, said, and made again from the same inputs."""
    try:
        return reusable(bench, prepared.key)
    except IntegrityError as error:
        if not bench.remake_damaged:
            raise
        run = bench.store.ledger.completed(prepared.key)
        for binding in run.outputs if run else ():
            aside = _set_aside(bench.store, binding.digest)
            if aside:
                words = t("its artifact was changed after it was made: set aside in {place}, made again", place=aside)
                bench.listener.note(prepared.step.name, f"{words}\n{error}")
        return None


def _set_aside(store: Store, digest: str) -> Path | None:
    try:
        store.artifacts.verify(digest)
    except IntegrityError as error:
        return store.artifacts.quarantine(digest, str(error))
    return None


def make_or_reuse(bench: Bench, prepared: Prepared, position: int, total: int) -> StepOutcome:
    """A step's outcome: what is there, else made under the lock on its key."""
    step, listener = prepared.step, bench.listener
    run = reuse(bench, prepared)
    if run is None:
        with bench.store.artifacts.lock(prepared.key, lambda _: listener.waiting(step.name)):
            run = reuse(bench, prepared)  # another run may have made it while this one waited
            if run is None:
                listener.step_started(step.name, step.step.uses, position, total)
                return _make(bench, prepared)
    listener.step_cached(step.name, step.step.uses, position, total)
    return outcome_of(step, run, cached=True)


def outcome_of(step: BoundStep, run: Run, cached: bool) -> StepOutcome:
    outputs = {binding.port: binding.digest for binding in run.outputs}
    return StepOutcome(step.name, step.step.uses, run.id, cached, run.seconds, outputs)


def _make(bench: Bench, prepared: Prepared) -> StepOutcome:
    """Run the stage and commit what it made. The caller holds the key's lock."""
    ledger, step = bench.store.ledger, prepared.step
    _bury(bench, prepared)
    room = bench.store.artifacts.scratch(prepared.key)
    for name in ("outputs", "views"):
        remove_tree(room / name)
    run = ledger.start_run(
        key=prepared.key,
        project=bench.bound.project.name,
        step=step.name,
        uses=step.step.uses,
        seed=bench.bound.project.seed,
        settings=settings_json(step.config),
        identity=prepared.identity,
        environment=environment(),
        inputs=prepared.bindings,
        openings=[(binding.digest, "test") for binding in prepared.bindings if "test" in binding.splits],
        invocation=bench.invocation(),
    )
    began = monotonic()
    try:
        context = _run_stage(bench, prepared, room)
        seconds = monotonic() - began
        _commit(bench, prepared, run, context, room, seconds)
    except BaseException as error:
        failure = _failure(step, error)
        _record_failure(bench, run, failure)
        bench.listener.step_failed(step.name, str(failure))
        if failure is error:
            raise
        raise failure from error
    bench.store.artifacts.drop_scratch(prepared.key)
    bench.listener.step_done(step.name, seconds)
    finished = ledger.run(run)
    return outcome_of(step, finished, cached=False)


def _bury(bench: Bench, prepared: Prepared) -> None:
    """Runs of this key that still say they are running are dead: this process holds the key's lock."""
    name = bench.bound.project.name
    running = bench.store.ledger.runs(project=name, step=prepared.step.name, status="running")
    dead = [run.id for run in running if run.key == prepared.key]
    bench.store.ledger.kill_runs(dead, t("its process ended without a word"))


def _run_stage(bench: Bench, prepared: Prepared, room: Path) -> StageContext:
    step = prepared.step
    context = StageContext(
        step=step.name,
        stage=step.stage,
        seed=bench.bound.project.seed,
        base=bench.base,
        room=room,
        folders=lay_out(step, prepared.bindings, prepared.record, room, bench.store),
        listener=bench.listener,
        resolve_secret=bench.profile.resolve_secret,
        processes=bench.profile.processes,
    )
    context.mirror = open_mirror(
        bench.profile.tracking, bench.profile.store, bench.bound.project.name, step.name, prepared.key, context.say
    )
    run = step.stage.run
    if isinstance(step, BoundFolds):
        from modelyard.engine.repeat.folds import gathering

        run = gathering(bench, step, prepared)
    if step.stage.release:
        released.adopt(bench.store, step, prepared.identity[released.PART], context)
    process = os.getpid()
    try:
        if wants_workers(step, bench.profile):
            run_in_workers(step, context, bench.profile)
        else:
            run(step.config, context)
    finally:
        context.mirror.close()
        if os.getpid() != process:  # a child that the stage forked and let run on: only its parent may commit
            os._exit(StageError.exit_code)
    return context


def _commit(bench: Bench, prepared: Prepared, run: int, context: StageContext, room: Path, seconds: float) -> None:
    stage, artifacts = prepared.step.stage, bench.store.artifacts
    outputs = []
    for name, port in stage.outputs.items():
        if name in context.adopted:
            outputs.append(_adopted(name, context.adopted[name], bench.store))
            continue
        folder = room / "outputs" / name
        if not folder.is_dir() or not any(folder.iterdir()):
            if port.optional:
                continue
            raise StageError(t("the stage left its output `{port}` empty", port=name), where=prepared.step.name)
        artifact = artifacts.commit(folder, port.kind)
        splits = artifacts.manifest(artifact.digest).splits() if port.kind == "dataset" else ()
        outputs.append((Binding(name, artifact.digest, artifact.digest, splits), artifact))
    digests = {binding.port: binding.digest for binding, _ in outputs}
    bench.store.ledger.finish_run(
        run,
        outputs=[binding for binding, _ in outputs],
        artifacts=[artifact for _, artifact in outputs],
        evidence=[_tie(measurement, prepared, digests) for measurement in context.measurements],
        curves=context.grouped_curves(),
        notes=context.notes,
        seconds=seconds,
    )


def _adopted(port: str, digest: str, store: Store) -> tuple[Binding, Artifact]:
    """An output that another run made."""
    artifact = store.artifacts.artifact(digest)
    splits = store.artifacts.manifest(digest).splits() if artifact.kind == "dataset" else ()
    return Binding(port, digest, digest, splits), artifact


def _tie(measurement: Measurement, prepared: Prepared, outputs: Mapping[str, str]) -> Evidence:
    """Evidence: ports replaced by digests. The ledger gives run and sequence."""
    inputs = {binding.port: binding.digest for binding in reversed(prepared.bindings)}
    on, _, split = measurement.on.partition("/")
    return Evidence(
        claim=measurement.claim,
        value=measurement.value,
        interval=measurement.interval,
        n=measurement.n,
        unit=measurement.unit,
        subject={**inputs, **outputs}[measurement.about],
        dataset={**outputs, **inputs}[on] if on else "",
        split=split,
        evaluator=evaluator_of(prepared.identity),
        run=0,
        sequence=0,
        slice=dict(measurement.slice),
        against={**outputs, **inputs}[measurement.against] if measurement.against else None,
    )


def _failure(step: BoundStep, error: BaseException) -> BaseException:
    """The error as a user should meet it."""
    if isinstance(error, ModelyardError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Interrupted(
            t("stopped during `{step}`", step=step.name), remedy=t("what is done is kept; run it again to go on")
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            t("the disk is full"), where=step.name, remedy=t("free some space and run it again; what is done is kept")
        )
    if isinstance(error, MemoryError):
        return StageError(
            t("out of memory"), where=step.name, remedy=t("make the model, the batch or the data smaller")
        )
    if isinstance(error, SystemExit):
        return StageError(
            t("the stage ended the process (exit {code}) instead of returning", code=error.code), where=step.name
        )
    if isinstance(error, Exception):
        last = traceback.extract_tb(error.__traceback__)[-1]
        return StageError(
            t("{kind}: {error}", kind=type(error).__name__, error=error),
            where=f"{step.name} ({Path(last.filename).name}:{last.lineno})",
            remedy=t("`modelyard show runs` has the whole trace; `modelyard show run ID`"),
        )
    return error


def _record_failure(bench: Bench, run: int, failure: BaseException) -> None:
    status: Status = "killed" if isinstance(failure, Interrupted) else "failed"
    text = "".join(traceback.format_exception(failure))
    try:
        bench.store.ledger.fail_run(run, text, status)
    except StoreError:
        return  # the ledger cannot be written either; the first error is the one to show
