"""Owen values over halves of halves of a row: Shapley values that respect which players stand together.

A balanced binary tree over the players in their order; each node's gain is shared between its two halves as the Shapley
value of two players, over all contexts: the halves beside the node and beside its ancestors, each there or not (Owen
1977; what the partition explainer of Lundberg's `shap` computes). Of a node whose gain is g the halves get

    (g + d) / 2  and  (g - d) / 2,    d = mean over contexts C of  v(C + left) - v(C + right)

so that values always add up, and nothing has to be known before the next question: all are asked in one call. All
contexts are about 2/3 n² questions for n players. On a smaller budget contexts are drawn without replacement, equally
many a node, and each value has a standard error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelyard.methods.evaluation.explanation.game import Attribution, Bools, Floats, Game


@dataclass(frozen=True)
class Node:
    """Players [low, high), cut at `middle`.

    Attributes:
        beside: [low, high) of what may be there or not: the other half of each ancestor.
    """

    low: int
    middle: int
    high: int
    beside: tuple[tuple[int, int], ...]

    @property
    def contexts(self) -> int:
        return 1 << len(self.beside)


def owen(game: Game, budget: int, generator: np.random.Generator) -> Attribution:
    """Of all contexts if they fit the budget of questions, else of some.

    The halves of nodes for which nothing is left (the deepest) share their gain equally.
    """
    nodes = tree(game.size)
    taken = _contexts(nodes, (budget - 2) // 2, generator)
    masks = [_masks(game.size, node, codes) for node, codes in zip(nodes, taken, strict=True)]
    both = np.repeat([[False], [True]], game.size, axis=1)
    values = game.values(np.concatenate([both, *masks]))[2:]
    left, right = values[0::2], values[1::2]
    ends: list[int] = np.cumsum([len(codes) for codes in taken])[:-1].tolist()
    apart = np.split(left - right, ends) if nodes else []
    spread = _variances(nodes, apart)
    found, variances = np.full(game.size, game.whole - game.nothing), np.zeros(game.size)
    for node, differences, variance in zip(nodes, apart, spread, strict=True):
        mean = float(differences.mean()) if differences.size else 0.0
        for part, sign in ((slice(node.low, node.middle), 1), (slice(node.middle, node.high), -1)):
            found[part] = (found[part] + sign * mean) / 2
            variances[part] = (variances[part] + variance) / 4
    return Attribution(found, game.nothing, game.whole, np.sqrt(variances), len(values) + 2)


def tree(size: int) -> list[Node]:
    """Of so many players, the root first, then depth by depth."""
    found: list[Node] = []
    level: list[tuple[int, int, tuple[tuple[int, int], ...]]] = [(0, size, ())]
    while level:
        below: list[tuple[int, int, tuple[tuple[int, int], ...]]] = []
        for low, high, beside in level:
            if high - low < 2:
                continue
            middle = half(low, high)
            found.append(Node(low, middle, high, beside))
            below += [(low, middle, (*beside, (middle, high))), (middle, high, (*beside, (low, middle)))]
        level = below
    return found


def questions(size: int) -> int:
    """That the whole tree of so many players needs."""
    return 2 + 2 * sum(node.contexts for node in tree(size))


def half(low: int, high: int) -> int:
    """Where a piece is cut."""
    return (low + high + 1) // 2


def _contexts(nodes: list[Node], pairs: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Codes of the contexts asked about, a node: all, or equally many; the deepest none where there are too few."""
    most = max((node.contexts for node in nodes), default=1)
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        fits = sum(min(node.contexts, middle) for node in nodes) <= pairs
        low, high = (middle, high) if fits else (low, middle - 1)
    rest = pairs - sum(min(node.contexts, low) for node in nodes)
    found = []
    for node in nodes:
        number = min(node.contexts, low)
        if number < node.contexts and rest > 0:
            number, rest = number + 1, rest - 1
        every = number == node.contexts
        codes = np.arange(number) if every else generator.choice(node.contexts, size=number, replace=False)
        found.append(codes.astype(np.int64))
    return found


def _masks(size: int, node: Node, codes: np.ndarray) -> Bools:
    """[2 · contexts, size] with the left half, then with the right one."""
    masks = np.zeros((len(codes), 2, size), np.bool_)
    for place, (low, high) in enumerate(node.beside):
        masks[:, :, low:high] = (codes >> place & 1).astype(np.bool_)[:, None, None]
    masks[:, 0, node.low : node.middle] = True
    masks[:, 1, node.middle : node.high] = True
    return masks.reshape(-1, size)


def _variances(nodes: list[Node], apart: list[Floats]) -> Floats:
    """Of each node's mean difference, for contexts drawn without replacement.

    A node asked once or never borrows: the mean variance of the others, and the mean square of their differences.
    """
    several = [one.var(ddof=1) for one in apart if len(one) > 1]
    every = np.concatenate(apart) if apart else np.zeros(0)
    square = float(np.mean(every**2)) if every.size else 0.0
    pooled = float(np.mean(several)) if several else square
    found = np.zeros(len(nodes))
    for place, (node, one) in enumerate(zip(nodes, apart, strict=True)):
        if not one.size:
            found[place] = square
        elif len(one) < node.contexts:
            within = one.var(ddof=1) if len(one) > 1 else pooled
            found[place] = within / len(one) * (1 - len(one) / node.contexts)
    return found
