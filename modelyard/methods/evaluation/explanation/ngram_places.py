"""Where a text's n-grams stand in it, so that what an n-gram says can be shown on its characters."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from modelyard.methods.evaluation.explanation.game import Floats
from modelyard.methods.preprocessing.ngrams import WORD, Family, Ngrams, normalise


class Places:
    """Finds the n-grams of a fitted vocabulary in texts."""

    def __init__(self, ngrams: Ngrams) -> None:
        self.ngrams = ngrams
        self.ids: list[dict[str, int]] = []
        start = 1
        for grams in ngrams.grams:
            self.ids.append(dict(zip(grams, range(start, start + len(grams)), strict=True)))
            start += len(grams)

    def spread(self, text: str, weights: dict[int, float]) -> Floats:
        """[characters] the weights of n-grams by id, each shared equally among its places and their characters."""
        origin = origins(text, self.ngrams.max_chars)
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        normal = normalise(text, self.ngrams.max_chars)
        for family, ids in zip(self.ngrams.families, self.ids, strict=True):
            for gram, start, end in occurrences(family, normal):
                if ids.get(gram) in weights:
                    places[ids[gram]].append((start, end))
        found = np.zeros(len(text))
        for key, spans in places.items():
            for start, end in spans:
                there = origin[max(start, 0) : min(end, len(origin))]
                if len(there):
                    np.add.at(found, there, weights[key] / len(spans) / len(there))
        return found


def occurrences(family: Family, normal: str) -> Iterator[tuple[str, int, int]]:
    """Each n-gram of a normalised text with its span; a word's ends (spaces) may lie outside the text."""
    if family.unit == "word":
        words = [(match.group(), *match.span()) for match in WORD.finditer(normal)]
        for size in range(family.low, family.high + 1):
            for place in range(len(words) - size + 1):
                taken = words[place : place + size]
                yield " ".join(word for word, _, _ in taken), taken[0][1], taken[-1][2]
        return
    pieces, start = [(normal, 0)], 0
    if family.unit == "inword":
        pieces = []
        for word in normal.split():
            start = normal.index(word, start)
            pieces.append((f" {word} ", start - 1))
            start += len(word)
    for piece, offset in pieces:
        for size in range(family.low, family.high + 1):
            for place in range(len(piece) - size + 1):
                yield piece[place : place + size], offset + place, offset + place + size


def origins(text: str, max_chars: int) -> np.ndarray:
    """[normalised characters] the place in the text each character of `normalise(text)` came from.

    Composition across characters (a letter and its accent) is not followed: such a text is stretched evenly.
    """
    made: list[tuple[str, int]] = []
    for place, letter in enumerate(text[:max_chars]):
        made += [(one, place) for one in unicodedata.normalize("NFKC", letter).lower()]
    kept: list[tuple[str, int]] = []
    for one, place in made:
        if not one.isspace():
            kept.append((one, place))
        elif kept and kept[-1][0] != " ":
            kept.append((" ", place))
    if kept and kept[-1][0] == " ":
        kept.pop()
    normal = normalise(text, max_chars)
    if "".join(one for one, _ in kept) == normal:
        return np.array([place for _, place in kept], np.int64)
    return np.linspace(0, max(len(text) - 1, 0), len(normal)).astype(np.int64)
