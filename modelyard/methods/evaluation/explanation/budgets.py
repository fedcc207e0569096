"""How many questions an explanation may ask about a row, and how well it then knows its values.

The bound is on what the model has to read, not on seconds: an artifact must not depend on how fast a machine is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelyard.methods.data import row_random
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.explanation import owen
from modelyard.methods.evaluation.explanation.game import Attribution, Players
from modelyard.methods.evaluation.explanation.players import TextPlayers
from modelyard.methods.evaluation.means import ratio_interval

if TYPE_CHECKING:
    from modelyard.methods.evaluation.explanation.cases import Case

FEWEST = 512
MOST = 4096
CHARS = 400_000
"""Characters a row's questions may hold together; half of a text is there in the mean."""
PER_PLAYER = 32
"""Questions for each player of tables and pictures, whose coalitions are drawn from all."""


@dataclass(frozen=True)
class Budget:
    """Questions a row for SHAP and for LIME, each, and points of the path of integrated gradients.

    Attributes:
        questions: None takes as many as the row needs, within bounds.
    """

    questions: int | None
    steps: int
    seed: int

    def of(self, case: Case) -> int:
        return self.questions or needed(case.players)

    def generator(self, case: Case, purpose: str) -> np.random.Generator:
        return row_random.generator(self.seed, f"explanation/{purpose}", case.row_id)


def needed(players: Players) -> int:
    """Questions for a row: of a text all that Owen values ask, while its length allows it."""
    size = len(players.names)
    if not isinstance(players, TextPlayers):
        return min(1 << size, max(FEWEST, PER_PLAYER * size))
    wanted = max(FEWEST, owen.questions(size))
    return min(wanted, MOST, max(2 * CHARS // max(1, len(players.text)), 4 * size))


def precision(found: Sequence[dict[str, Attribution]], seed: int) -> list[Estimate]:
    """Of each method, means over rows: questions asked, sampling error of the values, gap of values that add up."""
    estimates = []
    for name in dict.fromkeys(name for one in found for name in one):
        rows = [one[name] for one in found if name in one]
        for claim, numbers in (
            ("questions", [float(one.questions) for one in rows if one.questions]),
            ("sampling_error", [one.sampling_error for one in rows if one.sampling_error is not None]),
            ("additivity_gap", [one.gap for one in rows if one.gap is not None]),
        ):
            if numbers:
                values = np.array(numbers, np.float64)
                ends = ratio_interval(values, np.ones(len(values)), seed)
                interval = (max(0.0, ends[0]), ends[1]) if ends else None
                estimates.append(Estimate(claim, float(values.mean()), interval, len(values), {"method": name}))
    return estimates
