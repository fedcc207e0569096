"""How far a written answer is the wanted one: exact match, F1 of words, ROUGE, pass@k.

Words are split at spaces; characters of scripts without spaces (Chinese, Japanese kana) are words of their own. Exact
match and F1 normalise as SQuAD does (Rajpurkar et al. 2016: lower case, no punctuation, no English articles); ROUGE
(Lin 2004) as rouge_score does without stemming.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_ALONE = re.compile(f"([{UNSPACED}])")
_WORD = re.compile(r"[^\W_]+")
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalised(text: str) -> str:
    """Lower case, without punctuation and English articles, single spaces."""
    kept = "".join(letter for letter in text.lower() if not _is_punctuation(letter))
    return " ".join(_ARTICLES.sub(" ", kept).split())


def _is_punctuation(letter: str) -> bool:
    return letter in string.punctuation or unicodedata.category(letter).startswith("P")


def words(text: str) -> list[str]:
    """Words of a normalised text; characters of scripts without spaces alone."""
    return _ALONE.sub(r" \1 ", text).split()


def exact_match(said: str, wanted: str) -> bool:
    return normalised(said) == normalised(wanted)


def token_f1(said: str, wanted: str) -> float:
    """F1 of shared words; with one side empty 1 if both are, else 0."""
    one, two = words(normalised(said)), words(normalised(wanted))
    if not one or not two:
        return float(one == two)
    return _f1((Counter(one) & Counter(two)).total(), len(one), len(two))


def rouge(said: str, wanted: str) -> tuple[float, float, float]:
    """F-measures of ROUGE-1, ROUGE-2 and ROUGE-L; 0 where one side has no such n-gram."""
    one, two = ([part for word in _WORD.findall(text.lower()) for part in words(word)] for text in (said, wanted))
    return _rouge_n(one, two, 1), _rouge_n(one, two, 2), _f1(common_subsequence(one, two), len(one), len(two))


def _rouge_n(one: Sequence[str], two: Sequence[str], n: int) -> float:
    first, second = (Counter(zip(*(side[start:] for start in range(n)), strict=False)) for side in (one, two))
    return _f1((first & second).total(), first.total(), second.total())


def _f1(shared: int, one: int, two: int) -> float:
    if not shared:
        return 0.0
    precision, recall = shared / one, shared / two
    return 2 * precision * recall / (precision + recall)


def common_subsequence(one: Sequence[str], two: Sequence[str]) -> int:
    """Length of the longest common subsequence, bits in parallel (Hyyrö 2004): O(n) operations on m-bit numbers."""
    places: dict[str, int] = {}
    for place, word in enumerate(one):
        places[word] = places.get(word, 0) | (1 << place)
    full = (1 << len(one)) - 1
    row = full
    for word in two:
        matched = row & places.get(word, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(one) - row.bit_count()


def pass_at_k(num_drawn: int, num_right: int, k: int) -> float:
    """Chance that at least one of k answers out of those drawn is right: 1 - C(n - c, k) / C(n, k) (Chen et al. 2021).

    Raises ValueError if fewer than k were drawn.
    """
    if not 0 < k <= num_drawn:
        raise ValueError(f"k must be 1 … {num_drawn}")
    if num_drawn - num_right < k:
        return 1.0
    places = np.arange(num_drawn - num_right + 1, num_drawn + 1)
    return float(1 - np.prod(1 - k / places))


def is_unspaced(texts: Sequence[str]) -> bool:
    """Whether most letters are of a script without spaces."""
    letters = [letter for text in texts for letter in text if letter.isalpha()]
    return 2 * sum(bool(_ALONE.match(letter)) for letter in letters) > len(letters)
