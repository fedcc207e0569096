"""`ngrams`: a text as weighted n-grams of characters and words (TF-IDF).

A weight is (1 + ln count) · idf, each family scaled to length 1 (Salton & Buckley 1988, "Term-weighting approaches in
automatic text retrieval"; smooth idf as in scikit-learn: ln((1 + rows) / (1 + rows with it)) + 1). The vocabulary is
learned from training rows alone. Id 0 is padding and always weighs 0.

Spec: `{"kind": "ngrams", "vocabulary": "ngrams.json", "idf": "ngrams.safetensors", "max_chars": 20000}`.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.preprocessing.scripts import unspaced_share
from modelyard.methods.preprocessing.trie import SEPARATOR, Trie

VOCABULARY, IDF = "ngrams.json", "ngrams.safetensors"
MAX_CHARS = 20_000
WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Family:
    """N-grams of one unit.

    Attributes:
        unit: `char` (any run of characters), `inword` (characters inside one word, its ends marked by a space) or
            `word` (words and single punctuation marks).
        low, high: shortest and longest n-gram, in units.
    """

    unit: str
    low: int
    high: int

    def grams(self, text: str) -> list[str]:
        """All n-grams of a normalised text, repetitions included."""
        if self.unit == "char":
            return _runs(text, self.low, self.high)
        if self.unit == "inword":
            return [gram for word in text.split() for gram in _runs(f" {word} ", self.low, self.high)]
        words = WORD.findall(text)
        return [
            " ".join(words[start : start + n])
            for n in range(self.low, self.high + 1)
            for start in range(len(words) - n + 1)
        ]

    def spread(self, text: str) -> str:
        """The text as its n-grams of characters see it: with a space on both sides of each word for `inword`, so
        that two of them stand between words, which no n-gram holds."""
        return " " + "  ".join(text.split()) + " " if self.unit == "inword" else text


def _runs(text: str, low: int, high: int) -> list[str]:
    return [text[start : start + n] for n in range(low, high + 1) for start in range(len(text) - n + 1)]


UNSPACED_FAMILIES = (Family("char", 1, 4),)
SPACED_FAMILIES = (Family("word", 1, 2), Family("inword", 2, 5))
MIXED_FAMILIES = (Family("word", 1, 2), Family("char", 1, 4))


def families_for(texts: Iterable[str]) -> tuple[Family, ...]:
    """Characters for scripts without spaces, words and what is inside them for the others, both for a mixture."""
    share = unspaced_share(texts)
    if share >= 0.5:
        return UNSPACED_FAMILIES
    return MIXED_FAMILIES if share >= 0.05 else SPACED_FAMILIES


def normalise(text: str, max_chars: int = MAX_CHARS) -> str:
    """NFKC, lower case, single spaces; at most the first `max_chars` characters count."""
    return " ".join(unicodedata.normalize("NFKC", text[:max_chars]).lower().replace(SEPARATOR, " ").split())


@dataclass(frozen=True)
class Ngrams:
    """A fitted vocabulary.

    Attributes:
        families: the kinds of n-grams, in the order of their ids.
        grams: for each family its n-grams; ids count on from 1.
        idf: [1 + total] float32; idf[0] is 0 (padding).
        max_chars: characters of a text that are read.
    """

    families: tuple[Family, ...]
    grams: tuple[tuple[str, ...], ...]
    idf: NDArray[np.float32]
    max_chars: int = MAX_CHARS

    input_names = ("ngram_ids", "ngram_weights")

    @property
    def num_features(self) -> int:
        """Rows a weight table needs: all n-grams and the padding row."""
        return len(self.idf)

    @cached_property
    def _finders(self) -> tuple[Trie | dict[str, int], ...]:
        """What finds each family's n-grams: a trie over characters, a table of words."""
        finders: list[Trie | dict[str, int]] = []
        start = 1
        for family, grams in zip(self.families, self.grams, strict=True):
            words = family.unit == "word"
            finders.append(
                dict(zip(grams, range(start, self.num_features), strict=False)) if words else Trie.of(grams, start)
            )
            start += len(grams)
        return tuple(finders)

    def sparse(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """The weights as triples.

        Returns:
            rows, ids, weights: one entry for each distinct known n-gram, sorted by row, then id.
        """
        normal = [normalise(text, self.max_chars) for text in texts]
        parts = []
        for family, finder in zip(self.families, self._finders, strict=True):
            if isinstance(finder, Trie):
                rows, ids = finder.find([family.spread(text) for text in normal])
            else:
                rows, ids = _look_up(finder, [family.grams(text) for text in normal])
            parts.append(self._weigh(rows, ids, len(texts)))
        keys = np.concatenate([key for key, _ in parts])
        weights = np.concatenate([weight for _, weight in parts])
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        return keys // self.num_features, keys % self.num_features, weights[order].astype(np.float32)

    def _weigh(
        self, rows: NDArray[np.int64], ids: NDArray[np.int64], num_rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Keys (row · size + id) and weights of one family; sums run over one row at a time, in id order."""
        keys, counts = np.unique(rows * self.num_features + ids, return_counts=True)
        weights = (1.0 + np.log(counts)) * self.idf[keys % self.num_features]
        row_of = keys // self.num_features
        norms = np.sqrt(np.bincount(row_of, weights * weights, minlength=num_rows))
        return keys, weights / (norms[row_of] * math.sqrt(len(self.families)))

    def encode(self, texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """`ngram_ids` [texts, longest] int64 and `ngram_weights` [texts, longest] float32, padded with 0."""
        rows, ids, weights = self.sparse(texts)
        return pad_rows(rows, ids, weights, len(texts))

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the vocabulary; returns the spec for `model.json`."""
        value = {
            "families": [
                {**vars(family), "ngrams": list(grams)} for family, grams in zip(self.families, self.grams, strict=True)
            ]
        }
        (folder / VOCABULARY).write_bytes(canonical_json(value) + b"\n")
        save_file({"idf": self.idf}, folder / IDF)
        return {"kind": "ngrams", "vocabulary": VOCABULARY, "idf": IDF, "max_chars": self.max_chars}


def _look_up(table: dict[str, int], grams: Sequence[Sequence[str]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and ids of the known n-grams of each text."""
    found = [[known for known in map(table.get, row) if known is not None] for row in grams]
    lengths = [len(row) for row in found]
    ids = np.fromiter((known for row in found for known in row), np.int64, sum(lengths))
    return np.repeat(np.arange(len(grams)), lengths), ids


def pad_rows(
    rows: NDArray[np.int64], ids: NDArray[np.int64], weights: NDArray[np.float32], num_rows: int
) -> dict[str, NDArray[Any]]:
    """Triples sorted by row as two padded tables [num_rows, longest row, at least 1]."""
    lengths = np.bincount(rows, minlength=num_rows) if num_rows else np.zeros(0, np.int64)
    longest = max(int(lengths.max(initial=0)), 1)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if num_rows else np.zeros(0, np.int64)
    columns = np.arange(len(rows)) - starts[rows]
    table_ids = np.zeros((num_rows, longest), np.int64)
    table_weights = np.zeros((num_rows, longest), np.float32)
    table_ids[rows, columns] = ids
    table_weights[rows, columns] = weights
    return {"ngram_ids": table_ids, "ngram_weights": table_weights}


def fit(
    texts: Sequence[str],
    families: Sequence[Family] | None = None,
    min_rows: int = 2,
    max_features: int = 300_000,
    max_chars: int = MAX_CHARS,
) -> Ngrams:
    """Learn the vocabulary and the idf from training texts.

    Args:
        families: None chooses by script.
        min_rows: an n-gram must be in at least that many texts; lowered to 1 if nothing would be left.
        max_features: the n-grams in most texts are kept; ties by code point.
    """
    chosen = tuple(families or families_for(texts))
    frequency: list[Counter[str]] = [Counter() for _ in chosen]
    for text in texts:
        text = normalise(text, max_chars)
        for counter, family in zip(frequency, chosen, strict=True):
            counter.update(set(family.grams(text)))
    share = max(1, max_features // len(chosen))
    kept = [_most_frequent(counter, min_rows, share) or _most_frequent(counter, 1, share) for counter in frequency]
    counts = np.array([count for pairs in kept for _, count in pairs], np.float64)
    idf = np.concatenate([[0.0], np.log((1 + len(texts)) / (1 + counts)) + 1]).astype(np.float32)
    return Ngrams(chosen, tuple(tuple(gram for gram, _ in pairs) for pairs in kept), idf, max_chars)


def _most_frequent(counter: Counter[str], min_rows: int, limit: int) -> list[tuple[str, int]]:
    pairs = [(gram, count) for gram, count in counter.items() if count >= min_rows]
    pairs.sort(key=lambda pair: (-pair[1], pair[0]))
    return sorted(pairs[:limit])


def load(folder: Path, spec: Mapping[str, Any]) -> Ngrams:
    """Raises InputError if a file is missing, unreadable or the two do not belong together."""
    vocabulary, idf_file = folder / spec["vocabulary"], folder / spec["idf"]
    try:
        value = json.loads(vocabulary.read_text(encoding="utf-8"))
        idf = load_file(idf_file)["idf"].astype(np.float32)
        families = tuple(Family(str(one["unit"]), int(one["low"]), int(one["high"])) for one in value["families"])
        grams = tuple(tuple(str(gram) for gram in one["ngrams"]) for one in value["families"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise InputError(t("the n-gram vocabulary cannot be read: {error}", error=error), where=str(folder)) from None
    if len(idf) != 1 + sum(map(len, grams)):
        raise InputError(
            t("{found} n-grams but {expected} weights", found=sum(map(len, grams)), expected=len(idf) - 1),
            where=str(folder),
            remedy=t("the files of the model do not belong together; make the model again"),
        )
    return Ngrams(families, grams, idf, int(spec.get("max_chars", MAX_CHARS)))
