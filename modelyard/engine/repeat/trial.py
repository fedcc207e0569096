"""One trial: the members of a search with their settings changed, each an ordinary run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from modelyard.base.canonical import Json
from modelyard.base.messages import t
from modelyard.core.run import Run
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundSearch, BoundStep
from modelyard.engine.events import Listener, Silent, StepOutcome
from modelyard.engine.execute import make_or_reuse
from modelyard.engine.fields import Fields
from modelyard.engine.prepare import outcome_of, prepare, reusable
from modelyard.engine.repeat.goals import Trial
from modelyard.engine.repeat.opening import variant
from modelyard.engine.source import Source
from modelyard.errors import InputError, IntegrityError, ModelyardError, StageError

DONE, FAILED = "done", "failed"
NO_NUMBER = "not a number"


class Inside(Silent):
    """Listens to the steps of a trial: only their progress goes on, under the search's name."""

    def __init__(self, outer: Listener, name: str) -> None:
        self._outer, self._name = outer, name

    def progress(self, step: str, done: int, total: int, what: str) -> None:
        self._outer.progress(self._name, done, total, what)

    def waiting(self, step: str) -> None:
        self._outer.waiting(step)


@contextmanager
def heard_by(bench: Bench, listener: Listener) -> Iterator[Bench]:
    """The bench with another listener for a while."""
    outer, bench.listener = bench.listener, listener
    try:
        yield bench
    finally:
        bench.listener = outer


def run_trial(
    bench: Bench, search: BoundSearch, above: Sequence[StepOutcome], number: int, values: Mapping[str, Json]
) -> tuple[Trial, bool]:
    """Make or reuse every run of a trial, and read what it measured. The second value: whether anything had to run.

    A step that fails makes the trial a failed one; what has nothing to do with settings (a full disk, a store that is
    gone, Ctrl-C) is raised.
    """
    keys: dict[str, str] = {}
    outcomes = list(above)
    runs: dict[str, Run] = {}
    made = False
    try:
        for member, step in zip(search.members, variants(search, values, search.name), strict=True):
            prepared = prepare(bench, step, outcomes)
            keys[member.name] = prepared.key
            outcome = make_or_reuse(bench, prepared, number, search.trials)
            runs[member.name] = bench.store.ledger.run(outcome.run)
            outcomes.append(outcome)
            made |= not outcome.cached
    except (StageError, InputError) as error:
        return Trial(number, dict(values), FAILED, (), keys, type(error).__name__), True
    return _judged(bench, search, number, values, keys, runs), made


def variants(search: BoundSearch, values: Mapping[str, Json], prefix: str) -> list[BoundStep]:
    """The members with these settings. Raises StageError if the settings do not go together."""
    fields = Fields(Source())
    found = variant(search.members, dict(values), prefix, fields)
    if fields.problems:
        raise StageError.of(fields.problems)
    return found


def look_up(
    bench: Bench, search: BoundSearch, above: Sequence[StepOutcome], number: int, values: Mapping[str, Json]
) -> Trial | None:
    """The same trial if all of it is there; nothing is run or written."""
    keys: dict[str, str] = {}
    runs: dict[str, Run] = {}
    outcomes = list(above)
    try:
        for member, step in zip(search.members, variants(search, values, search.name), strict=True):
            prepared = prepare(bench, step, outcomes)
            run = reusable(bench, prepared.key)
            if run is None:
                return None
            keys[member.name], runs[member.name] = prepared.key, run
            outcomes.append(outcome_of(step, run, cached=True))
    except IntegrityError:
        return None
    except ModelyardError as error:
        return Trial(number, dict(values), FAILED, (), keys, type(error).__name__)
    return _judged(bench, search, number, values, keys, runs)


def _judged(
    bench: Bench,
    search: BoundSearch,
    number: int,
    values: Mapping[str, Json],
    keys: Mapping[str, str],
    runs: Mapping[str, Run],
) -> Trial:
    scores = [goal.read(bench.store.ledger.evidence_of(runs[goal.step].id)) for goal in search.goals]
    sound = [score for score in scores if score is not None and math.isfinite(score)]
    if len(sound) < len(scores):
        return Trial(number, dict(values), FAILED, (), keys, NO_NUMBER)
    return Trial(number, dict(values), DONE, tuple(sound), keys)


def reason(bench: Bench, search: BoundSearch, trial: Trial) -> str:
    """Why a trial failed, in the user's words: the last line of the run that failed."""
    if trial.error == NO_NUMBER:
        return t("what it measured is no number, or was not measured on validation")
    for key in reversed(list(trial.keys.values())):
        for run in bench.store.ledger.runs(project=bench.bound.project.name, status="failed", limit=1000):
            if run.key == key and run.error:
                lines = [line for line in run.error.strip().splitlines() if "Error: " in line]
                return (lines or [run.error.strip()])[-1].partition("Error: ")[2] or trial.error
    return trial.error
