"""Execute a bound project from top to bottom: reuse what was made, make the rest, lose nothing.

A step is made under a lock on its key, in a folder of its own that survives a kill. Only when `run` has returned are
its outputs committed, and only then does the ledger learn of them, in one transaction with the evidence.
"""

from __future__ import annotations

import os
from pathlib import Path

from modelyard.base.clock import monotonic
from modelyard.base.files import remove_tree
from modelyard.base.messages import t
from modelyard.engine import released
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundFolds, BoundSearch, BoundStep
from modelyard.engine.commit import commit
from modelyard.engine.context import StageContext
from modelyard.engine.events import StepOutcome
from modelyard.engine.failure import failure_of, record_failure
from modelyard.engine.identity import environment
from modelyard.engine.inputs import lay_out
from modelyard.engine.keys import settings_json
from modelyard.engine.prepare import Prepared, outcome_of, prepare, reuse
from modelyard.engine.tracking import open_mirror
from modelyard.engine.workers import run_in_workers, wants_workers
from modelyard.errors import Interrupted, StageError


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
            if bench.profile.jobs > 1:
                from modelyard.engine.repeat.folds import make_ahead

                make_ahead(bench, step, outcomes)
            outcomes += make_step(bench, step, outcomes, position, len(steps))
    except BaseException as error:
        bench.finish("killed" if isinstance(error, Interrupted) else "failed", {"error": str(error)})
        raise
    finally:
        bench.memo.save()
    bench.finish("done", {"steps": {outcome.step: dict(outcome.outputs) for outcome in outcomes}})
    return outcomes


def make_step(bench: Bench, step: BoundStep, above: list[StepOutcome], position: int, total: int) -> list[StepOutcome]:
    """A step's outcome; of a search also those of the steps inside it, as the winner made them."""
    if isinstance(step, BoundSearch):
        from modelyard.engine.repeat.search import run_search

        return run_search(bench, step, above, position, total)
    prepared = prepare(bench, step, above)
    if prepared.fetch:
        bench.fetches[step.name] = prepared.fetch.generation
    return [make_or_reuse(bench, prepared, position, total)]


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
        seed=bench.bound.project.seed_of(step.step),
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
        commit(bench, prepared, run, context, room, seconds)
    except BaseException as error:
        failure = failure_of(step, error)
        record_failure(bench, run, failure)
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
        seed=bench.bound.project.seed_of(step.step),
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
