"""Check a project, and show what a run would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from modelyard.app.session import Session, open_session, project_path
from modelyard.core.project import Rule, SecretName
from modelyard.engine.bound import BoundProject
from modelyard.engine.events import Silent
from modelyard.engine.plan import PlannedStep
from modelyard.engine.sample_size import of_test_rows, sample_size
from modelyard.errors import ModelyardError, Problem


@dataclass(frozen=True)
class RuleNeed:
    """How many rows a rule needs to be decidable.

    Attributes:
        rule: its text.
        needed: margin to rows: with so many, a model truly better than the bound by the margin passes with a
            probability of 80 %. Empty for claims that are no rate of test rows; None: no model can be so much better.
        rows: test rows there are, None while the split has not been made.
        passes_at: the least (greatest, for `max`) rate that passes when observed on those rows.
        decidable: False if nothing observed on those rows could pass.
    """

    rule: str
    needed: Mapping[float, int | None]
    rows: int | None
    passes_at: float | None
    decidable: bool

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "needed": {str(margin): rows for margin, rows in self.needed.items()}}


@dataclass(frozen=True)
class PlanResult:
    """A plan: every step, and what the rules need."""

    project: str
    steps: tuple[PlannedStep, ...]
    rules: tuple[RuleNeed, ...]

    @property
    def blocked(self) -> bool:
        return any(step.state == "blocked" for step in self.steps)

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "steps": [step.to_json() for step in self.steps],
            "rules": [rule.to_json() for rule in self.rules],
        }


def check(project: str | Path | None = None, *, sets: Sequence[str] = ()) -> list[Problem]:
    """Every problem of a project file, in one pass; empty if there is none."""
    from modelyard.engine.bind import load_project

    bound, problems = load_project(project_path(project), sets)
    return problems if bound is None else [*problems, *dict.fromkeys(_outside(bound))]


def _outside(bound: BoundProject) -> Iterator[Problem]:
    """What steps name outside the project and cannot be had: a data file, a base model, a secret that is not set."""
    from modelyard.engine.profiles import DEFAULT, STORE, Profile, load_profile

    folder = bound.project.folder
    profile = load_profile(folder)[0] or Profile(DEFAULT, (folder / STORE).absolute())
    for step in bound.steps:
        where = f"{bound.project.path.name}:{step.step.line} ({step.name})"
        for name in secrets_of(step.config):
            yield from _problems(where, partial(profile.resolve_secret, name))
        yield from _problems(where, partial(step.stage.outside, step.config, folder, profile.resolve_secret))


def _problems(where: str, look: Callable[[], object]) -> Iterator[Problem]:
    try:
        look()
    except ModelyardError as error:
        for problem in error.problems:
            found = f"{problem.found}: {problem.where}" if problem.where else problem.found
            yield Problem(where, found, problem.expected, problem.remedy)


def secrets_of(value: object) -> Iterator[str]:
    """The names of the secrets in a step's settings, at any depth."""
    if isinstance(value, SecretName):
        yield value.secret
    elif isinstance(value, BaseModel):
        for _, part in value:
            yield from secrets_of(part)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from secrets_of(part)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from secrets_of(part)


def plan(project: str | Path | None = None, *, sets: Sequence[str] = (), profile: str | None = None) -> PlanResult:
    """What `run` would do: which steps are cached, which run and why, and what each rule needs."""
    from modelyard.engine.bench import Bench
    from modelyard.engine.plan import plan as look

    with open_session(project, sets, profile) as session:
        steps = look(Bench(session.bound, session.store, session.profile, Silent()))
        return PlanResult(session.bound.project.name, tuple(steps), _needs(session))


def _needs(session: Session) -> tuple[RuleNeed, ...]:
    release = session.bound.project.release
    if release is None:
        return ()
    rows = _test_rows(session)
    rates = {claim.name for step in session.bound.steps for claim in step.stage.claims if of_test_rows(claim)}
    # How many of the rows belong to a part of them is not known before it is measured.
    return tuple(_need(rule, None if rule.slice else rows, rule.claim in rates) for rule in release.rules)


def _need(rule: Rule, rows: int | None, rate: bool) -> RuleNeed:
    size = sample_size(rule, rows) if rate else None
    if size is None:
        return RuleNeed(rule.text(), {}, rows, None, True)
    return RuleNeed(rule.text(), size.needed, rows, size.must_observe, size.decidable)


def _test_rows(session: Session) -> int | None:
    """Rows of the test split as last measured by the project's data.split, None if it has not run."""
    for step in session.bound.steps:
        if any("test" in port.splits for port in step.stage.outputs.values()):
            runs = session.store.ledger.runs(project=session.bound.project.name, step=step.name, status="done", limit=1)
            digests = [binding.digest for run in runs for binding in run.outputs if "test" in binding.splits]
            for item in session.store.ledger.evidence_about(digests):
                if item.claim == "data.test_rows":
                    return int(item.value)
    return None
