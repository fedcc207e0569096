"""Models made the same way with other seeds: the best of several is luck, and its figures are too rosy.

Everything random in a project follows from its `seed`. Two models are of one recipe if they descend, step by step, from
the same data through the same stages with the same settings. If they differ all the same, their seeds make the
difference (the cut of the data, the start of the weights, the order of the rows), and whoever released one of them
could choose. What each of them measured shows how much there was to choose from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.core.evidence import TASK, Claim, Evidence
from modelyard.core.run import Run
from modelyard.store import Store
from modelyard.store.ledger.lineage import Link

LOOK_BACK = 1000
SPLITS = ("test", "validation")


def seeds_of(store: Store, model: str, claims: Mapping[str, Claim]) -> list[dict[str, Any]]:
    """Every seed that made a model of its own in the way `model` was made, in the project that made it first, itself
    among them, in order.

    Args:
        claims: what the project measures; of these, the values on `SPLITS` are given.

    Returns:
        `seed`, `model`, `values` (by `claim on split`, of one of several tasks `claim of task on split`; whatever its
        settings measured last) of each; empty if the recipe has no step with inputs, so that nothing can be told.
    """
    recipes = _Recipes(store)
    maker = recipes.maker(model)
    if maker is None:
        return []
    port = next(binding.port for binding in maker.outputs if binding.digest == model)
    wanted = recipes.of(model)
    found = {maker.seed: model}
    runs = store.ledger.runs(project=maker.project, uses=maker.uses, status="done", limit=LOOK_BACK)
    for run in runs:
        made = next((binding.digest for binding in run.outputs if binding.port == port), None)
        if made and run.seed not in found and made not in found.values() and recipes.of(made) == wanted:
            found[run.seed] = made
    return [
        {"seed": seed, "model": digest, "values": _values(store.ledger.evidence_about([digest]), claims)}
        for seed, digest in sorted(found.items())
    ]


def _values(evidence: tuple[Evidence, ...], claims: Mapping[str, Claim]) -> dict[str, float]:
    """The last value of each claim that could have chosen a model."""
    return {
        f"{item.claim}{_of(item)} on {item.split}": item.value
        for item in sorted(evidence, key=lambda item: (item.claim, item.split, item.sequence))
        if item.split in SPLITS and item.whole and not item.withdrawn and item.claim in claims
        and claims[item.claim].better != "none" and not claims[item.claim].timing and item.against is None
    }  # fmt: skip


def _of(item: Evidence) -> str:
    return f" of {item.slice[TASK]}" if item.slice else ""


class _Recipes:
    """How artifacts were made, without the seed: what went in by digest, what was done by stage and settings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._links: dict[str, list[Link]] = {}
        self._runs: dict[int, Run] = {}
        self._known: dict[str, Any] = {}

    def maker(self, digest: str) -> Run | None:
        """The run that made it: of a search that handed it on, the search; else the first."""
        if digest not in self._links:
            for link in self._store.ledger.lineage_up(digest):
                links = self._links.setdefault(link.child, [])
                if link not in links:
                    links.append(link)
            self._links.setdefault(digest, [])
        numbers = sorted({(link.uses != "search", link.run) for link in self._links[digest]})
        return self._run(numbers[0][1]) if numbers else None

    def of(self, digest: str) -> Any:
        """The recipe as something that can be compared; of what was made of nothing, its digest."""
        if digest not in self._known:
            run = self.maker(digest)
            self._known[digest] = digest if run is None else self._made(digest, run)
        return self._known[digest]

    def _made(self, digest: str, run: Run) -> Any:
        parents = sorted(
            ((link.parent_port, link.parent) for link in self._links[digest] if link.run == run.id),
            key=lambda pair: pair[0],
        )
        inside = run.identity.get("members", {}) if run.uses == "search" else {}
        return (
            run.uses,
            dict(run.settings),
            run.identity.get("external"),
            {name: (member.get("stage"), member.get("settings")) for name, member in inside.items()},
            [(port, self.of(parent)) for port, parent in parents],
        )

    def _run(self, number: int) -> Run:
        if number not in self._runs:
            self._runs[number] = self._store.ledger.run(number)
        return self._runs[number]
