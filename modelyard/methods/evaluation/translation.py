"""BLEU and chrF of a whole corpus through sacrebleu, with intervals over documents.

Both are smooth functions of sums over documents (matches, n-grams, lengths), so their variance is that of the
linearised function (delta method), on the logit scale. BLEU: Papineni et al. 2002; chrF2: Popović 2015.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from modelyard.methods.evaluation.intervals import Interval, on_logit_scale
from modelyard.methods.evaluation.overlap import is_unspaced

Floats = NDArray[np.float64]
LEAST = 20
"""Fewer documents give no interval."""
CHAR_ORDER, BETA2 = 6, 4.0
STEP = 1e-4


def bleu(said: Sequence[str], wanted: Sequence[str]) -> tuple[float, Interval | None]:
    """0 to 100, words by sacrebleu's `13a`, or `zh` where the wanted texts are Chinese. No interval without a shared
    run of four words."""
    from sacrebleu.metrics import BLEU

    tokenize = "zh" if is_unspaced(wanted) else "13a"
    value = float(BLEU(tokenize=tokenize, force=True).corpus_score(list(said), [list(wanted)]).score)
    one = BLEU(tokenize=tokenize, force=True, effective_order=True)
    scores = [one.sentence_score(a, [b]) for a, b in zip(said, wanted, strict=True)]
    parts = np.array([[*s.counts, *s.totals, s.sys_len, s.ref_len] for s in scores], dtype=np.float64)
    return value, _interval(parts, bleu_of) if (parts.sum(axis=0)[:4] > 0).all() else None


def bleu_of(sums: Floats) -> float:
    """Share (0 to 1) from summed matches [4], n-grams [4], length and length wanted; all above 0."""
    brevity = min(0.0, 1 - sums[9] / sums[8])
    return math.exp(brevity + float(np.log(sums[:4] / sums[4:8]).mean()))


def chrf(said: Sequence[str], wanted: Sequence[str]) -> tuple[float, Interval | None]:
    """0 to 100: characters up to six, recall counted twice, spaces left out."""
    from sacrebleu.metrics import CHRF

    value = float(CHRF().corpus_score(list(said), [list(wanted)]).score)
    parts = np.array([chrf_parts(a, b) for a, b in zip(said, wanted, strict=True)], dtype=np.float64)
    return value, _interval(parts, chrf_of)


def chrf_parts(said: str, wanted: str) -> list[int]:
    """For each order: n-grams said, wanted, shared."""
    one, two = "".join(said.split()), "".join(wanted.split())
    found: list[int] = []
    for order in range(1, CHAR_ORDER + 1):
        first, second = (Counter(each[at : at + order] for at in range(len(each) - order + 1)) for each in (one, two))
        found += [first.total() if second else 0, second.total(), (first & second).total()]
    return found


def chrf_of(sums: Floats) -> float:
    """Share (0 to 1) from summed parts [18]."""
    said, wanted, shared = sums[0::3], sums[1::3], sums[2::3]
    there = (said > 0) & (wanted > 0)
    if not there.any():
        return 0.0
    precision, recall = float((shared[there] / said[there]).mean()), float((shared[there] / wanted[there]).mean())
    return (1 + BETA2) * precision * recall / (BETA2 * precision + recall) if precision + recall > 0 else 0.0


def _interval(parts: Floats, function: Callable[[Floats], float]) -> Interval | None:
    """Of 100 · function(sums) with documents [n, parts] independent. None for fewer than LEAST, or at 0 and 1."""
    n = len(parts)
    if n < LEAST:
        return None
    sums = parts.sum(axis=0)
    slopes = np.zeros(sums.size)
    for place in np.flatnonzero(sums):
        change = np.zeros(sums.size)
        change[place] = STEP * sums[place]
        slopes[place] = (function(sums + change) - function(sums - change)) / (2 * change[place])
    influences = (parts - parts.mean(axis=0)) @ slopes
    error = math.sqrt(float(influences @ influences) * n / (n - 1))
    ends = on_logit_scale(function(sums), error, float(student.ppf(0.975, n - 1)))
    return (100 * ends[0], 100 * ends[1]) if ends else None
