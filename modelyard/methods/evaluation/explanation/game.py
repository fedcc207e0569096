"""What the model answers when only some players of a row are there: the one question perturbing methods ask.

Masks are asked together, equal ones once, and equal records once over all masks: a predictor computes long batches much
faster than single records, and perturbed records repeat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.runtimes.predictor import Predictor, Record

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

CHUNK = 2048
"""Records given to the predictor in one call; it cuts them by length itself."""


class Players(Protocol):
    """A row in parts that can be there or not.

    Attributes:
        names: one a player.
    """

    @property
    def names(self) -> tuple[str, ...]: ...

    def records(self, masks: Bools) -> list[list[Record]]:
        """For each mask [m, players] the records whose mean answer is its value."""
        ...


@dataclass
class Oracle:
    """A predictor as a function to numbers.

    Attributes:
        asked: records that were computed so far.
    """

    predictor: Predictor
    asked: int = 0

    @property
    def labels(self) -> tuple[str, ...]:
        """Of the outputs; empty for a model that answers a number."""
        return tuple(self.predictor.labels)

    def outputs(self, records: Sequence[Record]) -> Floats:
        """Probabilities [n, classes], or values [n, 1]; equal records are computed once.

        Raises StageError if an answer is not a number.
        """
        places: dict[Any, int] = {}
        order = np.array([places.setdefault(_key(record), len(places)) for record in records], np.int64)
        firsts = np.full(len(places), -1, np.int64)
        firsts[order[::-1]] = np.arange(len(records))[::-1]
        parts = [self._predict([records[place] for place in firsts[start : start + CHUNK]])
                 for start in range(0, len(firsts), CHUNK)]  # fmt: skip
        found: Floats = np.concatenate(parts)[order] if parts else np.empty((0, max(1, len(self.labels))))
        return found

    def _predict(self, records: Sequence[Record]) -> Floats:
        answers = self.predictor.predict(records)
        self.asked += len(records)
        if self.labels:
            found = np.array([[answer.scores[label] for label in self.labels] for answer in answers], np.float64)
        else:
            found = np.array([[answer.value] for answer in answers], np.float64)
        if not np.isfinite(found).all():
            raise StageError(t("the model's answer to a perturbed record is not a number"))
        return found


def _key(record: Record) -> Any:
    return tuple(record.items())


@dataclass
class Game:
    """The value of coalitions of players: the model's answer for one output; all outputs are kept.

    Attributes:
        target: which output: the place of a label, or 0 for a number.
    """

    players: Players
    oracle: Oracle
    target: int
    _known: dict[bytes, Floats] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return len(self.players.names)

    def values(self, masks: Bools) -> Floats:
        """[m] of masks [m, players]; what was asked before is not asked again."""
        keys = [row.tobytes() for row in np.ascontiguousarray(masks)]
        new = {key: place for place, key in enumerate(keys) if key not in self._known}
        if new:
            lists = self.players.records(masks[list(new.values())])
            counts = np.array([len(one) for one in lists])
            outputs = self.oracle.outputs([record for one in lists for record in one])
            starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
            means = np.add.reduceat(outputs, starts) / counts[:, None]
            self._known |= dict(zip(new, means, strict=True))
        return np.array([self._known[key][self.target] for key in keys])

    def of(self, target: int) -> Game:
        """The same game for another output: what one asked the other knows."""
        return Game(self.players, self.oracle, target, self._known)

    @property
    def whole(self) -> float:
        """The answer to the row as it is."""
        return float(self.values(np.ones((1, self.size), np.bool_))[0])

    @property
    def nothing(self) -> float:
        """The answer when nobody is there."""
        return float(self.values(np.zeros((1, self.size), np.bool_))[0])


@dataclass(frozen=True)
class Attribution:
    """What each player speaks for the target.

    Attributes:
        values: [players].
        base, whole: where the sum of the values starts and where it ends, for methods whose values add up.
        errors: [players] standard errors, of methods that draw some of many questions.
        questions: values of coalitions it rests on; 0 for methods that ask none.
    """

    values: Floats
    base: float | None = None
    whole: float | None = None
    errors: Floats | None = None
    questions: int = 0

    @property
    def sampling_error(self) -> float | None:
        """Root mean square of the standard errors by that of the values; None where nothing is drawn."""
        if self.errors is None or not self.errors.size:
            return None
        size, error = (float(np.sqrt(np.mean(part**2))) for part in (self.values, self.errors))
        return error / size if size > 0 else 0.0

    @property
    def gap(self) -> float | None:
        """By how much the values miss their sum, by the size of the larger of sum and difference of the ends."""
        if self.base is None or self.whole is None:
            return None
        total, sum_ = self.whole - self.base, float(self.values.sum())
        # Below a millionth it is the rounding of the sums.
        return round(abs(sum_ - total) / max(abs(total), abs(sum_), 1e-9), 6)


def jackknife(parts: Floats) -> Floats:
    """Standard errors [players] from estimates [groups, players], each without one of equal groups (Tukey 1958)."""
    count = len(parts)
    found: Floats = np.sqrt((count - 1) / count * ((parts - parts.mean(0)) ** 2).sum(0))
    return found
