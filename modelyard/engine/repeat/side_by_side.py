"""Steps that do not build on each other, several at once: what is there is reused, the rest is made by workers.

What depends on the machine's time (latency) runs after all others, alone. One step that fails does not stop the rest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, TypeAlias

from modelyard.engine.bench import Bench
from modelyard.engine.events import StepOutcome
from modelyard.engine.execute import make_or_reuse
from modelyard.engine.launch import cores
from modelyard.engine.prepare import outcome_of, prepare, reuse
from modelyard.errors import Interrupted, ModelyardError

Ended: TypeAlias = tuple[str, "StepOutcome | ModelyardError"]


def made_before(bench: Bench, names: Sequence[str], above: Sequence[StepOutcome]) -> Iterator[tuple[str, StepOutcome]]:
    """Those of the steps that are there already. A step of which that cannot be known is none of them."""
    for name in names:
        step = bench.bound.step(name)
        try:
            run = reuse(bench, prepare(bench, step, list(above)))
        except ModelyardError:
            continue
        if run is not None:
            bench.listener.step_cached(name, step.step.uses, 1, 1)
            yield name, outcome_of(step, run, cached=True)


def make_each(bench: Bench, names: Sequence[str], above: Sequence[StepOutcome]) -> Iterator[Ended]:
    """Make some steps whose inputs are all among `above`; name and outcome of each, or its error, as they end.

    Raises Interrupted (or KeyboardInterrupt) when it is stopped; what is done by then is kept.
    """
    alone = [name for name in names if bench.bound.step(name).stage.timing]
    together = [name for name in names if name not in alone]
    if bench.profile.jobs > 1 and len(together) > 1:
        yield from _beside(bench, together, above)
    else:
        alone = [*together, *alone]
    for place, name in enumerate(alone, 1):
        yield name, _here(bench, name, above, place, len(alone))


def _here(
    bench: Bench, name: str, above: Sequence[StepOutcome], place: int, total: int
) -> StepOutcome | ModelyardError:
    try:
        return make_or_reuse(bench, prepare(bench, bench.bound.step(name), list(above)), place, total)
    except Interrupted:
        raise
    except ModelyardError as error:
        return error


def _beside(bench: Bench, names: Sequence[str], above: Sequence[StepOutcome]) -> Iterator[Ended]:
    from modelyard.engine.repeat.workers import Workers

    lock = threading.Lock()

    def heard(method: str, values: Sequence[Any]) -> None:
        with lock:
            getattr(bench.listener, method)(*values)

    bench.invocation()
    workers = Workers(_shared_out(bench), "", above, heard)
    asks = [{"make": name, "place": place, "of": len(names)} for place, name in enumerate(names, 1)]
    try:
        for place, reply in workers.each_or_error(asks):
            yield names[place], reply if isinstance(reply, ModelyardError) else StepOutcome(**reply["outcome"])
    finally:
        workers.stop()


def _shared_out(bench: Bench) -> Bench:
    """The same bench with the cores divided among its jobs, unless the profile says how many threads each has."""
    if bench.profile.threads is not None:
        return bench
    shared = copy(bench)
    shared.profile = replace(bench.profile, threads=max(1, cores() // bench.profile.jobs))
    return shared
