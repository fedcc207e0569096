"""What a datasheet says, from the record of the steps above: sources, accounts, measurements, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any

from modelyard.methods.reporting.datasheet.rights import Conflict, conflicts, stated
from modelyard.methods.reporting.datasheet.source import SOURCE_FIELDS, Source
from modelyard.methods.reporting.record import Claim, Evidence, Record, Run

PERSONAL_FAMILIES = ("privacy.", "deidentify.")
VERSION = 1


@dataclass(frozen=True)
class Owner:
    """What only people know; shown as they wrote it."""

    title: str = ""
    motivation: str = ""
    creators: str = ""
    composition: str = ""
    collection: str = ""
    uses: str = ""
    not_for: str = ""
    distribution: str = ""
    maintenance: str = ""
    contact: str = ""


@dataclass(frozen=True)
class Account:
    """What a step did to rows: in + added = kept + removed."""

    step: str
    uses: str
    num_in: int
    num_kept: int
    num_changed: int
    removed: Mapping[str, int]
    changed: Mapping[str, int]
    notes: tuple[str, ...]

    @property
    def num_removed(self) -> int:
        return sum(self.removed.values())

    @property
    def num_added(self) -> int:
        return max(0, self.num_kept + self.num_removed - self.num_in)


@dataclass(frozen=True)
class Datasheet:
    """Everything the pages show.

    Attributes:
        project: its name.
        digest: of the data set.
        figures: `statistics.describe` of it.
        splits: split to rows, where the data was divided below; empty otherwise.
        contract: evidence about contracts, whole and by rule.
        evidence: all other standing evidence about steps on the way.
        claims: what claims mean.
        conflicts: what does not fit together.
    """

    project: str
    digest: str
    owner: Owner
    figures: Mapping[str, Any]
    sources: tuple[Source, ...]
    accounts: tuple[Account, ...]
    steps: tuple[Run, ...]
    splits: Mapping[str, int]
    contract: tuple[Evidence, ...]
    evidence: tuple[Evidence, ...]
    claims: Mapping[str, Claim]
    conflicts: tuple[Conflict, ...] = field(default=())

    @property
    def without_licence(self) -> list[Source]:
        return [source for source in self.sources if not stated(source.licence)]

    @property
    def without_basis(self) -> list[Source]:
        return [source for source in self.sources if not source.consent]

    @property
    def retention_days_min(self) -> float | None:
        """The shortest that any source may be kept; None if none says."""
        return min((days for one in self.sources if (days := one.retention_days) is not None), default=None)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "project": self.project,
            "digest": self.digest,
            "owner": asdict(self.owner),
            "sources": [{**asdict(one), "missing": one.missing()} for one in self.sources],
            "conflicts": [{"kind": one.kind, "text": one.text.format(**one.values)} for one in self.conflicts],
            "accounts": [{**asdict(one), "removed": dict(one.removed), "changed": dict(one.changed),
                          "notes": list(one.notes)} for one in self.accounts],
            "splits": dict(self.splits),
            "contract": [one.model_dump(exclude={"run"}) for one in self.contract],
            "evidence": [one.model_dump(exclude={"run"}) for one in self.evidence],
            "figures": dict(self.figures),
        }  # fmt: skip


def gather(record: Record, digest: str, figures: Mapping[str, Any], owner: Owner) -> Datasheet:
    """The facts about one data set.

    Args:
        record: of the steps above.
        digest: of the data set; if the record does not know it, every step counts as on the way to it.
    """
    steps = _way(record.runs, digest)
    outputs = {output.digest for run in steps for output in run.outputs}
    standing = [item for item in record.evidence if not item.withdrawn and item.subject in outputs]
    sources = tuple(_source(run) for run in steps if _brings_rows(run))
    people = any(column.get("role") == "subject" for column in figures.get("columns", ())) or any(
        item.claim.startswith(PERSONAL_FAMILIES) and item.value for item in standing
    )
    contract = [item for item in standing if item.claim.startswith("data.contract_")]
    return Datasheet(
        project=record.project,
        digest=digest,
        owner=owner,
        figures=figures,
        sources=sources,
        accounts=tuple(account for run in steps if (account := _account(run, standing))),
        steps=tuple(steps),
        splits={name: split.rows for name, split in record.data.splits.items() if split.rows is not None},
        contract=tuple(contract),
        evidence=tuple(item for item in standing if item not in contract),
        claims=record.claims,
        conflicts=tuple(conflicts(sources, people, owner.uses)),
    )


def _way(runs: Sequence[Run], digest: str) -> list[Run]:
    """The runs the data set descends from, top to bottom.

    A step that passes its data on unchanged makes what it was given: so the maker of an input is looked for above.
    """
    waiting = [place for place, run in enumerate(runs) if digest in {output.digest for output in run.outputs}][-1:]
    if not waiting:
        return [run for run in runs if any(output.kind in ("", "dataset") for output in run.outputs)]
    chosen: set[int] = set()
    while waiting:
        place = waiting.pop()
        if place not in chosen:
            chosen.add(place)
            waiting += [above for item in runs[place].inputs for above in _makers(runs[:place], item.digest)[-1:]]
    return [runs[place] for place in sorted(chosen)]


def _makers(runs: Sequence[Run], digest: str) -> list[int]:
    return [place for place, run in enumerate(runs) if any(output.digest == digest for output in run.outputs)]


def _brings_rows(run: Run) -> bool:
    """Whether rows come in from outside here: a data set comes out and none goes in, or provenance is stated."""
    makes = any(output.kind in ("", "dataset") for output in run.outputs)
    return makes and (not run.inputs or "provenance" in run.settings)


def _source(run: Run) -> Source:
    said = run.settings.get("provenance")
    said = said if isinstance(said, Mapping) else {}
    words = {name: str(said.get(name) or "") for name in SOURCE_FIELDS}
    return Source(run.step, run.uses, _origin(run.settings), **words)


def _origin(settings: Mapping[str, Any]) -> str:
    """The names of what was read, without folders: paths say too much of a machine."""
    for name in ("path", "url", "repository", "table", "name"):
        value = settings.get(name)
        values = list(value.values()) if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
        names = [str(item) for item in values if isinstance(item, str)]
        if names and name == "path":
            names = [PurePath(item).name or item for item in names]
        if names:
            return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
    return ""


def _account(run: Run, standing: Sequence[Evidence]) -> Account | None:
    outputs = {output.digest for output in run.outputs}
    about = [item for item in standing if item.subject in outputs and (item.subject_step or run.step) == run.step]
    rows = _value(about, "data.rows")
    if rows is None or not any(item.claim == "data.removed_rate" for item in about):
        return None
    removed = {
        item.slice["reason"]: round((item.value or 0) * item.n) for item in _by_reason(about, "data.removed_rate")
    }
    changed = {
        item.slice["reason"]: round((item.value or 0) * item.n) for item in _by_reason(about, "data.changed_rate")
    }
    whole = next(item for item in about if item.claim == "data.removed_rate" and not item.slice)
    total = round((whole.value or 0) * whole.n)
    if total > sum(removed.values()):
        removed["?"] = total - sum(removed.values())
    share = _value(about, "data.changed_rate") or 0.0
    return Account(
        run.step, run.uses, whole.n, int(rows), round(share * whole.n), removed, changed, tuple(run.notes)
    )  # fmt: skip


def _by_reason(about: Sequence[Evidence], claim: str) -> list[Evidence]:
    found = [item for item in about if item.claim == claim and set(item.slice) == {"reason"} and item.value]
    return sorted(found, key=lambda item: -(item.value or 0.0))


def _value(about: Sequence[Evidence], claim: str) -> float | None:
    return next((item.value for item in about if item.claim == claim and not item.slice), None)
