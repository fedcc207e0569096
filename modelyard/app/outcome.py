"""How a run ends: the gate decides, the report is written, a release is made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.app.session import Session
from modelyard.base.canonical import canonical_json, digest_file, digest_json
from modelyard.base.files import write_atomic
from modelyard.base.messages import language
from modelyard.core.gate import Decision, decide
from modelyard.core.release import Release
from modelyard.engine.events import StepOutcome
from modelyard.engine.history import record_of, world_of
from modelyard.engine.release_history import history_json
from modelyard.engine.releases import is_whole, make


@dataclass(frozen=True)
class Conclusion:
    """The end of a run; see RunResult."""

    decision: Decision
    release: Release | None
    new: bool
    report: Path


def conclude(session: Session, outcomes: Sequence[StepOutcome], make_release: bool = True) -> Conclusion:
    """Decide about the project's release, make it if the rules allow, and write the report.

    Nothing is written twice: an equal decision about equal bytes finds its release and its report. A release whose
    bundle was damaged or lost since is made again, as the next version.
    """
    decision = decide_release(session, outcomes)
    store, name = session.store, session.bound.project.name
    release = store.ledger.release_of(name, decision.digest) if decision.releasable else None
    lost = release if release is not None and make_release and not is_whole(store, release) else None
    new = (release is None or lost is not None) and decision.releasable and make_release
    if new:
        record = full_record(session, outcomes, decision, None)
        release = make(store, session.bound, decision, record, pages_of(record), lost, session.overrides)
    return Conclusion(decision, release, new, write_report(session, outcomes, decision, release))


def decide_release(session: Session, outcomes: Sequence[StepOutcome]) -> Decision:
    """What the gate says about the project's release as its steps stand. The project must have a release."""
    spec = session.bound.project.release
    if spec is None:
        raise ValueError("the project has no release")
    return decide(spec.rules, world_of(session.store, session.bound, outcomes))


def full_record(
    session: Session, outcomes: Sequence[StepOutcome], decision: Decision | None, release: Release | None
) -> dict[str, Any]:
    """The record of all steps, with decision and release."""
    record = record_of(session.store, session.bound, outcomes)
    record["decision"] = _decision_json(decision) if decision else None
    record["history"] = history_json(session.store, session.bound.project.name)
    if release is not None:
        record["release"] = {"name": release.name, "version": release.version, "created": release.created}
    return record


def _decision_json(decision: Decision) -> dict[str, Any]:
    state = "draft" if decision.draft else "released" if decision.passed else "refused"
    findings = []
    for finding in decision.findings:
        low, high = finding.interval or (None, None)
        findings.append(
            {
                "rule": finding.rule.text(),
                "passed": finding.passed,
                "reason": finding.text(),
                "value": finding.value,
                "low": low,
                "high": high,
                "n": finding.n,
            }
        )
    return {"state": state, "passed": decision.passed, "findings": findings}


def write_report(
    session: Session, outcomes: Sequence[StepOutcome], decision: Decision, release: Release | None
) -> Path:
    """`reports/PROJECT.html` and `.json` in the store, rewritten only when something they show has changed."""
    folder = session.store.root / "reports"
    page, data = folder / f"{session.bound.project.name}.html", folder / f"{session.bound.project.name}.json"
    state = {
        "decision": decision.digest,
        "release": release.version if release else None,
        "steps": {outcome.step: dict(outcome.outputs) for outcome in outcomes},
        "language": language(),
    }
    mark = folder / f".{session.bound.project.name}.state"
    digest = digest_json(state)
    if page.is_file() and data.is_file() and _read(mark) == f"{digest} {digest_file(page)}":
        return page
    record = full_record(session, outcomes, decision, release)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(data, canonical_json(record) + b"\n")
    write_atomic(page, page_of(record, language()).encode())
    write_atomic(mark, f"{digest} {digest_file(page)}".encode())
    return page


def page_of(record: dict[str, Any], lang: str) -> str:
    """The report's page; figures that are not finite have become null on the way through JSON."""
    from modelyard.methods.reporting import render

    return render(json.loads(canonical_json(record)), lang=lang)


def pages_of(record: dict[str, Any], lang: str | None = None) -> dict[str, str]:
    """File name to text: the page in `lang` (None: the user's language), and the card as Markdown in both."""
    from modelyard.methods.reporting.model_card import markdown

    plain = json.loads(canonical_json(record))
    return {
        "card.html": page_of(record, lang or language()),
        "card.md": markdown(plain, "en"),
        "card.zh.md": markdown(plain, "zh"),
    }


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
