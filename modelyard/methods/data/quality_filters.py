"""Rules that tell texts worth learning from, by counts alone: nothing is learned from the data.

Sources: Gopher (Rae et al. 2021, "Scaling Language Models", section A1.1 and table A1) for word counts, symbols, stop
words and repetition; C4 (Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.2) for sentences,
`lorem ipsum`, braces and boilerplate lines; FineWeb (Penedo et al. 2024) for line ends.

A word is a run of letters and digits; in scripts written without spaces each character is one. Gopher's n-grams are of
words; where most words are single characters they are twice as long here, as a Chinese word has about two characters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(
    "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"
    "|(?:(?![\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af])[^\\W_])+(?:['’\\-][^\\W_]+)*"
)
_RUN = re.compile(r"(.)\1{3,}", re.DOTALL)
_URL = re.compile(r"(?:https?://|www\.)[\x21-\x7e]+", re.IGNORECASE)
_BULLETS = ("-", "*", "•", "●", "‣", "·", "◦", "▪", "–")
_ELLIPSES = ("...", "…")
_ENDS = (".", "!", "?", '"', "”", "'", "’", "。", "！", "？", "…", "；", "」", "』", "）", ")")
_SENTENCE = re.compile(r"[.!?。！？]+(?:\s|$|[”’\"'」』）)])|[。！？]")
STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
_BOILERPLATE = re.compile(
    r"lorem ipsum|terms of (?:use|service)|privacy policy|cookie policy|uses? (?:of )?cookies|all rights reserved|"
    r"enable javascript|javascript (?:is )?disabled|版权所有|未经(?:授权|许可|允许).{0,6}(?:转载|复制)|"
    r"点击(?:查看|阅读)(?:更多|全文)|(?:隐私|用户)(?:政策|协议)|请(?:启用|开启)\s*javascript",
    re.IGNORECASE,
)
TOP_GRAMS = {2: 0.20, 3: 0.18, 4: 0.16}
REPEATED_GRAMS = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}
"""Gopher, table A1: largest share of characters in the commonest n-gram, and in n-grams that occur again."""
SINGLE_SHARE = 0.5


@dataclass(frozen=True)
class Measured:
    """A text and what the rules count of it, each when first asked for."""

    text: str

    @cached_property
    def words(self) -> list[str]:
        return _WORD.findall(self.text)

    @cached_property
    def lines(self) -> list[str]:
        """Lines that are not blank."""
        return [line.strip() for line in self.text.splitlines() if line.strip()]

    @cached_property
    def paragraphs(self) -> list[str]:
        return [part.strip() for part in re.split(r"\n\s*\n", self.text) if part.strip()]

    @cached_property
    def num_visible(self) -> int:
        """Characters that are not white space."""
        return len("".join(self.text.split()))

    def share(self, count: float, of: int | None = None) -> float:
        return count / max(1, self.num_visible if of is None else of)

    @cached_property
    def condensed(self) -> str:
        """Without white space, and of a run of one character only three: `好！！！！！！` is not made of signs."""
        return _RUN.sub(r"\1\1\1", "".join(self.text.split()))

    @cached_property
    def letters(self) -> float:
        return sum(map(str.isalpha, self.condensed)) / max(1, len(self.condensed))

    @cached_property
    def digits(self) -> float:
        return sum(map(str.isdecimal, self.condensed)) / max(1, len(self.condensed))

    @cached_property
    def grams(self) -> Grams:
        return Grams.of(self.words)


@dataclass(frozen=True)
class Grams:
    """The words of a text as numbers, for counting runs of them.

    Attributes:
        words: [words] numbers; `sizes` [words] characters of each; `factor`: words here for one of Gopher's.
    """

    words: NDArray[np.int64]
    sizes: NDArray[np.int64]
    factor: int

    @classmethod
    def of(cls, words: list[str]) -> Grams:
        known: dict[str, int] = {}
        numbers = np.array([known.setdefault(word.casefold(), len(known)) for word in words], dtype=np.int64)
        sizes = np.array([len(word) for word in words], dtype=np.int64)
        single = sum(len(word) == 1 and not word.isascii() for word in words)
        return cls(numbers, sizes, 2 if single > SINGLE_SHARE * len(words) else 1)

    def runs(self, length: int) -> NDArray[np.int64]:
        """Number of the run of `length` words at each place; equal runs have equal numbers."""
        found = self.words
        done = 1
        while done < length:  # doubling: runs of 2, 4, 8, … and the rest by overlap
            step = min(done, length - done)
            pairs = found[:-step] * (len(self.words) + 1) + found[step:]
            found = np.unique(pairs, return_inverse=True)[1]
            done += step
        return found

    def top(self, n: int) -> float:
        """Share of the characters in the commonest n-gram, 0 if none occurs twice."""
        length = n * self.factor
        if len(self.words) < 2 * length:
            return 0.0
        runs = self.runs(length)
        counts = np.bincount(runs)
        most = counts.max()
        if most < 2:
            return 0.0
        span = np.cumsum(np.append(0, self.sizes))
        sizes = span[length:] - span[:-length]
        best = max(int(sizes[np.flatnonzero(runs == run)[0]]) for run in np.flatnonzero(counts == most)[:100])
        return min(1.0, best * int(most) / int(self.sizes.sum()))

    def repeated(self, n: int) -> float:
        """Share of the characters in n-grams that occur more than once, each character counted once."""
        length = n * self.factor
        if len(self.words) <= length:
            return 0.0
        runs = self.runs(length)
        again = np.flatnonzero(np.bincount(runs)[runs] > 1)
        edges = np.zeros(len(self.words) + 1, dtype=np.int64)
        np.add.at(edges, again, 1)
        np.add.at(edges, again + length, -1)
        covered = np.cumsum(edges)[:-1] > 0
        return float(self.sizes[covered].sum() / self.sizes.sum())


Rule = Callable[[Measured, float], str | None]
"""What a person reads if a text does not keep to the limit, else None."""


def _low(count: Callable[[Measured], float], name: str) -> Rule:
    def rule(text: Measured, limit: float) -> str | None:
        found = count(text)
        return f"{_shown(found)} {name}, at least {_shown(limit)} wanted" if found < limit else None

    return rule


def _high(count: Callable[[Measured], float], name: str) -> Rule:
    def rule(text: Measured, limit: float) -> str | None:
        found = count(text)
        return f"{_shown(found)} {name}, at most {_shown(limit)} wanted" if found > limit else None

    return rule


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.3g}"


def _again(parts: list[str], by_characters: bool) -> float:
    """Share of the parts, or of their characters, that repeat an earlier part."""
    counts = Counter(parts)
    if by_characters:
        again = sum(len(part) * (count - 1) for part, count in counts.items())
        return again / max(1, sum(map(len, parts)))
    return (len(parts) - len(counts)) / max(1, len(parts))


def _worst(limits: Mapping[int, float], share: Callable[[Grams, int], float]) -> Callable[[Measured], float]:
    """The largest ratio of a share to its own limit."""
    return lambda text: max(share(text.grams, n) / limit for n, limit in limits.items())


def _mean_word(text: Measured) -> float:
    return sum(map(len, text.words)) / max(1, len(text.words))


def _with_letter(text: Measured) -> float:
    tokens = text.text.split()
    return sum(any(map(str.isalpha, token)) for token in tokens) / max(1, len(tokens))


def _of_lines(wanted: Callable[[str], bool]) -> Callable[[Measured], float]:
    return lambda text: text.share(sum(map(wanted, text.lines)), len(text.lines))


def _num_stop_words(text: Measured) -> int:
    return len(STOP_WORDS & {word.casefold() for word in text.words})


def _sentences(text: Measured) -> int:
    return max(len(_SENTENCE.findall(text.text)), 1 if text.words else 0)


RULES: dict[str, Rule] = {
    "min_characters": _low(lambda text: len(text.text), "characters"),
    "max_characters": _high(lambda text: len(text.text), "characters"),
    "min_words": _low(lambda text: len(text.words), "words"),
    "max_words": _high(lambda text: len(text.words), "words"),
    "min_letter_share": _low(lambda text: text.letters, "of the characters are letters"),
    "max_digit_share": _high(lambda text: text.digits, "of the characters are digits"),
    "max_symbol_share": _high(
        lambda text: 1 - text.letters - text.digits if text.condensed else 0.0, "of the characters are signs"
    ),
    "max_url_share": _high(
        lambda text: text.share(sum(map(len, _URL.findall(text.text)))), "of the characters are in web addresses"
    ),
    "min_mean_word": _low(_mean_word, "characters in the mean word"),
    "max_mean_word": _high(_mean_word, "characters in the mean word"),
    "min_stop_words": _low(_num_stop_words, "common words"),
    "min_words_with_letter": _low(_with_letter, "of the words have a letter"),
    "max_hashes": _high(lambda text: text.share(text.text.count("#"), len(text.words)), "hash signs a word"),
    "max_ellipses": _high(
        lambda text: text.share(sum(map(text.text.count, _ELLIPSES)), len(text.words)), "ellipses a word"
    ),
    "max_bullet_lines": _high(_of_lines(lambda line: line.startswith(_BULLETS)), "of the lines begin with a bullet"),
    "max_ellipsis_lines": _high(_of_lines(lambda line: line.endswith(_ELLIPSES)), "of the lines end in an ellipsis"),
    "min_ended_lines": _low(_of_lines(lambda line: line.endswith(_ENDS)), "of the lines end as a sentence does"),
    "min_sentences": _low(_sentences, "sentences"),
    "max_boilerplate_lines": _high(
        _of_lines(lambda line: _BOILERPLATE.search(line) is not None), "of the lines are boilerplate"
    ),
    "max_braces": _high(lambda text: text.text.count("{"), "opening braces"),
    "max_repeated_lines": _high(lambda text: _again(text.lines, False), "of the lines repeat another"),
    "max_repeated_line_characters": _high(
        lambda text: _again(text.lines, True), "of the characters are in lines that repeat another"
    ),
    "max_repeated_paragraphs": _high(lambda text: _again(text.paragraphs, False), "of the paragraphs repeat another"),
    "max_repeated_paragraph_characters": _high(
        lambda text: _again(text.paragraphs, True), "of the characters are in paragraphs that repeat another"
    ),
    "max_top_grams": _high(_worst(TOP_GRAMS, Grams.top), "times what the commonest 2-, 3- or 4-gram may take"),
    "max_repeated_grams": _high(_worst(REPEATED_GRAMS, Grams.repeated), "times what repeated 5- to 10-grams may take"),
}
ENGLISH_ONLY = frozenset({"min_mean_word", "max_mean_word", "min_stop_words", "min_words_with_letter"})
"""Rules whose limits are those of English: only a text found to be English can fail them."""

PRESETS: dict[str, dict[str, float]] = {
    "none": {},
    "classification": {"min_characters": 2, "max_characters": 100_000, "min_letter_share": 0.2, "max_url_share": 0.7},
    "pretraining": {
        "min_words": 50,
        "max_words": 100_000,
        "min_mean_word": 3,
        "max_mean_word": 10,
        "min_stop_words": 2,
        "min_words_with_letter": 0.8,
        "max_hashes": 0.1,
        "max_ellipses": 0.1,
        "max_bullet_lines": 0.9,
        "max_ellipsis_lines": 0.3,
        "max_url_share": 0.3,
        "max_boilerplate_lines": 0.3,
        "max_repeated_lines": 0.3,
        "max_repeated_line_characters": 0.2,
        "max_repeated_paragraphs": 0.3,
        "max_repeated_paragraph_characters": 0.2,
        "max_top_grams": 1,
        "max_repeated_grams": 1,
    },
}


def failed(text: str, limits: Mapping[str, float], language: Callable[[str], str]) -> tuple[str, str] | None:
    """The first rule of `limits`, in the order of RULES, that a text does not keep to, and how; None if it keeps all.

    Args:
        language: says the language of a text (`language.Detector`), asked only where an English rule fails.
    """
    measured = Measured(text)
    for name, rule in RULES.items():
        how = rule(measured, limits[name]) if name in limits else None
        if how is not None and (name not in ENGLISH_ONLY or language(text) == "en"):
            return name, how
    return None
