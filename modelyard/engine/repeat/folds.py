"""Cross-validation: the steps of every fold made, side by side if the profile has jobs, and handed to what gathers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from modelyard.core.evidence import TASK
from modelyard.core.stage import Context
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundFolds, BoundSearch, BoundStep
from modelyard.engine.events import StepOutcome
from modelyard.engine.execute import make_step
from modelyard.engine.prepare import Prepared, outcome_of, prepare, reusable
from modelyard.engine.repeat import gathering as gatherer
from modelyard.engine.repeat.planning import done_before
from modelyard.engine.repeat.search import winning_values
from modelyard.engine.repeat.settings import FoldsConfig
from modelyard.errors import IntegrityError


def make_ahead(bench: Bench, step: BoundStep, above: Sequence[StepOutcome]) -> None:
    """Before the first step of folds: make all folds side by side, so that what follows finds them."""
    gathers = [item for item in bench.bound.steps if isinstance(item, BoundFolds)]
    folds = next((item for item in gathers if item.groups[0][0] == step.name), None)
    left = _undone(bench, folds, above) if folds is not None else []
    if folds is None or len(left) < 2:
        return
    from modelyard.engine.repeat.workers import Workers

    workers = Workers(bench, folds.name, above)
    try:
        for done, _ in enumerate(workers.each([{"fold": number} for number in left]), 1):
            bench.listener.progress(folds.name, done, len(left), "folds")
    finally:
        workers.stop()


def _undone(bench: Bench, folds: BoundFolds, above: Sequence[StepOutcome]) -> list[int]:
    """Places of the folds that are not whole yet."""
    return [place for place, group in enumerate(folds.groups) if not _there(bench, group, above)]


def _there(bench: Bench, group: Sequence[str], above: Sequence[StepOutcome]) -> bool:
    outcomes, inside = list(above), bench.bound.members()
    try:
        for step in (bench.bound.step(name) for name in group if name not in inside):
            found = _found(bench, step, outcomes)
            if found is None:
                return False
            outcomes += found
    except IntegrityError:
        return False
    return True


def _found(bench: Bench, step: BoundStep, above: list[StepOutcome]) -> list[StepOutcome] | None:
    """What a step came to, if that is all there."""
    if isinstance(step, BoundSearch):
        return done_before(bench, step, above)
    run = reusable(bench, prepare(bench, step, above).key)
    return [outcome_of(step, run, cached=True)] if run is not None else None


def make_fold(bench: Bench, folds: BoundFolds, number: int, above: Sequence[StepOutcome]) -> None:
    """The steps of one fold, from 0; in a worker. A search in it has no workers of its own."""
    alone = copy(bench)
    alone.profile = replace(bench.profile, jobs=1)
    outcomes, inside = list(above), bench.bound.members()
    for step in (bench.bound.step(name) for name in folds.groups[number] if name not in inside):
        outcomes += make_step(alone, step, outcomes, 1, 1)


def keys_of_folds(bench: Bench, folds: BoundFolds, above: Sequence[StepOutcome]) -> dict[str, str]:
    """By step of a fold the key of its run: what was measured is part of what is gathered."""
    runs = {outcome.step: outcome.run for outcome in above}
    return {name: bench.store.ledger.run(runs[name]).key for group in folds.groups for name in group}


def gathering(bench: Bench, folds: BoundFolds, prepared: Prepared) -> Callable[[Any, Context], None]:
    """The `run` of the step that gathers: it reads what the folds' runs measured."""
    keys: Mapping[str, str] = prepared.identity["members"]
    judges = {name for name, _ in folds.scores}

    def run(config: FoldsConfig, context: Context) -> None:
        measured, chosen = [], []
        for number, group in enumerate(folds.groups, 1):
            found: dict[tuple[str, str, str], Any] = {}
            for name in judges:
                for item in _measured(bench, keys[folds.of_fold(number, name)]):
                    found[name, item.claim, item.slice.get(TASK, "")] = item
            measured.append(found)
            chosen.append(_chosen(bench, group, keys))
        gatherer.gather(config, context, folds.scores, measured, chosen if folds.nested else [])

    return run


def _measured(bench: Bench, key: str) -> list[Any]:
    """What the run of a key measured on validation, of everything or of a whole task."""
    run = bench.store.ledger.completed(key)
    evidence = bench.store.ledger.evidence_of(run.id) if run is not None else ()
    return [item for item in evidence if item.split == "validation" and item.whole]


def _chosen(bench: Bench, group: Sequence[str], keys: Mapping[str, str]) -> dict[str, Any]:
    """The settings that the searches of a fold chose."""
    found: dict[str, Any] = {}
    for name in group:
        if isinstance(bench.bound.step(name), BoundSearch):
            run = bench.store.ledger.completed(keys[name])
            found |= winning_values(bench, run) if run is not None else {}
    return found
