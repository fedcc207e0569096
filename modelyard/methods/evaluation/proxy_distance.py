"""How far the texts of one data set lie from another's: the proxy A-distance.

Ben-David et al. 2007, "Analysis of Representations for Domain Adaptation": 2 (1 - 2 e), where e is the error of a
linear classifier that tells rows of one set from rows of the other. 0: it cannot; 2: it always can. A model that
learns from a near source can err little more on the target. Labels are not looked at: equal texts that are labelled
otherwise are near.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.statistics.wilson import wilson

FOLDS = 5
LEAST = 20
FEATURES = 2**16


@dataclass(frozen=True)
class Distance:
    """Between two sets of texts.

    Attributes:
        value: 0 to 2; an error above one half, which is chance, counts as one half.
        interval: 95 %, from Wilson's of the error over all folds. Folds share training rows, so it is a little narrow.
        error: share of held out rows given to the wrong set.
        rows: distinct texts of both sets together.
    """

    value: float
    interval: tuple[float, float]
    error: float
    rows: int


def proxy_a_distance(source: Sequence[str], target: Sequence[str]) -> Distance:
    """Distance of two sets, of each as many distinct texts as the smaller has, the first ones.

    A text lies in one fold, on whichever side it stands: what both sets hold cannot be told apart, rather than be told
    wrongly, and what one holds twice cannot be known by heart.

    Raises:
        InputError: a set has fewer than 20 distinct texts.
    """
    sides = [list(dict.fromkeys(texts)) for texts in (source, target)]
    count = min(map(len, sides))
    if count < LEAST:
        raise InputError(t("{n} distinct texts", n=count), expected=t("at least {n} to tell data sets apart", n=LEAST))
    texts = sides[0][:count] + sides[1][:count]
    wrong = _wrong(texts, np.repeat([0, 1], count))
    low, high = (_distance(rate) for rate in reversed(wilson(wrong, len(texts))))
    return Distance(_distance(wrong / len(texts)), (low, high), wrong / len(texts), len(texts))


def _distance(error: float) -> float:
    return max(0.0, 2 * (1 - 2 * error))


def _wrong(texts: Sequence[str], side: NDArray[np.int64]) -> int:
    """Rows given to the wrong side by a classifier that did not see their fold."""
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    counts = HashingVectorizer(
        analyzer="char_wb", ngram_range=(1, 3), n_features=FEATURES, alternate_sign=False, norm=None
    ).transform(texts)
    fold = _folds(texts)
    wrong = 0
    for held in range(FOLDS):
        inside = fold == held
        # A side that is short in the fold is long in the rest: without equal weights its rows would be given away.
        model = make_pipeline(
            TfidfTransformer(sublinear_tf=True), LogisticRegression(C=10.0, class_weight="balanced", max_iter=300)
        ).fit(counts[~inside], side[~inside])
        wrong += int((model.predict(counts[inside]) != side[inside]).sum())
    return wrong


def _folds(texts: Sequence[str]) -> NDArray[np.int64]:
    """Fold of each text; equal texts share one, and folds differ by one text in size."""
    distinct = sorted(set(texts), key=lambda text: hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    place = {text: position % FOLDS for position, text in enumerate(distinct)}
    return np.array([place[text] for text in texts], np.int64)
