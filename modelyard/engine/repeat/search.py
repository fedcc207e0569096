"""Conducts a search: proposes trials, has them run, chooses the winner, and hands its outputs on.

Nothing of a search lives anywhere but in the runs of its trials. Conducted again, it proposes the same trials and
finds those that are done; so a search that was killed goes on, and one with more `trials` begins where it ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from modelyard.base.canonical import Json, canonical_json
from modelyard.base.clock import monotonic
from modelyard.base.messages import t
from modelyard.core.run import Run
from modelyard.core.stage import Context
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundSearch
from modelyard.engine.context import StageContext
from modelyard.engine.events import Silent, StepOutcome
from modelyard.engine.execute import make_or_reuse
from modelyard.engine.keys import identity_of, key_of
from modelyard.engine.prepare import Prepared, outcome_of, prepare, reuse
from modelyard.engine.repeat.goals import Trial, front, gains, winner
from modelyard.engine.repeat.opening import TRIALS
from modelyard.engine.repeat.suggest import suggester
from modelyard.engine.repeat.trial import DONE, Inside, heard_by, look_up, reason, variants
from modelyard.engine.repeat.workers import crew
from modelyard.errors import StageError

VERSION = 1
FILE = "trials.json"
STOPPED = "stopped"
"""In a run's identity: after how many trials the time was up."""
SHOWN = 5

Runner = Callable[[Sequence[tuple[int, Mapping[str, Json]]]], list[Trial | None]]


@dataclass(frozen=True)
class Conducted:
    """What came of a search.

    Attributes:
        trials: those that ended, in the order proposed.
        whole: False if the time was up before the last.
    """

    trials: tuple[Trial, ...]
    whole: bool = True


def conduct(search: BoundSearch, seed: int, run: Runner, limit: int, late: Callable[[], bool]) -> Conducted:
    """Propose batch after batch and run it, until there are enough trials or it is late.

    Args:
        run: gives the trial of each (number, values), None for one that is not there to be looked up.
        limit: trials given to `run` at a time where results do not matter for what is proposed.
        late: asked before each batch but the first.
    """
    config = search.config
    source = suggester(search.method, search.space, seed, len(search.goals), search.trials, config.batch)
    trials: list[Trial] = []
    number = 0
    while number < search.trials:
        if number and late():
            return Conducted(tuple(trials), whole=False)
        left = search.trials - number
        batch = source.next(left if source.adaptive else min(limit, left))
        if not batch:
            break
        found = run(list(enumerate(batch, number + 1)))
        number += len(batch)
        there = [trial for trial in found if trial is not None]
        trials += there
        if source.adaptive:
            if len(there) < len(found):
                return Conducted(tuple(trials), whole=False)
            source.tell([gains(trial, search.goals) if trial.state == DONE else None for trial in there])
    return Conducted(tuple(trials), whole=len(trials) == number)


def run_search(
    bench: Bench, search: BoundSearch, above: Sequence[StepOutcome], position: int, total: int
) -> list[StepOutcome]:
    """Conduct a search, unless it is done. Returns the members' outcomes with the winner's settings, then its own."""
    prepared = prepare(bench, search, list(above))
    run = reuse(bench, prepared)
    if run is not None:
        members = adopt(bench, search, above, winning_values(bench, run))
        bench.listener.step_cached(search.name, search.step.uses, position, total)
        return [*members, outcome_of(search, run, cached=True)]
    began = monotonic()
    bench.listener.step_started(search.name, search.step.uses, position, total)
    conducted = _all_trials(bench, search, above)
    best = _winner(bench, search, conducted)
    members = adopt(bench, search, above, best.values)
    if not conducted.whole:
        identity = {**prepared.identity, STOPPED: len(conducted.trials)}
        prepared = replace(prepared, identity=identity, key=key_of(identity))
    outcome = _record(bench, search, prepared, conducted, members)
    bench.listener.step_done(search.name, monotonic() - began)
    return [*members, outcome]


def replay(bench: Bench, search: BoundSearch, above: Sequence[StepOutcome]) -> Conducted:
    """The trials that are done, looked up in the order they would be proposed; nothing is run."""

    def run(batch: Sequence[tuple[int, Mapping[str, Json]]]) -> list[Trial | None]:
        return [look_up(bench, search, above, number, values) for number, values in batch]

    return conduct(search, bench.bound.project.seed, run, search.trials, lambda: False)


def adopt(
    bench: Bench, search: BoundSearch, above: Sequence[StepOutcome], values: Mapping[str, Json]
) -> list[StepOutcome]:
    """The members' outcomes with the winner's settings: its runs, or the same made again where one is gone."""
    outcomes = list(above)
    with heard_by(bench, Inside(bench.listener, search.name)):
        for step in variants(search, values, search.prefix):
            prepared = prepare(bench, step, outcomes)
            outcomes.append(make_or_reuse(bench, prepared, 1, 1))
    return outcomes[len(above) :]


def winning_values(bench: Bench, run: Run) -> dict[str, Json]:
    """The winner's settings, from the record of a search that is done."""
    document = read_trials(bench, run)
    values: dict[str, Json] = document["trials"][document["winner"] - 1]["values"]
    return values


def read_trials(bench: Bench, run: Run) -> dict[str, Any]:
    """The record of a search."""
    digest = next(binding.digest for binding in run.outputs if binding.port == TRIALS)
    value: dict[str, Any] = json.loads((bench.store.artifacts.path(digest) / FILE).read_text(encoding="utf-8"))
    return value


def identity_of_members(bench: Bench, search: BoundSearch) -> dict[str, Any]:
    """What else decides a search: what its members are, and how they hang together."""
    project, secret = bench.bound.project, bench.profile.resolve_secret
    names = {item.name for item in search.members}
    found: dict[str, Any] = {}
    for item in search.members:
        identity = identity_of(item.found, item.config, project.seed_of(item.step), (), bench.base, bench.memo, secret)
        inside = {port: [output for output in given if output[0] in names] for port, given in item.bindings.items()}
        found[item.name] = {**identity, "inputs": inside}
    return found


# Conducting ------------------------------------------------------------------------------------------------------


def _all_trials(bench: Bench, search: BoundSearch, above: Sequence[StepOutcome]) -> Conducted:
    began, timeout = monotonic(), search.config.timeout
    teller = _Teller(bench, search)
    with crew(bench, search, above, teller.ended) as run:
        found = conduct(
            search,
            bench.bound.project.seed,
            run,
            bench.profile.jobs,
            # what is looked up takes time too: every run must get further, however short its time
            lambda: timeout is not None and teller.num_made > 0 and monotonic() - began > timeout,
        )
    if not found.whole:
        words = t("the time is up: {done} of {total} trials; the next run goes on, `trials: {done}` ends it here",
                  done=len(found.trials), total=search.trials)  # fmt: skip
        bench.listener.note(search.name, words)
    return found


class _Teller:
    """Says how each trial ended, and which is the best so far."""

    def __init__(self, bench: Bench, search: BoundSearch) -> None:
        self.bench, self.search = bench, search
        self.done: list[Trial] = []
        self.num_made = 0

    def ended(self, trial: Trial, made: bool, seconds: float) -> None:
        self.done.append(trial)
        self.num_made += made
        best = winner(sorted(self.done, key=lambda item: item.number), self.search.goals, self._within)
        line = line_of(trial, self.search)
        if trial.state != DONE:
            line += f": {reason(self.bench, self.search, trial)}"
        elif best is trial:
            line += "  " + t("best so far")
        cost = f"{seconds:.1f} s" if made else t("cached")
        self.bench.listener.note(self.search.name, f"{line}  ({cost})")
        self.bench.listener.progress(self.search.name, len(self.done), self.search.trials, "trials")

    @property
    def _within(self) -> float:
        return float(self.search.config.choose.within)


def line_of(trial: Trial, search: BoundSearch) -> str:
    """A trial in one line, without times: it stands in the run's record."""
    scores = ", ".join(f"{score:.6g}" for score in trial.scores) or t("failed")
    values = ", ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in trial.values.items())
    return t("trial {number}/{total}: {scores} with {values}", number=trial.number, total=search.trials,
             scores=scores, values=values)  # fmt: skip


def _winner(bench: Bench, search: BoundSearch, conducted: Conducted) -> Trial:
    best = winner(conducted.trials, search.goals, search.config.choose.within)
    if best is None:
        first = conducted.trials[0]
        raise StageError(
            t("every trial failed; the first: {reason}", reason=reason(bench, search, first)),
            where=search.name,
            expected=t("at least one trial that measures {goals}", goals=", ".join(g.name for g in search.goals)),
            remedy=t("`modelyard show runs` lists them; `modelyard run` tries again"),
        )
    return best


# Recording -------------------------------------------------------------------------------------------------------


def _record(
    bench: Bench, search: BoundSearch, prepared: Prepared, conducted: Conducted, members: Sequence[StepOutcome]
) -> StepOutcome:
    """The search's own run: its record of trials; the winner's outputs are its outputs."""
    write = partial(_write, search=search, conducted=conducted, members=members)
    stage = replace(search.stage, run=write)
    step = replace(search, found=replace(search.found, stage=stage))
    with heard_by(bench, Silent()):
        return make_or_reuse(bench, replace(prepared, step=step), 1, 1)


def _write(
    config: object, context: Context, search: BoundSearch, conducted: Conducted, members: Sequence[StepOutcome]
) -> None:
    assert isinstance(context, StageContext)
    value = document(search, conducted)
    (context.output(TRIALS) / FILE).write_bytes(canonical_json(value) + b"\n")
    made = {outcome.step: outcome.outputs for outcome in members}
    for port, (member, output) in search.aliases.items():
        if output in made[member]:
            context.adopted[port] = made[member][output]
    for trial in conducted.trials:
        if trial.state == DONE:
            context.log(
                trial.number, **{goal.name: score for goal, score in zip(search.goals, trial.scores, strict=True)}
            )
    for line in summary(search, conducted):
        context.say(line)


def document(search: BoundSearch, conducted: Conducted) -> dict[str, Any]:
    """The record of a search as JSON: no times, no run ids."""
    best = winner(conducted.trials, search.goals, search.config.choose.within)
    return {
        "version": VERSION,
        "method": search.method,
        "goals": [
            {"step": g.step, "claim": g.claim, "better": "higher" if g.higher else "lower", "slice": dict(g.slice)}
            for g in search.goals
        ],
        "planned": search.trials,
        "trials": [trial.to_json() for trial in conducted.trials],
        "front": [trial.number for trial in front(conducted.trials, search.goals)],
        "winner": best.number if best else None,
    }


def summary(search: BoundSearch, conducted: Conducted) -> list[str]:
    """For the run's record: how many, the winner, the next best."""
    trials = conducted.trials
    failed = sum(trial.state != DONE for trial in trials)
    lines = [t("{method}: {done} of {total} trials, {failed} failed", method=search.method, done=len(trials),
               total=search.trials, failed=failed)]  # fmt: skip
    best = winner(trials, search.goals, search.config.choose.within)
    if best is not None:
        lines.append(t("winner: {line}", line=line_of(best, search)))
    others = [trial for trial in trials if trial.state == DONE and trial is not best]
    ranked = sorted(others, key=lambda trial: (gains(trial, search.goals), -trial.number), reverse=True)
    return [*lines, *(line_of(trial, search) for trial in ranked[:SHOWN])]
