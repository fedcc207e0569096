"""From what a user calls a data set to the data set: `step`, `step.port`, `step~1` (the version before), a digest.

Rows of a test split are shown only when they are asked for by name, and each time counts: choices made after looking
at test rows make every later figure a little rosier, and the card says how often that happened.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.releases import folder_of
from modelyard.app.session import open_store
from modelyard.app.show import find_digest
from modelyard.base.canonical import digest_json, short
from modelyard.base.messages import t
from modelyard.core.run import Binding, Run
from modelyard.errors import IntegrityError, StoreError, UsageError
from modelyard.store import Store

if TYPE_CHECKING:
    from modelyard.methods.data.dataset import Dataset

HELD_OUT = "test"
MOST_RUNS = 1_000
_VERSION = re.compile(r"(?P<step>[^~]+)~(?P<back>[0-9]{1,4})")


@dataclass(frozen=True)
class Found:
    """A data set in an open store.

    Attributes:
        reference: as the user called it.
    """

    store: Store
    digest: str
    dataset: Dataset
    reference: str

    def splits(self, wanted: Sequence[str] = ()) -> tuple[str, ...]:
        """The splits to look at: those named, or all but test. Raises UsageError for one that is not there."""
        there = self.dataset.splits()
        missing = [split for split in wanted if split not in there]
        if missing:
            raise UsageError(
                t("`{name}` has no split `{split}`", name=self.reference, split=missing[0]),
                expected=t("one of: {names}", names=", ".join(there)),
            )
        chosen = tuple(split for split in there if split in (wanted or there))
        return chosen if wanted or chosen == (HELD_OUT,) else tuple(split for split in chosen if split != HELD_OUT)

    def count_look(self, splits: Sequence[str], command: str) -> None:
        """Record in the ledger that test rows were looked at. A ledger that cannot be written refuses the look."""
        if HELD_OUT not in splits:
            return
        ledger = self.store.ledger
        run = ledger.start_run(
            key=digest_json(["look", self.digest, command]),
            project="",
            step=f"data {command}",
            uses="(command line)",
            seed=0,
            settings={},
            identity={},
            environment={},
            inputs=[Binding("data", self.digest, self.digest, (HELD_OUT,))],
            openings=[(self.digest, HELD_OUT)],
        )
        ledger.finish_run(run, notes=[t("a person looked at test rows")])


@contextmanager
def opened(reference: str, project: str | Path | None, profile: str | None) -> Iterator[Found]:
    """A data set, found and checked, while its store is open."""
    with open_store(folder_of(project), profile) as (_, store):
        yield found(store, reference)


def found(store: Store, reference: str) -> Found:
    """The data set of that name. Raises StoreError if there is none, UsageError if it is something else."""
    return open_digest(store, digest_of(store, reference), reference)


def open_digest(store: Store, digest: str, reference: str) -> Found:
    from modelyard.methods.data.dataset import Dataset

    kind = store.artifacts.artifact(digest).kind
    if kind != "dataset":
        raise UsageError(
            t("`{name}` is of kind {kind}", name=reference, kind=kind),
            expected=t("a data set"),
            remedy=t("`modelyard data list` shows them"),
        )
    return Found(store, digest, Dataset.open(_folder(store, digest)), reference)


def _folder(store: Store, digest: str) -> Path:
    """The artifact, checked; where the store may not be written to, without keeping `gc` from it."""
    try:
        return store.artifacts.use(digest)
    except IntegrityError:
        raise
    except StoreError:
        store.artifacts.verify(digest)
        return store.artifacts.path(digest)


def digest_of(store: Store, reference: str) -> str:
    """An artifact by step, `step.port`, either with `~N` for the N-th version before the newest, or by digest."""
    match = _VERSION.fullmatch(reference)
    if match is None:
        newest = versions(store, reference)
        return newest[-1][1] if newest else find_digest(store, reference)
    there = versions(store, match["step"])
    back = int(match["back"])
    if back >= len(there):
        raise StoreError(
            t("`{name}` has {n:,} versions", name=match["step"], n=len(there)),
            where=reference,
            expected=t("~0 (the newest) to ~{last}", last=max(0, len(there) - 1)),
        )
    return there[-1 - back][1]


def versions(store: Store, reference: str) -> list[tuple[Run, str]]:
    """The versions of a step's data set, oldest first: the run that first made each, and its digest.

    A run that gave the same bytes as the one before is no new version.
    """
    step, _, port = reference.partition(".")
    kinds = {item.digest: item.kind for item in store.ledger.artifacts()}
    there: list[tuple[Run, str]] = []
    for run in reversed(store.ledger.runs(step=step, status="done", limit=MOST_RUNS)):
        outputs = [b for b in run.outputs if (b.port == port if port else kinds.get(b.digest, "dataset") == "dataset")]
        if outputs and (not there or there[-1][1] != outputs[0].digest):
            there.append((run, outputs[0].digest))
    return there


def plain(value: Any) -> Any:
    """A value of a row as JSON has it: times as ISO 8601, bytes by their number, no NaN."""
    if isinstance(value, bytes):
        return {"bytes": len(value)}
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def name_of(reference: str, digest: str) -> str:
    return reference if reference in digest else f"{reference} ({short(digest)})"
