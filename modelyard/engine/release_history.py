"""What was measured on test of one release after the other: the history of a project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelyard.core.evidence import TASK, Evidence
from modelyard.core.release import Release
from modelyard.engine import catalog
from modelyard.engine.identity import PARTLY
from modelyard.store import Store


def measured_of(
    store: Store, releases: Sequence[Release], claim: str | None = None, *, slices: bool = False
) -> Iterator[tuple[Release, Evidence]]:
    """Every measurement of test rows, withdrawn ones, comparisons and those of a part of the rows left out.

    Args:
        slices: groups too.
    """
    whole: dict[int, bool] = {}
    for release in releases:
        for item in store.ledger.evidence_about([release.model]):
            plain = item.against is None and item.withdrawn is None and item.split == "test"
            if not plain or claim not in (None, item.claim) or not (item.whole or slices):
                continue
            if item.run not in whole:  # cut for want of time: its figures are no equals of others
                whole[item.run] = PARTLY not in store.ledger.run(item.run).identity
            if whole[item.run]:
                yield release, item


def latest_of(
    store: Store, releases: Sequence[Release], claim: str | None = None, *, slices: bool = False
) -> list[tuple[Release, Evidence]]:
    """The latest measurement of each claim, slice, test rows and version; other settings and code measure again."""
    found: dict[tuple[Any, ...], tuple[Release, Evidence]] = {}
    for release, item in measured_of(store, releases, claim, slices=slices):
        key = item.claim, item.dataset, tuple(sorted(item.slice.items())), release.version
        if key not in found or item.sequence > found[key][1].sequence:
            found[key] = release, item
    return list(found.values())


def better_of(store: Store, item: Evidence, folder: Path) -> str:
    """Which direction is good: `higher`, `lower` or `none`; empty if its stage is no longer there."""
    stage, _ = catalog.find(store.ledger.run(item.run).uses, folder)
    return next((one.better for one in stage.stage.claims if one.name == item.claim), "") if stage else ""


def history_json(store: Store, name: str) -> list[dict[str, Any]]:
    """For a page: by claim, task, test rows and version, the latest measurement of each; empty with fewer than two
    versions.

    Two versions of the same bytes are two points.
    """
    releases = sorted(store.ledger.releases(name), key=lambda item: item.version)
    measured = latest_of(store, releases) if len(releases) > 1 else ()
    latest = {(item.claim, item.slice.get(TASK, ""), item.dataset, release.version): item for release, item in measured}
    found = []
    for (claim, task, dataset, version), item in sorted(latest.items()):
        ends = item.ends() if item.sound() and not item.exact else None
        low, high = ends or (None, None)
        found.append({"claim": claim, "task": task, "dataset": dataset, "version": version,
                      "value": item.value, "low": low, "high": high,
                      "n": item.n, "unit": item.unit})  # fmt: skip
    return found
