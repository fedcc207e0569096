"""Versions of a data set: what differs between two, and how figures moved over all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.app.data.finding import HELD_OUT, Found, found, open_digest, plain, versions
from modelyard.app.data.looking import statistics_of
from modelyard.app.releases import folder_of
from modelyard.app.session import open_store
from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.core.run import Run
from modelyard.errors import StoreError
from modelyard.store import Store, derived

Value = dict[str, Any]
DRIFT = "drift"
DRIFT_VERSION = 1
MAX_PSI = 0.1
ALPHA = 0.01


def diff(
    old: str,
    new: str | None = None,
    *,
    examples: int = 5,
    key: Sequence[str] = (),
    project: str | Path | None = None,
    profile: str | None = None,
) -> Value:
    """What changed from one data set to another; with one name, from its version before to its newest.

    Args:
        key: columns that say which rows are the same; by id, or where no id is on both sides by text, if empty.
    """
    from modelyard.methods.data.difference import difference

    if new is None:
        old, new = f"{old}~1", old
    with open_store(folder_of(project), profile) as (_, store):
        before, after = found(store, old), found(store, new)
        value = difference(before.dataset, after.dataset, examples, key or None).to_json()
        value["examples"] = {kind: [plain(row) for row in rows] for kind, rows in value["examples"].items()}
        return {
            "old": {"reference": old, "digest": before.digest},
            "new": {"reference": new, "digest": after.digest},
            **value,
            "drift": drift_of(before, after),
            "statistics": [statistics_of(side, side.splits()) for side in (before, after)],
        }


def drift_of(before: Found, after: Found) -> list[Value]:
    """How far each column moved, kept beside the newer artifact. Test rows are left out."""
    from modelyard.methods.data.statistics.drift import compare

    name = before.digest.rpartition(":")[2] + ".json"
    root = after.store.root
    kept = derived.read(root, DRIFT, DRIFT_VERSION, after.digest, name)
    if kept is not None:
        try:
            value: list[Value] = json.loads(kept)
            return value
        except ValueError:
            pass  # torn: made again
    moved = compare(before.dataset, after.dataset, (before.splits(), after.splits()))
    found_drift = [{**item.to_json(), "moved": item.moved(MAX_PSI, ALPHA)} for item in moved]
    derived.write(root, DRIFT, DRIFT_VERSION, after.digest, name, canonical_json(found_drift))
    return found_drift


def history(
    reference: str, *, limit: int = 50, project: str | Path | None = None, profile: str | None = None
) -> list[Value]:
    """Every version of a step's data set, oldest first: rows, missing values, label shares, drift from the one before.

    Of a version whose bytes `gc` has removed only what the ledger holds is left.
    """
    with open_store(folder_of(project), profile) as (_, store):
        there = versions(store, reference)[-limit:]
        if not there:
            raise StoreError(
                t("no step `{step}` has made a data set", step=reference),
                where=str(store.root),
                remedy=t("`modelyard data list` shows them"),
            )
        told: list[Value] = []
        before: Found | None = None
        for number, (run, digest) in enumerate(there, 1):
            data = open_digest(store, digest, reference) if store.artifacts.has(digest) else None
            told.append({**_head(store, number, run, digest), **(_figures(data, before) if data else {})})
            before = data
        return told


def _head(store: Store, number: int, run: Run, digest: str) -> Value:
    rows = [item for item in store.ledger.evidence_about([digest]) if item.claim == "data.rows" and not item.slice]
    return {
        "version": number,
        "run": run.id,
        "made": run.finished,
        "digest": digest,
        "there": store.artifacts.has(digest),
        "rows": int(rows[-1].value) if rows else None,
        "missing_rate": None,
        "labels": {},
        "psi_max": None,
        "moved_most": None,
        "moved": [],
    }


def _figures(data: Found, before: Found | None) -> Value:
    figures = statistics_of(data, data.splits())
    cells = sum(column["rows"] for column in figures["columns"])
    missing = sum(column["missing"] for column in figures["columns"])
    drift = drift_of(before, data) if before else []
    held_out = data.dataset.num_rows(HELD_OUT) if HELD_OUT in data.dataset.splits() else 0
    return {
        "rows": figures["rows"] + held_out,
        "missing_rate": missing / cells if cells else 0.0,
        "labels": dict(_first(figures.get("labels", {}).get("shares", {}).items(), 10)),
        "psi_max": drift[0]["psi"] if drift else None,
        "moved_most": drift[0]["column"] if drift else None,
        "moved": [item["column"] for item in drift if item["moved"]],
    }


def _first(items: Any, num: int) -> Sequence[Any]:
    return list(items)[:num]
