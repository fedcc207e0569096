"""Occlusion: what the answer loses when one player is not there (Zeiler & Fergus 2014; Li, Monroe & Jurafsky 2016)."""

from __future__ import annotations

import numpy as np

from modelyard.methods.evaluation.explanation.game import Attribution, Game


def occlusion(game: Game) -> Attribution:
    """v(all) - v(all but one), for each player."""
    without = game.values(~np.eye(game.size, dtype=np.bool_))
    return Attribution(game.whole - without, questions=game.size + 1)
