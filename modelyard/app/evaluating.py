"""Measure a release, a model folder or an endpoint with any of the evaluate stages, within a bound on time.

Each family is a step of a small project that is built here and run by the engine: what was measured before is reused,
what is killed goes on, and the evidence stands in the ledger beside all other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.app.deadline import Deadline
from modelyard.app.releases import folder_of
from modelyard.app.session import Session, open_store
from modelyard.app.show import evidence_json
from modelyard.base.files import is_file
from modelyard.base.messages import did_you_mean, language, t
from modelyard.engine.events import Listener, Silent, StepOutcome
from modelyard.engine.openings import Openings, openings_of
from modelyard.errors import Interrupted, ModelyardError, ProjectError, UsageError

MODEL, AGAINST, DATA, SPLIT = "model", "against", "rows", "split"
FAMILY = "evaluate."
NOT_ALONE = ("endpoint", "forgetting", "transferability", "validation")
"""Families that need more than one model and its test rows."""
MOST_OF_IT = 0.999
"""Of a file that is all test: `data.split` leaves at least something to train."""


@dataclass(frozen=True)
class Evaluated:
    """What came of it.

    Attributes:
        evidence: as `modelyard show evidence` gives it, of the families that are done.
        failed: family to what was wrong.
        undone: families the time did not suffice for; run it again to go on.
        openings: of the test rows, this time among them.
        report: the page.
    """

    project: str
    done: tuple[str, ...]
    evidence: tuple[Mapping[str, Any], ...]
    failed: Mapping[str, ModelyardError]
    undone: tuple[str, ...]
    openings: tuple[Openings, ...]
    report: Path | None

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "done": list(self.done),
            "evidence": [dict(item) for item in self.evidence],
            "failed": {name: [vars(one) for one in error.problems] for name, error in self.failed.items()},
            "undone": list(self.undone),
            "openings": [vars(one) for one in self.openings],
            "report": str(self.report) if self.report else None,
        }


def evaluate(
    model: str | Path,
    *,
    families: Sequence[str] = ("quality",),
    data: str | Path | None = None,
    text: str | None = None,
    label: str | None = None,
    target: str | None = None,
    against: str | Path | None = None,
    sets: Sequence[str] = (),
    max_seconds: float | None = None,
    listener: Listener | None = None,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Evaluated:
    """Measure a model.

    Args:
        model: `name`, `name@3`, `name:alias`; a model folder; or the URL of an endpoint.
        families: stages after `evaluate.`: `quality`, `fairness`, `robustness`, …
        data: a file of test rows; None: the test split the release was measured on.
        text, label, target: its columns; None: as they look.
        against: another one, to compare with.
        sets: settings of the steps: `steps.fairness.with.columns=[sex]`; the models are `steps.model`, `steps.against`.
        max_seconds: after which what is under way is stopped; what is done is kept.

    Raises:
        UsageError: no such family, no data.
        ProjectError: settings that do not fit, before anything runs.
    """
    folder = folder_of(project)
    wanted = tuple(dict.fromkeys((*families, *(("comparison",) if against is not None else ()))))
    _refuse_unknown(wanted, against is not None)
    value = _project(model, data, against, folder, {"text": text, "label": label, "target": target})
    value["steps"] |= {name: _measuring(name, value["steps"], data is not None) for name in wanted}
    with open_store(folder, profile, make=True) as (chosen, store):
        sessions = {name: Session(_bound(value, (name,), wanted, folder, sets), chosen, store) for name in wanted}
        done, failed, undone = _run(sessions, listener or Silent(), max_seconds)
        whole = Session(_bound(value, tuple(done), wanted, folder, sets), chosen, store) if done else None
        outcomes = {one.run: one for each in done.values() for one in each if one.uses.startswith(FAMILY)}
        found = [item for number in sorted(outcomes) for item in store.ledger.evidence_of(number)]
        seen = dict.fromkeys(item.dataset for item in found if item.split == "test")
        return Evaluated(
            project=value["project"],
            done=tuple(done),
            evidence=tuple(evidence_json(item) for item in found),
            failed=failed,
            undone=undone,
            openings=tuple(openings_of(store, digest) for digest in seen),
            report=_report(whole) if whole else None,
        )


def families() -> tuple[str, ...]:
    """Every family that can be asked for."""
    from modelyard.engine.catalog import names

    found = [name.removeprefix(FAMILY) for name in names() if name.startswith(FAMILY)]
    return tuple(name for name in found if name not in NOT_ALONE)


def _refuse_unknown(wanted: Sequence[str], compared: bool) -> None:
    known = families()
    for name in wanted:
        if name not in known:
            raise UsageError(
                t("there is no family `{name}`", name=name),
                expected=", ".join(known),
                remedy=did_you_mean(name, list(known)),
            )
    if "comparison" in wanted and not compared:
        raise UsageError(t("a comparison needs another model"), remedy=t("name it: `--against NAME`"))
    if not wanted:
        raise UsageError(t("nothing to measure"), expected=", ".join(known))


def _project(
    model: str | Path,
    data: str | Path | None,
    against: str | Path | None,
    folder: Path,
    roles: Mapping[str, str | None],
) -> dict[str, Any]:
    """The project without what measures."""
    steps: dict[str, Any] = {}
    if data is not None:
        steps |= _data(Path(data), roles)
    elif _kind(model) != "release":
        raise UsageError(
            t("there are no test rows: only a release knows its own"), remedy=t("name a file of rows: `--data FILE`")
        )
    for name, reference in ((MODEL, model), (AGAINST, against)):
        if reference is not None:
            steps[name] = _model(reference)
    slug = re.sub(r"[^a-z0-9]+", "-", str(model).lower()).strip("-")[-50:].strip("-")
    return {"version": 1, "project": f"evaluate-{slug or 'model'}", "steps": steps}


def _kind(reference: str | Path) -> str:
    if re.match(r"https?://", str(reference)):
        return "endpoint"
    path = Path(reference)
    return "folder" if is_file(path / "model.json") else "release"


def _model(reference: str | Path) -> dict[str, Any]:
    kind = _kind(reference)
    if kind == "endpoint":
        return {"uses": "evaluate.endpoint", "with": {"endpoint": str(reference)}}
    if kind == "folder":
        return {"uses": "model.folder", "with": {"path": str(Path(reference).resolve())}}
    return {"uses": "model.release", "with": {"release": str(reference)}}


def _data(file: Path, roles: Mapping[str, str | None]) -> dict[str, Any]:
    given = {role: name for role, name in roles.items() if name is not None}
    if not given:
        from modelyard.engine.guess import guess

        seen = guess(file)
        given = {role: name for role in ("text", "label", "target") if (name := getattr(seen, role)) is not None}
    return {
        DATA: {"uses": "data.read", "with": {"path": str(file.resolve()), **given}},
        SPLIT: {"uses": "data.split", "with": {"validation": 0.0, "test": MOST_OF_IT}, "in": {"data": DATA}},
    }


def _measuring(name: str, steps: Mapping[str, Any], file: bool) -> dict[str, Any]:
    rows = SPLIT if file else f"{MODEL}.data"
    bound = {"model": f"{MODEL}.model", "data": rows}
    if name == "comparison":
        bound["against"] = f"{AGAINST}.model"
    # Baselines learn from train, of which a file of test rows has none.
    settings: dict[str, Any] = {"baselines": False} if name == "quality" and file else {}
    return {"uses": f"{FAMILY}{name}", "with": settings, "in": bound}


def _bound(
    value: Mapping[str, Any], names: Sequence[str], wanted: Sequence[str], folder: Path, sets: Sequence[str]
) -> Any:
    """The project with some of its families. Settings of the others are left out with them."""
    from modelyard.engine.bind import load_project_dict

    left = set(wanted) - set(names)
    if "comparison" not in names:
        left |= {AGAINST}
    steps = {name: dict(step) for name, step in value["steps"].items() if name not in left}
    file = SPLIT in steps
    for name in (MODEL, AGAINST):
        if name in steps and steps[name]["uses"] == "evaluate.endpoint":
            steps[name]["in"] = {"data": SPLIT if file else f"{MODEL}.data"}
    mine = [one for one in sets if not any(one.startswith(f"steps.{name}.") for name in left)]
    bound, problems = load_project_dict({**value, "steps": steps}, folder, mine)
    if bound is None or problems:
        raise ProjectError.of(problems)
    return bound


def _run(
    sessions: Mapping[str, Session], listener: Listener, max_seconds: float | None
) -> tuple[dict[str, list[StepOutcome]], dict[str, ModelyardError], tuple[str, ...]]:
    """One family after the other. One that fails does not keep the others from running; when the time is over what is
    under way is stopped as Ctrl-C stops it, so that it can go on."""
    from modelyard.engine.bench import Bench
    from modelyard.engine.execute import execute

    done: dict[str, list[StepOutcome]] = {}
    failed: dict[str, ModelyardError] = {}
    with Deadline(max_seconds) as deadline:
        for name, session in sessions.items():
            try:
                if deadline.over():
                    break
                done[name] = execute(Bench(session.bound, session.store, session.profile, listener))
            except (Interrupted, KeyboardInterrupt):
                if not deadline.over():
                    raise
                break
            except ModelyardError as error:
                failed[name] = error
    undone = tuple(name for name in sessions if name not in done and name not in failed)
    return done, failed, undone


def _report(session: Session) -> Path:
    """The page of what is done: all of it is cached by now."""
    from modelyard.app.outcome import full_record, page_of
    from modelyard.base.canonical import canonical_json
    from modelyard.base.files import write_atomic
    from modelyard.engine.bench import Bench
    from modelyard.engine.plan import finished

    outcomes, _ = finished(Bench(session.bound, session.store, session.profile, Silent()))
    record = full_record(session, outcomes, None, None)
    page = session.store.root / "reports" / f"{session.bound.project.name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(page.with_suffix(".json"), canonical_json(record) + b"\n")
    write_atomic(page, page_of(record, language()).encode())
    return page
