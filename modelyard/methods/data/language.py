"""Which language a text is in: by its script where that says it, else by a model of letter sequences.

Han characters are Chinese, with a good part of Kana Japanese, Hangul is Korean, and so on: a text of two characters is
enough. Texts in scripts that many languages share (Latin, Cyrillic, Arabic, Devanagari) go to py3langid, a naive Bayes
model over byte sequences (Lui and Baldwin 2012, langid.py). Below a confidence they are undecided.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

UNDECIDED = ""
MIN_KANA = 0.25  # of Han and Kana: below it Chinese that quotes a Japanese name or title
MOST_CHARACTERS = 2_000  # enough for the model; it takes time in proportion

# Scripts of one language, counted by character or by word as they are written.
_CHARACTERS = {
    "zh": re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]"),
    "ja": re.compile("[\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fd-\u30ff\uff66-\uff9f]"),
}
_WORDS = {
    "ko": re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]+"),
    "th": re.compile("[\u0e01-\u0e5b]+"),
    "el": re.compile("[\u0370-\u03ff\u1f00-\u1fff]+"),
    "hy": re.compile("[\u0530-\u058f]+"),
    "ka": re.compile("[\u10a0-\u10ff]+"),
}
_SHARED = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Detector:
    """Language of a text.

    Attributes:
        candidates: languages that may occur, or none to allow all the model knows; fewer make short texts surer.
        confidence: of the model; below it a text is undecided.
    """

    candidates: tuple[str, ...] = ()
    confidence: float = 0.7

    def __call__(self, text: str) -> str:
        """ISO 639 code, or UNDECIDED."""
        by_script = main_language(text)
        if by_script is None:
            code, confidence = _model(self.candidates)(text[:MOST_CHARACTERS])
            return code if confidence >= self.confidence else UNDECIDED
        return by_script


def main_language(text: str) -> str | None:
    """The language that the script of most of a text says, UNDECIDED if there are no letters, None if a script that
    several languages share prevails. A Han or Kana character counts as much as a word of letters."""
    if text.isascii():
        return None if _SHARED.search(text) else UNDECIDED
    han, kana = (len(pattern.findall(text)) for pattern in _CHARACTERS.values())
    counts = {"ja" if kana > MIN_KANA * (han + kana) else "zh": han + kana}
    counts |= {code: len(pattern.findall(text)) for code, pattern in _WORDS.items()}
    rest = text
    for pattern in (*_CHARACTERS.values(), *_WORDS.values()):
        rest = pattern.sub(" ", rest)
    shared = len(_SHARED.findall(rest))
    best = max(counts, key=counts.__getitem__)
    if not counts[best] and not shared:
        return UNDECIDED
    return best if counts[best] >= shared else None


def known_languages() -> frozenset[str]:
    """Codes that can come out."""
    return frozenset(_identifier(()).labels) | set(_CHARACTERS) | set(_WORDS)


@cache
def _model(candidates: tuple[str, ...]) -> Callable[[str], tuple[str, float]]:
    identifier = _identifier(candidates)

    def classify(text: str) -> tuple[str, float]:
        code, confidence = identifier.classify(text)
        return str(code), float(confidence)

    return classify


@cache
def _identifier(candidates: Sequence[str]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    if candidates:
        identifier.set_languages(list(candidates))
    return identifier
