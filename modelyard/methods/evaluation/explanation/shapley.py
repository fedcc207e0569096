"""Shapley values of a game: exact over all coalitions, or by weighted least squares over some of them (KernelSHAP).

    phi_i = sum over S without i of  |S|! (n - |S| - 1)! / n!  (v(S + i) - v(S))

Shapley 1953; Lundberg & Lee 2017, "A Unified Approach to Interpreting Model Predictions".
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.explanation.game import Attribution, Bools, Floats, Game, jackknife

MOST_EXACT = 14
"""Players whose coalitions are all asked at most, whatever the budget."""
GROUPS = 10
"""Of drawn coalitions, each left out once for the standard errors."""


def shapley(game: Game, budget: int, generator: np.random.Generator) -> Attribution:
    """Exact where all coalitions fit into the budget, else KernelSHAP."""
    if game.size <= MOST_EXACT and 2**game.size <= budget:
        return exact(game)
    return kernel(game, budget, generator)


def exact(game: Game) -> Attribution:
    """Every coalition is asked: 2^n values."""
    n = game.size
    codes = np.arange(2**n)
    masks = (codes[:, None] >> np.arange(n) & 1).astype(np.bool_)
    values, sizes = game.values(masks), masks.sum(1)
    weights = np.array([1 / (n * math.comb(n - 1, size)) for size in range(n)])
    found = np.empty(n)
    for player in range(n):
        without = codes[~masks[:, player]]
        found[player] = weights[sizes[without]] @ (values[without | 1 << player] - values[without])
    return Attribution(found, game.nothing, game.whole, np.zeros(n), len(masks))


def kernel(game: Game, budget: int, generator: np.random.Generator) -> Attribution:
    """KernelSHAP: the additive game nearest to the values of coalitions, which adds up to the whole.

    Coalitions come in pairs with their complements (Covert & Lee 2021); sizes that fit the budget are taken whole, from
    the outermost inwards, the rest is drawn. With all coalitions it is exact.
    """
    n = game.size
    if n < 2:
        return Attribution(np.full(n, game.whole - game.nothing), game.nothing, game.whole)
    masks, weights, num_whole = _coalitions(n, max(budget - 2, 2 * n), generator)
    values = game.values(masks) - game.nothing
    gain = game.whole - game.nothing
    found = _solve(masks, values, weights, gain)
    errors = np.zeros(n)
    if len(masks) - num_whole >= 2 * GROUPS:
        # A coalition and its complement stand in one group: they were drawn together.
        groups = np.full(len(masks), -1)
        groups[num_whole:] = _pairs(masks[num_whole:]) % GROUPS
        errors = jackknife(np.stack([_without(masks, values, weights, gain, groups, each) for each in range(GROUPS)]))
    elif len(masks) > num_whole:
        # Too few were drawn to tell: a value is then known to no better than its own size.
        errors = np.abs(found)
    return Attribution(found, game.nothing, game.whole, errors, len(masks) + 2)


def _solve(masks: Bools, values: Floats, weights: Floats, gain: float) -> Floats:
    """The last player's value follows from the sum, which must be the whole."""
    last = masks[:, -1].astype(np.float64)
    design = masks[:, :-1] - last[:, None]
    scaled = design * weights[:, None]
    found, *_ = np.linalg.lstsq(scaled.T @ design, scaled.T @ (values - last * gain), rcond=None)
    return np.append(found, gain - found.sum())


def _without(
    masks: Bools, values: Floats, weights: Floats, gain: float, groups: NDArray[np.int64], group: int
) -> Floats:
    """Solved without one group of drawn coalitions; the others stand for their mass."""
    kept, drawn = groups != group, groups >= 0
    raised = np.where(drawn, weights * weights[drawn].sum() / weights[drawn & kept].sum(), weights)
    return _solve(masks[kept], values[kept], raised[kept], gain)


def _pairs(masks: Bools) -> NDArray[np.int64]:
    """[m] a number a coalition, the same for its complement."""
    turned = np.where(masks[:, :1], ~masks, masks)
    found: NDArray[np.int64] = np.unique(turned, axis=0, return_inverse=True)[1].reshape(-1)
    # Numbers follow the order of the masks; another order mixes sizes over the groups.
    return np.random.default_rng(0).permutation(found.max() + 1)[found]


def _coalitions(n: int, budget: int, generator: np.random.Generator) -> tuple[Bools, Floats, int]:
    """Masks [m, n], the weight each stands for, and how many of them come from sizes that are there whole.

    The kernel is (n - 1) / (C(n, s) s (n - s)), summed over sizes.
    """
    mass = {size: (n - 1) / (size * (n - size)) for size in range(1, n)}
    masks: list[Bools] = []
    weights: list[Floats] = []
    left, sizes = budget, list(range(1, n // 2 + 1))
    while sizes:
        size = sizes[0]
        number = math.comb(n, size) * (1 if 2 * size == n else 2)
        if number > left:
            break
        for one in {size, n - size}:
            part = _all_of_size(n, one)
            masks.append(part)
            weights.append(np.full(len(part), mass[one] / len(part)))
        left -= number
        sizes.pop(0)
    num_whole = sum(len(part) for part in masks)
    if sizes and left >= 2:
        drawn, counts = _drawn(n, [size for low in sizes for size in {low, n - low}], mass, left // 2, generator)
        share = sum(mass[size] for low in sizes for size in {low, n - low})
        masks.append(drawn)
        weights.append(counts * share / counts.sum())
    return np.concatenate(masks), np.concatenate(weights), num_whole


def _all_of_size(n: int, size: int) -> Bools:
    from itertools import combinations

    masks = np.zeros((math.comb(n, size), n), np.bool_)
    for row, chosen in enumerate(combinations(range(n), size)):
        masks[row, list(chosen)] = True
    return masks


def _drawn(
    n: int, sizes: list[int], mass: dict[int, float], pairs: int, generator: np.random.Generator
) -> tuple[Bools, Floats]:
    """Pairs of a coalition and its complement by the kernel's mass of their sizes; distinct masks and their counts."""
    shares = np.array([mass[size] for size in sizes])
    taken = generator.choice(sizes, size=pairs, p=shares / shares.sum())
    ranks = generator.random((pairs, n)).argsort(1).argsort(1)
    half = ranks < taken[:, None]
    distinct, counts = np.unique(np.concatenate([half, ~half]), axis=0, return_counts=True)
    return distinct, counts.astype(np.float64)
