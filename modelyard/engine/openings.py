"""How often a test split was looked at, and by how many models: what is chosen by looking often flatters itself."""

from __future__ import annotations

from dataclasses import dataclass

from modelyard.store import Store


@dataclass(frozen=True)
class Openings:
    """Of one data set's test rows.

    Attributes:
        runs: that saw them, killed and failed ones too.
        models: different ones among what these runs were given.
    """

    dataset: str
    runs: int
    models: int


def openings_of(store: Store, dataset: str) -> Openings:
    """Every opening of a data set's test split that the ledger knows."""
    numbers = store.ledger.openings(dataset)
    kinds = {item.digest: item.kind for item in store.ledger.artifacts()}
    given = {binding.digest for number in numbers for binding in store.ledger.run(number).inputs}
    return Openings(dataset, len(numbers), sum(kinds.get(digest) == "model" for digest in given))
