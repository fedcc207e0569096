"""The transparency report of a project as it stands, without running anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.app.outcome import decide_release, full_record, pages_of
from modelyard.app.session import Session, open_session
from modelyard.base.canonical import canonical_json
from modelyard.base.files import write_atomic
from modelyard.base.messages import t
from modelyard.engine.events import Silent, StepOutcome
from modelyard.errors import StageError


@dataclass(frozen=True)
class Written:
    """A report that was written.

    Attributes:
        cards: the same as Markdown, in English and in Chinese.
        undone: steps that have not run as the project stands now, so that they are not in it.
    """

    page: Path
    data: Path
    cards: tuple[Path, ...]
    undone: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "page": str(self.page),
            "data": str(self.data),
            "cards": [str(card) for card in self.cards],
            "undone": list(self.undone),
        }


def report(
    project: str | Path | None = None,
    *,
    sets: Sequence[str] = (),
    profile: str | None = None,
    out: str | Path | None = None,
    lang: str | None = None,
) -> Written:
    """Write the report of what has been done: the page, its record, and the card as Markdown beside it.

    Args:
        out: a folder, or a `.html` file; the store's `reports` folder if None.
        lang: `en` or `zh`; the user's language if None.

    Raises:
        StageError: nothing has been run yet.
    """
    with open_session(project, sets, profile) as session:
        outcomes, undone = _done(session)
        if not outcomes:
            raise StageError(
                t("nothing has been run yet"), where=session.bound.project.name, remedy=t("`modelyard run` first")
            )
        decision = decide_release(session, outcomes) if session.bound.release and not undone else None
        name, ledger = session.bound.project.name, session.store.ledger
        release = ledger.release_of(name, decision.digest) if decision else None
        record = full_record(session, outcomes, decision, release)
        page = _target(session, Path(out) if out is not None else None)
        data = page.with_suffix(".json")
        write_atomic(data, canonical_json(record) + b"\n")
        texts = pages_of(record, lang)
        write_atomic(page, texts["card.html"].encode())
        cards = {page.with_suffix(suffix): texts["card" + suffix] for suffix in (".md", ".zh.md")}
        for path, text in cards.items():
            write_atomic(path, text.encode())
        return Written(page, data, tuple(cards), undone)


def _done(session: Session) -> tuple[list[StepOutcome], tuple[str, ...]]:
    """Steps whose artifacts are there as the project stands now, and the names of the others."""
    from modelyard.engine.bench import Bench
    from modelyard.engine.plan import finished

    return finished(Bench(session.bound, session.store, session.profile, Silent()))


def _target(session: Session, out: Path | None) -> Path:
    if out is None:
        out = session.store.root / "reports"
    page = out if out.suffix == ".html" else out / f"{session.bound.project.name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    return page
