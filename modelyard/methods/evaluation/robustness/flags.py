"""Signs that gradients are masked, so that an attack's failure says nothing about the model.

Athalye, Carlini and Wagner 2018 ("Obfuscated gradients give a false sense of security") and the flags of AutoAttack
(Croce and Hein 2020): where one of these shows, the accuracy under attack is not to be trusted. That one attack turned
a row which another left is chance until the exact paired test (McNemar's mid-p) says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.paired import Pairs, mcnemar_mid_p

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NEAR_ZERO = 1e-10
SHARE = 0.1
SLACK = 0.01
"""Differences of accuracy up to this do not count, however sure."""
LEVEL = 0.05

ZERO_GRADIENT = "the gradient is nearly zero at many rows"
BLACK_BOX = "an attack without gradients does more harm than the gradient"
RANDOM = "the same row is answered in different ways"
UNBOUNDED = "an attack without bounds leaves rows right"
SINGLE_STEP = "one step does more harm than many"


@dataclass(frozen=True)
class Evidence:
    """Which of the same rows [n] stay right under attacks of one norm and radius, and gradients.

    Attributes:
        gradients: [m] largest number of the gradient at each row that is right.
        one_step, many_steps: under FGSM and PGD.
        without: under the attacks that use no gradient, all together: random points of the ball, Square.
        unbounded: under PGD with a radius that leaves nothing of the row.
        repeats: whether logits are the same when asked again.
    """

    gradients: Floats
    one_step: Bools
    many_steps: Bools
    without: Bools
    unbounded: Bools
    repeats: bool = True


def flags(found: Evidence) -> Mapping[str, bool]:
    """Each sign, and whether it shows."""
    return {
        ZERO_GRADIENT: bool(found.gradients.size and (found.gradients < NEAR_ZERO).mean() > SHARE),
        BLACK_BOX: _more_harm(found.without, found.many_steps),
        UNBOUNDED: float(found.unbounded.mean()) > SLACK,
        SINGLE_STEP: _more_harm(found.one_step, found.many_steps),
        RANDOM: not found.repeats,
    }


def _more_harm(first: Bools, second: Bools) -> bool:
    """Whether the first attack leaves fewer rows right than the second, beyond chance."""
    pairs = Pairs.of(second, first)
    return pairs.difference > SLACK and mcnemar_mid_p(pairs) < LEVEL
