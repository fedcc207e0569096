"""Which values the next trials try. Proposals are a function of the seed and the results so far, told in order."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, Protocol

from modelyard.base.canonical import Json
from modelyard.engine.repeat.space import Dimension, random_values

Values = dict[str, Json]
DEFAULT_TRIALS = 20
MAX_STARTUP = 10


class Suggester(Protocol):
    """Proposes trials, batch by batch.

    Attributes:
        adaptive: what it proposes depends on results.
    """

    adaptive: bool

    def next(self, limit: int) -> list[Values]:
        """The next batch, at most `limit` trials; empty when there is nothing more to try."""
        ...

    def tell(self, scores: Sequence[tuple[float, ...] | None]) -> None:
        """Results of the batch just proposed, in order, greater is better; None: the trial failed."""
        ...


class Grid:
    """Every combination; the last setting of the space changes fastest."""

    adaptive = False

    def __init__(self, space: Sequence[Dimension]) -> None:
        names = [item.path for item in space]
        tables = [item.values() or [] for item in space]
        self._left = (dict(zip(names, found, strict=True)) for found in itertools.product(*tables))

    def next(self, limit: int) -> list[Values]:
        return list(itertools.islice(self._left, limit))

    def tell(self, scores: Sequence[tuple[float, ...] | None]) -> None:
        pass


class Random:
    """Independent draws; trial n is the same whatever came before (Bergstra & Bengio 2012, JMLR 13)."""

    adaptive = False

    def __init__(self, space: Sequence[Dimension], seed: int) -> None:
        self._space, self._seed, self._number = space, seed, 0

    def next(self, limit: int) -> list[Values]:
        first = self._number + 1
        self._number += limit
        return [random_values(self._space, self._seed, number) for number in range(first, first + limit)]

    def tell(self, scores: Sequence[tuple[float, ...] | None]) -> None:
        pass


class Tpe:
    """Tree-structured Parzen estimators (Bergstra et al. 2011, NIPS 24; several objectives: Ozaki et al. 2022, JAIR
    73), by Optuna. Trials of one batch know nothing of each other's results (constant liar: Ginsbourger et al. 2010).
    """

    adaptive = True

    def __init__(self, space: Sequence[Dimension], seed: int, num_goals: int, trials: int, batch: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        startup = max(1, min(MAX_STARTUP, trials // 3))
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=batch > 1)
        self._study = optuna.create_study(sampler=sampler, directions=["maximize"] * num_goals)
        self._failed = optuna.trial.TrialState.FAIL
        self._space, self._batch = space, batch
        self._distributions = {item.path: _distribution(item) for item in space}
        self._asked: list[Any] = []

    def next(self, limit: int) -> list[Values]:
        self._asked = [self._study.ask(self._distributions) for _ in range(min(limit, self._batch))]
        return [self._values(trial.params) for trial in self._asked]

    def _values(self, params: dict[str, Any]) -> Values:
        return {
            item.path: item.choices[params[item.path]] if item.choices else item.number(params[item.path])
            for item in self._space
        }

    def tell(self, scores: Sequence[tuple[float, ...] | None]) -> None:
        for trial, found in zip(self._asked, scores, strict=True):
            if found is None:
                self._study.tell(trial, state=self._failed)
            else:
                self._study.tell(trial, list(found))


def _distribution(item: Dimension) -> Any:
    from optuna import distributions

    if item.choices:  # by position: Optuna takes no lists
        return distributions.CategoricalDistribution(tuple(range(len(item.choices))))
    if item.whole:
        step = int(item.step or 1)
        high = int(item.low) + (int(item.high) - int(item.low)) // step * step
        return distributions.IntDistribution(int(item.low), high, item.log, step)
    return distributions.FloatDistribution(float(item.low), float(item.high), item.log, item.step)


def grid_size(space: Sequence[Dimension]) -> int | None:
    """How many points a grid has; None if a setting takes any number of values."""
    tables = [item.values() for item in space]
    return None if any(table is None for table in tables) else math.prod(len(table or ()) for table in tables)


def settle(method: str, space: Sequence[Dimension], trials: int | None) -> tuple[str, int]:
    """The method and the number of trials, `auto` and defaults settled."""
    size = grid_size(space)
    if method == "auto":
        method = "grid" if size is not None and size <= (trials or DEFAULT_TRIALS) else "tpe"
    if method == "grid":
        return method, min(size or 0, trials or size or 0)
    return method, trials or DEFAULT_TRIALS


def suggester(method: str, space: Sequence[Dimension], seed: int, num_goals: int, trials: int, batch: int) -> Suggester:
    """The one that a settled method names."""
    if method == "grid":
        return Grid(space)
    if method == "random":
        return Random(space, seed)
    return Tpe(space, seed, num_goals, trials, batch)
