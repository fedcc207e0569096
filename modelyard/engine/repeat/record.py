"""What a search cost and came to, for people: its record, with the runs and seconds of every trial."""

from __future__ import annotations

import json
from typing import Any

from modelyard.base.messages import t
from modelyard.core.run import Run
from modelyard.engine.repeat.opening import TRIALS
from modelyard.engine.repeat.search import FILE
from modelyard.errors import StoreError
from modelyard.store import Store

LOOK_BACK = 100_000


def search_record(store: Store, step: str) -> dict[str, Any]:
    """The record of the latest search of a step, with `runs` (ids by listed step) and `seconds` of each trial, and
    `seconds` in all. Seconds are those that the runs took when they ran; None where the ledger does not know them.

    Raises:
        StoreError: no search of that name has ended.
    """
    run = next(iter(store.ledger.runs(step=step, uses="search", status="done", limit=1)), None)
    if run is None:
        found = t("no search `{step}` has come to its end", step=step)
        remedy = t("`modelyard plan` says how many trials are done; `modelyard run` goes on")
        raise StoreError(found, where=str(store.root), remedy=remedy)
    digest = next(binding.digest for binding in run.outputs if binding.port == TRIALS)
    value: dict[str, Any] = json.loads((store.artifacts.path(digest) / FILE).read_text(encoding="utf-8"))
    by_key = _runs(store, step, {name for trial in value["trials"] for name in trial["keys"]})
    for trial in value["trials"]:
        runs = {name: by_key[key] for name, key in trial["keys"].items() if key in by_key}
        trial["runs"] = {name: item.id for name, item in runs.items()}
        spent = [item.seconds for item in runs.values() if item.seconds is not None]
        trial["seconds"] = sum(spent) if spent else None
    keys = {key for trial in value["trials"] for key in trial["keys"].values()}
    total = sum(by_key[key].seconds or 0.0 for key in keys if key in by_key)
    return {"step": step, "run": run.id, **value, "seconds": total}


def _runs(store: Store, search: str, members: set[str]) -> dict[str, Run]:
    """The latest run of every key, done ones first, whichever name it ran under."""
    found: dict[str, Run] = {}
    for name in (*(f"{search}.{member}" for member in sorted(members)), *sorted(members)):
        for run in store.ledger.runs(step=name, limit=LOOK_BACK):
            there = found.get(run.key)
            if there is None or (there.status != "done" and run.status == "done"):
                found[run.key] = run
    return found
