"""Signs that gradients are masked, so that an attack's failure says nothing about the model.

Athalye, Carlini and Wagner 2018 ("Obfuscated gradients give a false sense of security") and the flags of AutoAttack
(Croce and Hein 2020): where one of these shows, the accuracy under attack is not to be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEAR_ZERO = 1e-10
SHARE = 0.1
SLACK = 0.01
"""Differences of accuracy up to this are chance."""

ZERO_GRADIENT = "the gradient is nearly zero at many rows"
BLACK_BOX = "random noise of the same size does more harm than the gradient"
UNBOUNDED = "an attack without bounds leaves rows right"
SINGLE_STEP = "one step does more harm than many"


@dataclass(frozen=True)
class Evidence:
    """Accuracies of the same rows under attacks of one norm and radius, and gradients.

    Attributes:
        gradients: [n] largest number of the gradient at each row that is right.
        one_step, many_steps: accuracy under FGSM and PGD.
        noise: the least accuracy under random points of the ball.
        unbounded: accuracy under PGD with a radius that leaves nothing of the row.
    """

    gradients: Floats
    one_step: float
    many_steps: float
    noise: float
    unbounded: float


def flags(found: Evidence) -> Mapping[str, bool]:
    """Each sign, and whether it shows."""
    return {
        ZERO_GRADIENT: bool(found.gradients.size and (found.gradients < NEAR_ZERO).mean() > SHARE),
        BLACK_BOX: found.noise < found.many_steps - SLACK,
        UNBOUNDED: found.unbounded > SLACK,
        SINGLE_STEP: found.one_step < found.many_steps - SLACK,
    }
