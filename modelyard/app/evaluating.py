"""Measure a release, a model folder or an endpoint with any of the evaluate stages, within a bound on time.

Each family is a step of a small project that is built here and run by the engine: families run side by side, what was
measured before is reused, what is killed goes on, and the evidence stands in the ledger beside all other. When the time
is short, families that look at many rows are first measured on an eighth of them, so that something is known of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelyard.app.deadline import Deadline
from modelyard.app.evaluation_project import AGAINST, CUT, DATA, FAMILY, MODEL, TRAINED, Asked, ask, families
from modelyard.app.evaluation_telling import Telling
from modelyard.app.releases import folder_of
from modelyard.app.session import Session, open_store
from modelyard.app.show import evidence_json
from modelyard.base.messages import language
from modelyard.engine.bench import Bench
from modelyard.engine.events import Listener, Silent, StepOutcome
from modelyard.engine.openings import Openings, openings_of
from modelyard.engine.profiles import Profile
from modelyard.errors import DependencyError, InputError, Interrupted, ModelyardError
from modelyard.store import Store

__all__ = ["Evaluated", "evaluate", "families"]
DOES_NOT_FIT = (DependencyError, InputError)
"""Under `all`: what a family says of a model or data that it cannot measure."""


@dataclass(frozen=True)
class Evaluated:
    """What came of it.

    Attributes:
        evidence: as `modelyard show evidence` gives it, of the families that are done or cut.
        failed: family to what was wrong.
        left_out: under `all`, families that do not fit, and why.
        subjects: digest of what was measured to the name of its step, `model` or `against`.
        columns: which columns of a file of rows were taken, in words.
        cut: families that were measured on a part of their rows only, with the settings, whole and cut.
        undone: families the time did not suffice for at all; run it again to go on.
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
    left_out: Mapping[str, str] = field(default_factory=dict)
    cut: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    subjects: Mapping[str, str] = field(default_factory=dict)
    columns: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "project": self.project,
            "done": list(self.done),
            "evidence": [dict(item) for item in self.evidence],
            "failed": {name: [vars(one) for one in error.problems] for name, error in self.failed.items()},
            "left_out": dict(self.left_out),
            "cut": {name: {one: list(ends) for one, ends in rows.items()} for name, rows in self.cut.items()},
            "subjects": dict(self.subjects),
            "columns": self.columns,
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
    jobs: int | None = None,
    listener: Listener | None = None,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Evaluated:
    """Measure a model.

    Args:
        model: `name`, `name@3`, `name:alias`; a model folder; or the URL of an endpoint.
        families: stages after `evaluate.`: `quality`, `fairness`, `robustness`, …; `all` for those that fit.
        data: a file of test rows; None: the test split the release was measured on.
        text, label, target: its columns; None: as they look.
        against: another one, to compare with.
        sets: settings of the steps: `steps.fairness.with.columns=[sex]`; the models are `steps.model`, `steps.against`.
        max_seconds: after which what is under way is stopped; what is done is kept.
        jobs: families that run side by side; None: the profile's, or as many as there are cores.

    Raises:
        UsageError: no such family, no data.
        ProjectError: settings that do not fit, before anything runs.
    """
    folder = folder_of(project)
    roles = {"text": text, "label": label, "target": target}
    with open_store(folder, profile, make=True) as (chosen, store):
        asked = ask(model, families, against, data, roles, folder, sets, store)
        if asked.told and listener is not None:
            listener.note(DATA, asked.told)
        chosen = replace(chosen, jobs=_jobs(chosen, jobs, len(asked.families)))
        work = _Work(asked, chosen, store, folder, tuple(sets), listener or Silent())
        work.run(max_seconds, "all" in families)
        return work.result()


def _jobs(profile: Profile, jobs: int | None, most: int) -> int:
    """How many families run side by side. One graphics processor is not shared."""
    from modelyard.engine.launch import cores

    if jobs is None:
        alone = profile.device == "cuda" or Path("/dev/nvidia0").exists()
        jobs = profile.jobs if profile.jobs > 1 else 1 if alone else cores()
    return max(1, min(jobs, most))


class _Work:
    """One evaluation as it goes on: which families are done, cut, failed or left out."""

    def __init__(
        self, asked: Asked, profile: Profile, store: Store, folder: Path, sets: Sequence[str], listener: Listener
    ) -> None:
        self._asked, self._profile, self._store = asked, profile, store
        self._listener = Telling(listener, asked.families, asked.cuts)
        self._folder, self._sets = folder, sets
        self._done: dict[str, StepOutcome] = {}
        self._cut: dict[str, StepOutcome] = {}
        self._failed: dict[str, ModelyardError] = {}
        self._left_out = dict(asked.left_out)
        self._shared: list[StepOutcome] = []

    def run(self, max_seconds: float | None, forgiving: bool) -> None:
        """Measure; when the time is over what is under way is stopped as Ctrl-C stops it, so that it can go on."""
        cut = tuple(self._asked.cuts) if max_seconds is not None else ()
        bound = self._asked.bound(self._folder, self._sets, cut, as_steps=True)
        names = tuple(f"{CUT}{name}" for name in cut)
        bench = Bench(bound, self._store, self._profile, self._listener, parts=frozenset(names))
        with Deadline(max_seconds) as deadline:
            try:
                if not deadline.over():
                    self._measure(bench, names, forgiving)
                bench.finish("done", {"steps": {one.step: dict(one.outputs) for one in self._done.values()}})
            except (Interrupted, KeyboardInterrupt):
                bench.finish("killed", {})
                if not deadline.over():
                    raise
            except BaseException as error:
                bench.finish("failed", {"error": str(error)})
                raise
            finally:
                bench.memo.save()

    def _measure(self, bench: Bench, cut: Sequence[str], forgiving: bool) -> None:
        from modelyard.engine.execute import execute
        from modelyard.engine.repeat.side_by_side import made_before, make_each

        self._shared += execute(bench, until=MODEL)
        left = list(self._with_other(bench))
        for name, outcome in made_before(bench, left, self._shared):
            self._done[name] = outcome
        left = [name for name in left if name not in self._done]
        # What can be cut is what takes long: it begins first, or, if the time is short, is cut first and ends last.
        long = [name for name in left if name in self._asked.cuts]
        short = [name for name in left if name not in long]
        first = [name for name in cut if name.removeprefix(CUT) in long]
        order = [*short, *first, *long] if cut else [*long, *short]
        for name, found in make_each(bench, order, self._shared):
            self._note(name, found, forgiving)

    def _with_other(self, bench: Bench) -> Iterator[str]:
        """The families that can run; what takes the other model too only if that could be had."""
        from modelyard.engine.repeat.side_by_side import make_each

        steps = self._asked.value["steps"]
        paired = [name for name in self._asked.families if AGAINST in steps[name]["in"]]
        for _, found in make_each(bench, [AGAINST], self._shared) if paired else ():
            if isinstance(found, ModelyardError):
                self._failed |= dict.fromkeys(paired, found)
            else:
                self._shared.append(found)
        yield from (name for name in self._asked.families if name not in self._failed)

    def _note(self, name: str, found: StepOutcome | ModelyardError, forgiving: bool) -> None:
        family = name.removeprefix(CUT)
        if isinstance(found, StepOutcome):
            (self._cut if name.startswith(CUT) else self._done)[family] = found
        elif forgiving and isinstance(found, DOES_NOT_FIT):
            self._left_out[family] = "; ".join(one.found for one in found.problems)
            self._listener.ended(family, self._left_out[family], fits=False)
        else:
            self._listener.ended(family, str(found), fits=True)
            self._failed[family] = found

    def result(self) -> Evaluated:
        """What came of it, with the page of what is done."""
        cut = {name: outcome for name, outcome in self._cut.items() if name not in self._done}
        ended = {*self._done, *cut, *self._failed, *self._left_out}
        runs = [one.run for one in (*self._shared, *self._done.values(), *cut.values()) if one.uses.startswith(FAMILY)]
        found = [item for number in sorted(set(runs)) for item in self._store.ledger.evidence_of(number)]
        seen = dict.fromkeys(item.dataset for item in found if item.split == "test")
        families = [name for name in self._asked.families if name in self._done]
        return Evaluated(
            project=self._asked.value["project"],
            done=tuple(families),
            evidence=tuple(evidence_json(item) for item in found),
            failed=self._failed,
            undone=tuple(name for name in self._asked.families if name not in ended),
            openings=tuple(openings_of(self._store, digest) for digest in seen),
            report=self._page(families, tuple(cut)) if families or cut else None,
            left_out=self._left_out,
            cut={name: self._asked.cuts[name] for name in cut},
            subjects={
                digest: one.step
                for one in reversed(self._shared)
                if one.step != TRAINED
                for digest in one.outputs.values()
            },
            columns=self._asked.told,
        )

    def _page(self, whole: Sequence[str], cut: Sequence[str]) -> Path:
        """All of it is cached by now."""
        from modelyard.app.outcome import full_record, page_of
        from modelyard.base.canonical import canonical_json
        from modelyard.base.files import write_atomic
        from modelyard.engine.plan import finished

        bound = self._asked.bound(self._folder, self._sets, cut, whole)
        bound = replace(bound, release=(MODEL, "model"))  # whom the page is about, whatever stands beside it
        session = Session(bound, self._profile, self._store)
        outcomes, _ = finished(Bench(bound, self._store, self._profile, Silent(), parts=frozenset(cut)))
        record = full_record(session, outcomes, None, None)
        page = self._store.root / "reports" / f"{bound.project.name}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(page.with_suffix(".json"), canonical_json(record) + b"\n")
        write_atomic(page, page_of(record, language()).encode())
        return page
