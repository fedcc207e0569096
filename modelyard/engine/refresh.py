"""When a source that nothing fingerprints (a query, an API) is fetched again.

Every fetch of a step is a generation: a number that stands in the run's identity and so in its key. The same number
means the same fetch, reused or gone on with; the next number is a new fetch. The key stays a function of recorded
values, and equal bytes fetched anew give equal artifacts, which reuse everything below.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelyard.base import clock
from modelyard.base.messages import t
from modelyard.core.run import Run
from modelyard.core.stage import Stage
from modelyard.store import Store

PART = "generation"
NEVER, ALWAYS = "never", "always"
DAY_S = 86_400
UNITS = {"s": 1, "min": 60, "h": 3_600, "d": DAY_S}
LOOK_BACK = 1_000


@dataclass(frozen=True)
class Fetch:
    """Which fetch a step's next run is.

    Attributes:
        generation: its number.
        why: in words: how old what is there is, and what happens; `` if nothing was ever fetched.
    """

    generation: int
    why: str = ""


def policy_of(stage: Stage, config: Any) -> str:
    """The step's `refresh`: `never`, `always` or a duration."""
    return str(getattr(config, stage.refresh))


def due(store: Store, uses: str, policy: str, identity: Mapping[str, Any]) -> Fetch:
    """The fetch that a run of this identity is, now.

    Args:
        uses: the stage's name.
        identity: all parts of the identity but the generation.
    """
    runs = _fetches(store, uses, identity)
    done = next((run for run in runs if run.status == "done"), None)
    last = max((_number(run) for run in runs), default=0)
    limit = limit_s(policy)
    age = _age_s(done.started) if done else None
    if done and (limit is None or (age is not None and age < limit)):
        return Fetch(_number(done), _kept(age, policy))
    again = _again(age, policy) if done else ""
    open_ = next((run for run in runs if run.status != "done"), None)
    if open_ and _number(open_) > (_number(done) if done else 0) and _may_go_on(open_, limit):
        return Fetch(_number(open_), again)
    return Fetch(last + 1, again)


def made(store: Store, uses: str, identity: Mapping[str, Any]) -> Fetch:
    """The fetch that is there, whatever its age: for looking at what was done, when nothing is fetched."""
    runs = _fetches(store, uses, identity)
    found = next((run for run in runs if run.status == "done"), runs[0] if runs else None)
    return Fetch(_number(found) if found else 1)


def limit_s(policy: str) -> float | None:
    """The age in seconds at which a fetch is too old; None: never."""
    if policy == NEVER:
        return None
    if policy == ALWAYS:
        return 0.0
    digits = policy.rstrip("smindh")
    return float(int(digits) * UNITS[policy[len(digits) :]])


def _kept(age: float | None, policy: str) -> str:
    if age is None:
        return t(
            "fetched at an unknown time (the record lies in the future); `refresh: {policy}` keeps it", policy=policy
        )
    return t("fetched {age} ago; `refresh: {policy}` keeps it", age=words(age), policy=policy)


def _again(age: float | None, policy: str) -> str:
    if age is None:
        return t("the record of the last fetch lies in the future, so its age is unknown: it is fetched again")
    return t("fetched {age} ago; `refresh: {policy}` fetches it again", age=words(age), policy=policy)


def words(seconds: float) -> str:
    """An age for people, in the largest unit of which there are two."""
    for unit in ("d", "h", "min"):
        if seconds >= 2 * UNITS[unit]:
            return f"{int(seconds // UNITS[unit])} {unit}"
    return f"{int(seconds)} s"


def _fetches(store: Store, uses: str, identity: Mapping[str, Any]) -> list[Run]:
    """Every run of any project that is a fetch of the same, newest first."""
    runs = store.ledger.runs(uses=uses, limit=LOOK_BACK)
    return [run for run in runs if PART in run.identity and _without(run.identity) == identity]


def _without(identity: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in identity.items() if name != PART}


def _number(run: Run) -> int:
    return int(run.identity[PART])


def _may_go_on(run: Run, limit: float | None) -> bool:
    """Whether a fetch that did not end is young enough to be gone on with; with `always`, a day."""
    age = _age_s(run.started)
    return limit is None or (age is not None and age < (limit or DAY_S))


def _age_s(moment: str) -> float | None:
    """Seconds since a time of the ledger; None if it lies in the future: a clock was wrong, then or now."""
    then, now = (datetime.datetime.fromisoformat(text) for text in (moment, clock.now_utc()))
    age = (now - then).total_seconds()
    return age if age >= 0 else None
