"""What searches and folds cost and came to, for people: their records, with the runs and seconds of every part."""

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


def folds_record(store: Store, step: str) -> dict[str, Any]:
    """The report of the latest folds of a step, with `runs` (how many) and `seconds` of each fold, the trials of
    searches in it included, and `seconds` in all. A run that two folds share, or that was there before, counts with the
    seconds it once took.

    Raises:
        StoreError: no folds of that name have ended.
    """
    run = next(iter(store.ledger.runs(step=step, uses="folds", status="done", limit=1)), None)
    if run is None:
        found = t("no folds `{step}` have come to their end", step=step)
        raise StoreError(found, where=str(store.root), remedy=t("`modelyard plan` says what is done; `modelyard run`"
                                                                " goes on"))  # fmt: skip
    digest = next(binding.digest for binding in run.outputs if binding.port == "report")
    text = (store.artifacts.path(digest) / "folds.json").read_text(encoding="utf-8")
    value: dict[str, Any] = json.loads(text)["data"]
    members: dict[str, str] = run.identity["members"]
    total: dict[str, float] = {}
    for number, fold in enumerate(value["folds"], 1):
        keys = {key for name, key in members.items() if name.startswith(f"{step}.{number}.")}
        for key in tuple(keys):
            keys |= _trial_keys(store, key)
        made = [item for item in map(store.ledger.completed, sorted(keys)) if item is not None]
        spent = {item.key: item.seconds or 0.0 for item in made if item.uses != "search"}
        fold |= {"runs": len(spent), "seconds": sum(spent.values())}
        total |= spent
    return {"step": step, "run": run.id, **value, "seconds": sum(total.values())}


def _trial_keys(store: Store, key: str) -> set[str]:
    """Keys of every run of the trials of a search, if the run of this key is one."""
    run = store.ledger.completed(key)
    digest = next((item.digest for item in run.outputs if item.port == TRIALS), None) if run is not None else None
    if digest is None:
        return set()
    trials = json.loads((store.artifacts.path(digest) / FILE).read_text(encoding="utf-8"))["trials"]
    return {found for trial in trials for found in trial["keys"].values()}


def _runs(store: Store, search: str, members: set[str]) -> dict[str, Run]:
    """The latest run of every key, done ones first, whichever name it ran under."""
    found: dict[str, Run] = {}
    for name in (*(f"{search}.{member}" for member in sorted(members)), *sorted(members)):
        for run in store.ledger.runs(step=name, limit=LOOK_BACK):
            there = found.get(run.key)
            if there is None or (there.status != "done" and run.status == "done"):
                found[run.key] = run
    return found
