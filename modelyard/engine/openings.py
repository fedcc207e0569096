"""How often a test split was looked at, and by how many models: what is chosen by looking often flatters itself."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.store import Store

MEASURING = "evaluate."
ENDED_EARLY = ("failed", "killed")


@dataclass(frozen=True)
class Openings:
    """Of one data set's test rows.

    Attributes:
        runs: that saw them, killed and failed ones too, unless they end as `evaluate.*` stages do that measure
            nothing: these tell figures at their end only.
        models: different ones among what these runs were given.
    """

    dataset: str
    runs: int
    models: int


def openings_of(store: Store, dataset: str) -> Openings:
    """Every opening of a data set's test split that the ledger knows and that something could be learned from."""
    runs = [store.ledger.run(number) for number in store.ledger.openings(dataset)]
    runs = [run for run in runs if not (run.uses.startswith(MEASURING) and run.status in ENDED_EARLY)]
    kinds = {item.digest: item.kind for item in store.ledger.artifacts()}
    given = {binding.digest for run in runs for binding in run.inputs}
    return Openings(dataset, len(runs), sum(kinds.get(digest) == "model" for digest in given))
