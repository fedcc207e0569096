"""A step before it runs: its inputs bound, its key computed, and what was already made under that key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import t
from modelyard.core.run import Binding, Run
from modelyard.engine import refresh, released
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundFolds, BoundSearch, BoundStep
from modelyard.engine.events import StepOutcome
from modelyard.engine.history import record_of
from modelyard.engine.identity import PARTLY
from modelyard.engine.inputs import bindings_of, record_bytes
from modelyard.engine.keys import identity_of, key_of
from modelyard.errors import IntegrityError
from modelyard.store import Store


@dataclass(frozen=True)
class Prepared:
    """A step whose inputs are known: everything its key is made of."""

    step: BoundStep
    bindings: list[Binding]
    identity: dict[str, Any]
    key: str
    record: bytes
    fetch: refresh.Fetch | None = None


def prepare(bench: Bench, step: BoundStep, above: list[StepOutcome], renew: bool = True) -> Prepared:
    """Bind a step's inputs to what the steps above made, and compute its key.

    Args:
        renew: whether what is fetched from outside may be too old; False to look at what there is.
    """
    outputs = {outcome.step: outcome.outputs for outcome in above}
    needs_record = any(port.kind == "record" for port in step.stage.inputs.values())
    record = record_bytes(record_of(bench.store, bench.bound, above)) if needs_record else b""
    bindings = bindings_of(step, outputs, record, bench.store)
    secret, seed = bench.profile.resolve_secret, bench.bound.project.seed_of(step.step)
    identity = identity_of(step.found, step.config, seed, bindings, bench.base, bench.memo, secret)
    if isinstance(step, BoundSearch):
        from modelyard.engine.repeat.search import identity_of_members

        identity["members"] = identity_of_members(bench, step)
    elif isinstance(step, BoundFolds):
        from modelyard.engine.repeat.folds import keys_of_folds

        identity["members"] = keys_of_folds(bench, step, above)
    if step.stage.release:
        identity[released.PART] = released.digests_of(bench.store, bench.bound, step)
    if step.name in bench.parts:
        identity[PARTLY] = True
    fetch = _fetch(bench, step, identity, renew) if step.stage.refresh else None
    if fetch:
        identity = {**identity, refresh.PART: fetch.generation}
    return Prepared(step, bindings, identity, key_of(identity), record, fetch)


def _fetch(bench: Bench, step: BoundStep, identity: Mapping[str, Any], renew: bool) -> refresh.Fetch:
    """Which fetch the step is; decided once in a run, so that `always` fetches once."""
    if step.name in bench.fetches:
        return refresh.Fetch(bench.fetches[step.name])
    if not renew:
        return refresh.made(bench.store, step.step.uses, identity)
    return refresh.due(bench.store, step.step.uses, refresh.policy_of(step.stage, step.config), identity)


def reusable(bench: Bench, key: str) -> Run | None:
    """The finished run with this key whose outputs are all there.

    Raises:
        IntegrityError: the bytes of an output are not what was stored.
    """
    run = bench.store.ledger.completed(key)
    if run is None or not all(bench.store.artifacts.has(binding.digest) for binding in run.outputs):
        return None
    for binding in run.outputs:
        bench.store.artifacts.use(binding.digest)  # checked, and safe from a gc in another process from here on
    return run


def reuse(bench: Bench, prepared: Prepared) -> Run | None:
    """The finished run of a step, unless it is to run anew."""
    return None if prepared.step.name in bench.again else _whole(bench, prepared)


def _whole(bench: Bench, prepared: Prepared) -> Run | None:
    """As `reusable`; what was changed by hand is set aside, said, and made again from the same inputs."""
    try:
        return reusable(bench, prepared.key)
    except IntegrityError as error:
        if not bench.remake_damaged:
            raise
        run = bench.store.ledger.completed(prepared.key)
        for binding in run.outputs if run else ():
            aside = _set_aside(bench.store, binding.digest)
            if aside:
                words = t("its artifact was changed after it was made: set aside in {place}, made again", place=aside)
                bench.listener.note(prepared.step.name, f"{words}\n{error}")
        return None


def _set_aside(store: Store, digest: str) -> Path | None:
    try:
        store.artifacts.verify(digest)
    except IntegrityError as error:
        return store.artifacts.quarantine(digest, str(error))
    return None


def outcome_of(step: BoundStep, run: Run, cached: bool) -> StepOutcome:
    outputs = {binding.port: binding.digest for binding in run.outputs}
    return StepOutcome(step.name, step.step.uses, run.id, cached, run.seconds, outputs)
