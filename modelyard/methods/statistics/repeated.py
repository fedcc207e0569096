"""Intervals of means over runs that share training data."""

from __future__ import annotations

import math
from collections.abc import Sequence


def nadeau_bengio(values: Sequence[float], num_train: float, num_held_out: float) -> tuple[float, float] | None:
    """95 % interval of the mean of cross-validation scores, for folds that share most of their training rows.

    The variance of the mean is (1/k + n2/n1) s^2, with s^2 the sample variance of the k scores, n1 rows to train and n2
    rows held out in each fold; Student's t with k - 1 degrees of freedom. The plain s^2 / k would take folds for
    independent and is far too narrow. Source: Nadeau and Bengio 2003, "Inference for the generalization error", Machine
    Learning 52, 239-281, the corrected resampled t-test; they derive it for random resampling, and use for k folds is
    customary (Bouckaert and Frank 2004), not exact.

    Returns:
        Lower and upper end; None if the scores are fewer than two or all the same: then they say nothing of how much
        they would vary.
    """
    from scipy.stats import t

    k = len(values)
    if k < 2:
        return None
    mean = math.fsum(values) / k
    variance = math.fsum((value - mean) ** 2 for value in values) / (k - 1)
    if variance == 0:
        return None
    half = float(t.ppf(0.975, k - 1)) * math.sqrt((1 / k + num_held_out / num_train) * variance)
    return mean - half, mean + half
