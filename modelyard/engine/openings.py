"""How often a test split was looked at, and by how many models: what is chosen by looking often flatters itself."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.core.run import Run
from modelyard.engine.identity import PARTLY
from modelyard.store import Store

MEASURING = "evaluate."
CUT_TO = ("rows", "test_rows", "train_rows")
"""Settings by which a bound on time cuts what an `evaluate.*` stage looks at."""


@dataclass(frozen=True)
class Openings:
    """Of one data set's test rows.

    Attributes:
        runs: that saw them, killed and failed ones too, unless they are of `evaluate.*` stages: these tell figures at
            their end only, so that nothing was seen before they are done. What was cut to a part of its rows for want
            of time is not counted beside the whole: that one look has told everything the part told.
        models: different ones among what these runs were given.
    """

    dataset: str
    runs: int
    models: int


def openings_of(store: Store, dataset: str) -> Openings:
    """Every opening of a data set's test split that the ledger knows and that something could be learned from."""
    runs = [store.ledger.run(number) for number in store.ledger.openings(dataset)]
    runs = [run for run in runs if not run.uses.startswith(MEASURING) or run.status == "done"]
    whole = {_asked(run) for run in runs if PARTLY not in run.identity}
    runs = [run for run in runs if PARTLY not in run.identity or _asked(run) not in whole]
    kinds = {item.digest: item.kind for item in store.ledger.artifacts()}
    given = {binding.digest for run in runs for binding in run.inputs}
    return Openings(dataset, len(runs), sum(kinds.get(digest) == "model" for digest in given))


def _asked(run: Run) -> tuple[object, ...]:
    """What a run measured of what, however many rows of it."""
    settings = sorted((name, repr(value)) for name, value in run.settings.items() if name not in CUT_TO)
    return run.uses, run.seed, tuple(settings), tuple(sorted((item.port, item.digest) for item in run.inputs))
