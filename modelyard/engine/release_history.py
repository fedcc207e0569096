"""What was measured on test of one release after the other: the history of a project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modelyard.core.evidence import Evidence
from modelyard.core.release import Release
from modelyard.store import Store


def measured_of(
    store: Store, releases: Sequence[Release], claim: str | None = None
) -> Iterator[tuple[Release, Evidence]]:
    """Every measurement of whole test rows, withdrawn ones and comparisons left out."""
    for release in releases:
        for item in store.ledger.evidence_about([release.model]):
            plain = not item.slice and item.against is None and item.withdrawn is None and item.split == "test"
            if plain and claim in (None, item.claim):
                yield release, item


def history_json(store: Store, name: str) -> list[dict[str, Any]]:
    """For a page: by claim, test rows and version, the latest measurement of each; empty with fewer than two versions.

    Two versions of the same bytes are two points.
    """
    releases = sorted(store.ledger.releases(name), key=lambda item: item.version)
    latest: dict[tuple[str, str, int], Evidence] = {}
    for release, item in measured_of(store, releases) if len(releases) > 1 else ():
        key = item.claim, item.dataset, release.version
        if key not in latest or item.sequence > latest[key].sequence:
            latest[key] = item
    found = []
    for (claim, dataset, version), item in sorted(latest.items()):
        ends = item.ends() if item.sound() and not item.exact else None
        low, high = ends or (None, None)
        found.append({"claim": claim, "dataset": dataset, "version": version, "value": item.value, "low": low,
                      "high": high, "n": item.n, "unit": item.unit})  # fmt: skip
    return found
