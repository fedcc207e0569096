"""How many rows of each class go to each side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def apportion(counts: NDArray[np.int64], shares: Sequence[float]) -> NDArray[np.int64]:
    """Whole numbers of rows for each class and side, [classes, sides], each less than one from `counts * shares`.

    Row sums equal `counts`; column sums equal the largest-remainder split of the total (controlled rounding).

    Source: largest remainders (Hamilton) over all classes in order of remainder, under the totals' own seats; where
    that ends early, augmenting paths (Cox 1987, J. Am. Stat. Assoc. 82, on controlled rounding as a flow).
    """
    quotas = np.round(counts[:, None] * np.asarray(shares, dtype=np.float64)[None, :], 9)
    floors = np.floor(quotas).astype(np.int64)
    remainders = quotas - floors
    extra = np.zeros(quotas.shape, dtype=bool)
    class_left = counts - floors.sum(axis=1)
    side_left = largest_remainder(int(counts.sum()), shares) - floors.sum(axis=0)
    for index, side in sorted(np.ndindex(*quotas.shape), key=lambda pair: (-remainders[pair], pair)):
        if class_left[index] and side_left[side] and remainders[index, side] > 0:
            extra[index, side] = True
            class_left[index] -= 1
            side_left[side] -= 1
    for short in np.flatnonzero(class_left).tolist():
        for _ in range(int(class_left[short])):
            _give_one_more(short, extra, remainders > 0, side_left)
    return floors + extra


def _give_one_more(
    index: int, extra: NDArray[np.bool_], open_: NDArray[np.bool_], side_left: NDArray[np.int64]
) -> None:
    """Give class `index` a seat although the sides it may take one on are full: others move over (an augmenting path).

    A way always exists: the remainders themselves are a fractional solution, and such tables have whole ones.
    """
    came_from: dict[int, tuple[int, int] | None] = {
        int(side): None for side in np.flatnonzero(open_[index] & ~extra[index])
    }
    queue = list(came_from)
    for side in queue:
        if side_left[side] > 0:
            side_left[side] -= 1
            while (step := came_from[side]) is not None:
                mover, before = step
                extra[mover, side], extra[mover, before] = True, False
                side = before
            extra[index, side] = True
            return
        for mover in np.flatnonzero(extra[:, side]).tolist():
            for target in np.flatnonzero(open_[mover] & ~extra[mover]).tolist():
                if target not in came_from:
                    came_from[target] = (mover, side)
                    queue.append(target)


def largest_remainder(total: int, shares: Sequence[float]) -> NDArray[np.int64]:
    quotas = np.round(total * np.asarray(shares, dtype=np.float64), 9)
    seats = np.floor(quotas).astype(np.int64)
    order = sorted(range(len(shares)), key=lambda side: (-(quotas[side] - seats[side]), side))
    for side in order[: total - int(seats.sum())]:
        seats[side] += 1
    return seats
