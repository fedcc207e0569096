"""What a run would do about a search: whether it is done, and how many of its trials are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelyard.base.messages import t
from modelyard.core.run import Run
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundSearch
from modelyard.engine.events import StepOutcome
from modelyard.engine.plan import PlannedStep, later, look, missing_of, names_of
from modelyard.engine.prepare import Prepared, outcome_of, prepare, reusable
from modelyard.engine.repeat.search import STOPPED, replay, winning_values
from modelyard.engine.repeat.trial import variants
from modelyard.errors import IntegrityError, ModelyardError

LOOK_BACK = 100


def look_at_search(
    bench: Bench, search: BoundSearch, waits: Sequence[str], done: list[StepOutcome], renew: bool
) -> tuple[list[PlannedStep], list[StepOutcome]]:
    """The members and the search as planned, and the outcomes of those that are done.

    Args:
        waits: steps above that run first.
        renew: False to look at what there is, a search that ran out of time included.
    """
    if waits:
        return _with_members(search, later(search, waits)), []
    try:
        prepared = prepare(bench, search, done)
    except ModelyardError as error:
        why = tuple(problem.found for problem in error.problems)
        return _with_members(search, _planned(search, "blocked", why, problems=error.problems)), []
    try:
        run = _finished(bench, prepared, renew)
        if run is not None:
            return _cached(bench, search, prepared, run, done)
        reasons: tuple[str, ...] = ()
    except IntegrityError as error:
        reasons = (t("its artifact was changed after it was made: {what}", what=error.problems[0].found),)
    missing = missing_of(search)
    if missing:
        return _with_members(search, _planned(search, "blocked", reasons, problems=missing)), []
    there = len(replay(bench, search, done).trials)
    words = t("{done} of {total} trials are done", done=there, total=search.trials)
    item = _planned(search, "run", (*reasons, words), key=prepared.key)
    return _with_members(search, replace(item, trials={"planned": search.trials, "done": there})), []


def done_before(bench: Bench, search: BoundSearch, above: Sequence[StepOutcome]) -> list[StepOutcome] | None:
    """As `run_search` for a search that is done and of which all is there; else None. Nothing is run or written.

    Raises:
        IntegrityError: an output is not what was stored.
    """
    run = reusable(bench, prepare(bench, search, list(above)).key)
    if run is None:
        return None
    outcomes = list(above)
    for step in variants(search, winning_values(bench, run), search.prefix):
        made = reusable(bench, prepare(bench, step, outcomes).key)
        if made is None:
            return None
        outcomes.append(outcome_of(step, made, cached=True))
    return [*outcomes[len(above) :], outcome_of(search, run, cached=True)]


def _planned(search: BoundSearch, state: str, reasons: tuple[str, ...], **more: object) -> PlannedStep:
    return PlannedStep(search.name, search.step.uses, state, reasons, names_of(search), **more)  # type: ignore[arg-type]


def _finished(bench: Bench, prepared: Prepared, renew: bool) -> Run | None:
    run = reusable(bench, prepared.key)
    if run is not None or renew:
        return run
    name = bench.bound.project.name
    for one in bench.store.ledger.runs(project=name, step=prepared.step.name, status="done", limit=LOOK_BACK):
        if {key: value for key, value in one.identity.items() if key != STOPPED} == prepared.identity:
            return reusable(bench, one.key)
    return None


def _cached(
    bench: Bench, search: BoundSearch, prepared: Prepared, run: Run, done: list[StepOutcome]
) -> tuple[list[PlannedStep], list[StepOutcome]]:
    outcomes: list[StepOutcome] = []
    members: list[PlannedStep] = []
    for step in variants(search, winning_values(bench, run), search.prefix):
        item = look(bench, step, [*done, *outcomes], renew=False)
        members.append(item)
        made = bench.store.ledger.completed(item.key) if item.state == "cached" and item.key else None
        if made is None:
            break
        outcomes.append(outcome_of(step, made, cached=True))
    item = _planned(search, "cached", (), key=run.key)
    outcomes.append(outcome_of(search, run, cached=True))
    return [*members, replace(item, trials={"planned": search.trials, "done": search.trials})], outcomes


def _with_members(search: BoundSearch, item: PlannedStep) -> list[PlannedStep]:
    """The members wait for the search: it decides their settings."""
    inside = t("runs inside the search `{search}`", search=search.name)
    members = [replace(later(step, ()), reasons=(inside,)) for step in variants(search, {}, search.prefix)]
    return [*members, item]
