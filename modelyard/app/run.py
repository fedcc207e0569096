"""Run a project: data in; artifacts, evidence, a decision and a release out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.app.session import Session, open_session
from modelyard.base.clock import monotonic
from modelyard.base.messages import did_you_mean, t
from modelyard.core.gate import Decision
from modelyard.core.release import Release
from modelyard.engine.events import Listener, Silent, StepOutcome
from modelyard.errors import DependencyError, Problem, UsageError


@dataclass(frozen=True)
class RunResult:
    """What a run made.

    Attributes:
        steps: one outcome a step, top to bottom.
        decision: what the gate said; None if the project has no `release:` or the run stopped earlier.
        release: the release made, or the one that stands for the same decision; None if refused.
        new_release: whether this run made it.
        report: the report's page, None if there was no release section.
        seconds: the whole run.
        sample: a record that the released model answers; None without a release.
    """

    project: str
    steps: tuple[StepOutcome, ...]
    decision: Decision | None
    release: Release | None
    new_release: bool
    report: Path | None
    seconds: float
    sample: Mapping[str, Any] | None = None

    @property
    def refused(self) -> bool:
        return self.decision is not None and not self.decision.releasable

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "steps": [{**vars(step), "outputs": dict(step.outputs)} for step in self.steps],
            "decision": self.decision.to_json() if self.decision else None,
            "release": vars(self.release) if self.release else None,
            "new_release": self.new_release,
            "report": str(self.report) if self.report else None,
            "seconds": round(self.seconds, 3),
        }


def run(
    project: str | Path | None = None,
    *,
    sets: Sequence[str] = (),
    profile: str | None = None,
    until: str | None = None,
    listener: Listener | None = None,
    release: bool | None = None,
    again: Sequence[str] = (),
) -> RunResult:
    """Run a project file.

    Args:
        project: the file or its folder; `modelyard.yaml` here if None.
        sets: overrides, `steps.classifier.with.epochs=2`.
        profile: a name from modelyard.profiles.yaml.
        until: stop after this step.
        listener: told what happens.
        release: whether a passing decision makes a release; None: unless `sets` made this an experiment.
        again: steps to run anew though they are cached: what they measure joins the evidence that is there.

    Raises:
        ProjectError: every problem of the project file.
        StageError, InputError, …: a step failed; earlier steps keep what they made.
        A refused release is not an error here: `result.refused` says so, `result.decision` why.
    """
    began = monotonic()
    with open_session(project, sets, profile) as session:
        wanted = not sets if release is None else release
        return run_session(session, until, listener or Silent(), wanted, began, again)


def run_session(
    session: Session,
    until: str | None,
    listener: Listener,
    release: bool,
    began: float,
    again: Sequence[str] = (),
) -> RunResult:
    """As `run`, in a session that is open."""
    from modelyard.engine.bench import Bench
    from modelyard.engine.execute import execute

    names = [step.name for step in session.bound.steps]
    for name in (*again, *((until,) if until is not None else ())):
        if name not in names:
            raise UsageError(t("there is no step `{name}`", name=name), remedy=did_you_mean(name, names))
    _refuse_missing(session, until)
    bench = Bench(session.bound, session.store, session.profile, listener, again=frozenset(again))
    outcomes = execute(bench, until)
    spec = session.bound.project.release
    if spec is None or len(outcomes) < len(names):
        return _result(session, outcomes, None, None, False, None, began)
    from modelyard.app.outcome import conclude

    conclusion = conclude(session, outcomes, make_release=release)
    return _result(session, outcomes, conclusion.decision, conclusion.release, conclusion.new, conclusion.report, began)


def _refuse_missing(session: Session, until: str | None) -> None:
    """Libraries that a step needs and that are not installed are told before the first step, not after an hour."""
    from modelyard.engine.plan import missing_of

    problems: list[Problem] = []
    for step in session.bound.steps:
        problems += missing_of(step)
        if step.name == until:
            break
    if problems:
        raise DependencyError.of(problems)


def _result(
    session: Session,
    outcomes: Sequence[StepOutcome],
    decision: Decision | None,
    release: Release | None,
    new: bool,
    report: Path | None,
    began: float,
) -> RunResult:
    name = session.bound.project.name
    sample = _sample(session, release.model) if release is not None else None
    return RunResult(name, tuple(outcomes), decision, release, new, report, monotonic() - began, sample)


def _sample(session: Session, model: str) -> Mapping[str, Any] | None:
    """The first golden record, without what says how is answered; None if the model has none that is JSON."""
    path = session.store.artifacts.path(model) / "golden.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))["records"][0]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return record if isinstance(record, dict) else None
