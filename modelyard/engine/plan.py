"""What a run would do, without doing it: bindings, keys, what is cached and why not, what is missing."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from modelyard.base.lookup import version_of
from modelyard.base.messages import t
from modelyard.core.run import Run
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundFolds, BoundSearch, BoundStep
from modelyard.engine.events import StepOutcome
from modelyard.engine.keys import differences
from modelyard.engine.prepare import outcome_of, prepare, reusable
from modelyard.engine.refresh import PART
from modelyard.errors import IntegrityError, ModelyardError, Problem

NAMED = 4
"""Steps that one waits for, by name; of more, how many."""
State = Literal["cached", "run", "later", "blocked"]


@dataclass(frozen=True)
class PlannedStep:
    """One step of a plan.

    Attributes:
        state: `cached`; `run`: its inputs are there and it must run; `later`: a step above runs first, so whether it
            is cached shows then; `blocked`: it cannot run, see `problems`.
        reasons: why it is not cached, in words.
        bindings: input port to the steps (`step.port`) it takes from.
        key: None if it depends on steps that must run first.
        resumes: a killed run left work that this one goes on with.
        trials: of a search, how many there are and how many of them are done; else None.
    """

    step: str
    uses: str
    state: State
    reasons: tuple[str, ...] = ()
    bindings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    key: str | None = None
    resumes: bool = False
    problems: tuple[Problem, ...] = ()
    trials: Mapping[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        value = {**vars(self), "bindings": {port: list(given) for port, given in self.bindings.items()}}
        return {**value, "reasons": list(self.reasons), "problems": [problem.to_json() for problem in self.problems]}


def plan(bench: Bench) -> list[PlannedStep]:
    """Look at every step, top to bottom. Nothing is run or written."""
    return _walk(bench, renew=True)[0]


def finished(bench: Bench) -> tuple[list[StepOutcome], tuple[str, ...]]:
    """The steps that are done as the project stands now, and the names of those that are not."""
    planned, done = _walk(bench, renew=False)
    names = {outcome.step for outcome in done}
    return done, tuple(item.step for item in planned if item.step not in names)


def _walk(bench: Bench, renew: bool) -> tuple[list[PlannedStep], list[StepOutcome]]:
    done: list[StepOutcome] = []
    planned: list[PlannedStep] = []
    members = bench.bound.members()
    for step in bench.bound.steps:
        if step.name in members:
            continue  # looked at with its search
        names = {outcome.step for outcome in done}
        above = [item.step for item in planned] if _needs_record(step) else _sources(step)
        waits = sorted({name for name in above if name not in names})
        if isinstance(step, BoundSearch):
            from modelyard.engine.repeat.planning import look_at_search

            found, outcomes = look_at_search(bench, step, waits, done, renew)
            planned += found
            done += outcomes
            continue
        item = later(step, waits) if waits else look(bench, step, done, renew)
        planned.append(item)
        run = bench.store.ledger.completed(item.key) if item.state == "cached" and item.key else None
        if run is not None:
            done.append(outcome_of(step, run, cached=True))
    return planned, done


def _sources(step: BoundStep) -> list[str]:
    if isinstance(step, BoundFolds):
        return [name for group in step.groups for name in group]
    return [source for given in step.bindings.values() for source, _ in given]


def _needs_record(step: BoundStep) -> bool:
    return any(port.kind == "record" for port in step.stage.inputs.values())


def names_of(step: BoundStep) -> dict[str, tuple[str, ...]]:
    """What is bound to each input, as `step.port`."""
    return {port: tuple(f"{source}.{output}" for source, output in given) for port, given in step.bindings.items()}


def later(step: BoundStep, waits: Sequence[str]) -> PlannedStep:
    """A step that waits for others, so that its key is not known."""
    reason = t("waits for {steps}", steps=", ".join(waits[:NAMED]))
    if len(waits) > NAMED:
        reason = t("waits for {steps} and {num} more", steps=", ".join(waits[:NAMED]), num=len(waits) - NAMED)
    return PlannedStep(step.name, step.step.uses, "later", (reason,), names_of(step), problems=missing_of(step))


def look(bench: Bench, step: BoundStep, done: list[StepOutcome], renew: bool) -> PlannedStep:
    """A step whose inputs are there: cached or not, and why."""
    try:
        prepared = prepare(bench, step, done, renew)
    except ModelyardError as error:
        why = tuple(problem.found for problem in error.problems)
        return PlannedStep(step.name, step.step.uses, "blocked", why, names_of(step), problems=error.problems)
    key = prepared.key
    fetched = (prepared.fetch.why,) if prepared.fetch and prepared.fetch.why else ()
    try:
        if reusable(bench, key) is not None:
            return PlannedStep(step.name, step.step.uses, "cached", fetched, names_of(step), key)
        reasons = _why(bench, step, prepared.identity, fetched)
    except IntegrityError as error:
        reasons = (t("its artifact was changed after it was made: {what}", what=error.problems[0].found),)
    missing = missing_of(step)
    state: State = "blocked" if missing else "run"
    resumes = bench.store.artifacts.has_scratch(key)
    return PlannedStep(step.name, step.step.uses, state, reasons, names_of(step), key, resumes, missing)


def _why(bench: Bench, step: BoundStep, identity: Mapping[str, Any], fetched: tuple[str, ...] = ()) -> tuple[str, ...]:
    before = _last_done(bench, step)
    if before is None:
        return (t("never run"),)
    changes = differences(identity, before.identity)
    if not changes and before.identity.get(PART) != identity.get(PART):
        return fetched
    if not changes:
        return (t("its outputs were removed"),)
    return tuple(t("changed: {what}", what=change) for change in changes)


def _last_done(bench: Bench, step: BoundStep) -> Run | None:
    runs = bench.store.ledger.runs(project=bench.bound.project.name, step=step.name, status="done", limit=1)
    return runs[0] if runs else None


def missing_of(step: BoundStep) -> tuple[Problem, ...]:
    """Libraries that the stage needs and this installation lacks."""
    absent = [name for name in step.stage.libraries if version_of(name) is None and not _importable(name)]
    remedy = f'pip install "modelyard[{step.stage.extra}]"' if step.stage.extra else ""
    remedy = remedy or t("install the project's locked versions again")
    return tuple(
        Problem(step.name, t("the library `{name}` is not installed", name=name), "", remedy) for name in absent
    )


def _importable(name: str) -> bool:
    return importlib.util.find_spec(name.replace("-", "_")) is not None
