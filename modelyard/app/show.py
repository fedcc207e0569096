"""Answers about runs, artifacts, lineage, evidence and curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.app.releases import folder_of
from modelyard.app.session import open_store
from modelyard.base.canonical import PREFIX
from modelyard.base.messages import t
from modelyard.core.evidence import Evidence
from modelyard.core.run import Binding, Run
from modelyard.errors import StoreError
from modelyard.store import Store

Value = dict[str, Any]


def run_json(run: Run) -> Value:
    """A run as JSON."""
    return {**vars(run), "inputs": _bindings(run.inputs), "outputs": _bindings(run.outputs), "notes": list(run.notes)}


def evidence_json(item: Evidence) -> Value:
    """Evidence as JSON; a value that is no number is null."""
    ends = item.ends()
    finite = item.value == item.value
    return {
        **vars(item),
        "value": item.value if finite else None,
        "interval": "exact" if item.exact else list(ends) if ends and item.sound() else None,
        "slice": dict(item.slice),
    }


def _bindings(bindings: Sequence[Binding]) -> list[Value]:
    return [{**vars(binding), "splits": list(binding.splits)} for binding in bindings]


def find_digest(store: Store, reference: str) -> str:
    """An artifact by digest, by the first digits of one, by `step` or `step.port` (its latest), or by release.

    Raises StoreError if nothing or several things fit.
    """
    wanted = reference.removeprefix(PREFIX)
    fits = [digest for digest in store.artifacts.digests() if digest.removeprefix(PREFIX).startswith(wanted)]
    if len(wanted) >= 6 and len(fits) == 1:
        return fits[0]
    step, _, port = reference.partition(".")
    for run in store.ledger.runs(step=step, status="done", limit=1):
        for binding in run.outputs:
            if port in ("", binding.port):
                return binding.digest
    if store.ledger.releases(reference.partition("@")[0].partition(":")[0]):
        from modelyard.engine.releases import resolve

        return resolve(store, reference).model
    raise StoreError(
        t("nothing is called `{name}`", name=reference) if len(fits) < 2 else t("several artifacts begin so"),
        where=str(store.root),
        expected=t("a digest (6 digits or more), a step, `step.port`, or a release"),
    )


def runs(
    *, step: str | None = None, limit: int = 20, project: str | Path | None = None, profile: str | None = None
) -> list[Value]:
    """The latest runs, newest first."""
    with open_store(folder_of(project), profile) as (_, store):
        return [_alive(store, item) for item in store.ledger.runs(step=step, limit=limit)]


def _alive(store: Store, item: Run) -> Value:
    """A run as JSON; one whose process is gone without a word is `killed`, though nobody has recorded it yet."""
    dead = item.status == "running" and not store.artifacts.held(item.key)
    return {**run_json(item), **({"status": "killed"} if dead else {})}


def run(number: int, *, project: str | Path | None = None, profile: str | None = None) -> Value:
    """One run, whole, with its evidence."""
    with open_store(folder_of(project), profile) as (_, store):
        return {
            **_alive(store, store.ledger.run(number)),
            "evidence": [evidence_json(item) for item in store.ledger.evidence_of(number)],
        }


def artifacts(*, project: str | Path | None = None, profile: str | None = None) -> list[Value]:
    """Every artifact, with its kind and size."""
    with open_store(folder_of(project), profile) as (_, store):
        return [vars(item).copy() for item in store.ledger.artifacts()]


def artifact(reference: str, *, project: str | Path | None = None, profile: str | None = None) -> Value:
    """One artifact: where it lies, its files, and lineage both ways."""
    with open_store(folder_of(project), profile) as (_, store):
        digest = find_digest(store, reference)
        return {
            **vars(store.artifacts.artifact(digest)),
            "path": str(store.artifacts.path(digest)),
            "files": store.artifacts.manifest(digest).to_json(),
            **_lineage(store, digest),
        }


def lineage(reference: str, *, project: str | Path | None = None, profile: str | None = None) -> Value:
    """What an artifact was made from, what was made from it, and which releases hold it."""
    with open_store(folder_of(project), profile) as (_, store):
        digest = find_digest(store, reference)
        return {"digest": digest, **_lineage(store, digest)}


def _lineage(store: Store, digest: str) -> Value:
    down = store.ledger.lineage_down(digest)
    held = {digest, *(link.child for link in down)}
    return {
        "made_from": [vars(link).copy() for link in store.ledger.lineage_up(digest)],
        "made_into": [vars(link).copy() for link in down],
        "releases": [f"{item.name}@{item.version}" for item in store.ledger.releases() if item.model in held],
    }


def evidence(
    reference: str | None = None,
    *,
    claim: str | None = None,
    project: str | Path | None = None,
    profile: str | None = None,
) -> list[Value]:
    """Evidence about an artifact (about everything if None), oldest first, withdrawn included."""
    with open_store(folder_of(project), profile) as (_, store):
        if reference is None:
            subjects = [item.digest for item in store.ledger.artifacts()]
        else:
            subjects = [find_digest(store, reference)]
        found = store.ledger.evidence_about(subjects)
        return [evidence_json(item) for item in found if claim in (None, item.claim)]


def withdraw(
    sequence: int, *, name: str, reason: str, project: str | Path | None = None, profile: str | None = None
) -> None:
    """Take evidence back, with a name and a reason; both are shown on every card from then on."""
    with open_store(folder_of(project), profile) as (_, store):
        store.ledger.withdraw(sequence, name, reason)


def curves(
    step: str, *, project: str | Path | None = None, profile: str | None = None
) -> dict[str, list[tuple[int, float]]]:
    """The curves of a step's latest run that logged any: name to (step, value) points."""
    with open_store(folder_of(project), profile) as (_, store):
        for item in store.ledger.runs(step=step, limit=50):
            found = store.ledger.curves(item.id)
            if found:
                return {name: list(points) for name, points in found.items()}
        raise StoreError(t("no run of `{step}` has curves", step=step), where=str(store.root))


def audit(limit: int = 50, *, project: str | Path | None = None, profile: str | None = None) -> list[Value]:
    """The latest changes of the ledger, newest first."""
    with open_store(folder_of(project), profile) as (_, store):
        return [vars(item).copy() for item in store.ledger.audit(limit)]


def search(step: str, *, project: str | Path | None = None, profile: str | None = None) -> Value:
    """The latest search of a step: every trial with its settings, what it measured and the seconds its runs took.

    Raises StoreError if there is none that came to its end.
    """
    from modelyard.engine.repeat.record import search_record

    with open_store(folder_of(project), profile) as (_, store):
        return search_record(store, step)


def folds(step: str, *, project: str | Path | None = None, profile: str | None = None) -> Value:
    """The latest folds of a step: what each was cut from, chose and measured, and the seconds its runs took.

    Raises StoreError if there are none that came to their end.
    """
    from modelyard.engine.repeat.record import folds_record

    with open_store(folder_of(project), profile) as (_, store):
        return folds_record(store, step)


def history(
    name: str,
    *,
    claim: str | None = None,
    slices: bool = False,
    project: str | Path | None = None,
    profile: str | None = None,
) -> list[Value]:
    """What was measured on test of every release of a name: by claim, group and test rows, oldest version first.

    The latest measurement of each stands for it. Withdrawn ones, comparisons, and what was measured on a part of the
    rows for want of time are left out; groups too, unless `slices`.

    Raises StoreError if there is no release of that name.
    """
    from modelyard.engine.release_history import better_of, latest_of

    folder = folder_of(project)
    with open_store(folder, profile) as (_, store):
        releases = sorted(store.ledger.releases(name), key=lambda item: item.version)
        if not releases:
            raise StoreError(t("there is no release `{name}`", name=name), where=str(store.root),
                             remedy=t("`modelyard release list` shows those that are there"))  # fmt: skip
        measured = latest_of(store, releases, claim, slices=slices)
        better = {item.claim: better_of(store, item, folder) for _, item in measured}
        found = [
            {"version": release.version, "state": release.state, "better": better[item.claim], **evidence_json(item)}
            for release, item in measured
        ]
        return sorted(found, key=lambda item: (item["claim"], sorted(item["slice"].items()), item["dataset"],
                                               item["version"]))  # fmt: skip
