"""Texts as people and systems garble them, in Chinese and English, and two checks of meaning.

Slips of keys and pens, synonyms, order, case, punctuation, width and trailing noise leave the right answer what it is,
so accuracy is measured under them (the families of TextFlint, Wang et al. 2021, and of CheckList, Ribeiro et al. 2020).
A swapped entity and a negation are checks of what the model says, not of whether it is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from modelyard.methods.data.augmentation.lexicon import (
    Lexicon,
    built_in,
    homophones,
    neighbouring_keys,
    similar_glyphs,
)
from modelyard.methods.data.augmentation.text import HAN, TextChanges, change_text, change_words
from modelyard.methods.evaluation.robustness.meaning import negated, swapped_entities
from modelyard.methods.evaluation.robustness.perturbation import Draw, Perturbation, on_field

SHARES = (0.05, 0.15, 0.3)
"""Of the words, by severity; at least one word."""
HAN_ONE = re.compile(f"[{HAN}]")
MARKS = {"zh": "，。！？、；：“”‘’（）《》…—", "en": ",.!?;:\"'()-"}
NOISE = {
    "zh": ("（来自手机客户端）", " #日常分享#", " @小助手_2021", " 转发微博", " ……", " 【图片】", "～～～"),
    "en": (" (sent from my phone)", " #daily", " @helper_2021", " FWD:", " ......", " [image]", " ~~~"),
}
TO_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)} | {0x20: 0x3000}
TO_NARROW = {wide: narrow for narrow, wide in TO_WIDE.items()}
TextChange = Callable[[str, Draw], str]


def perturbations(
    lexicon: Lexicon | None = None, entities: Sequence[tuple[str, ...]] | None = None
) -> list[Perturbation]:
    """All of them, in a fixed order.

    Args:
        lexicon: of synonyms; the built-in one if None.
        entities: groups of names that may stand for each other; the built-in ones if None.
    """
    words = lexicon or built_in()
    by_share: dict[str, Callable[[str, float, Draw], str]] = {
        "typos": typos,
        "homophones": lambda text, share, draw: _replaced(text, share, draw, homophones()),
        "similar_glyphs": lambda text, share, draw: _replaced(text, share, draw, similar_glyphs()),
        "synonyms": lambda text, share, draw: synonyms(text, share, draw, words),
        "word_order": word_order,
    }
    whole: dict[str, TextChange] = {
        "lower_case": lambda text, draw: text.lower(),
        "upper_case": lambda text, draw: text.upper(),
        "punctuation_dropped": lambda text, draw: without_marks(text),
        "punctuation_added": more_marks,
        "width": lambda text, draw: other_width(text),
        "appended_noise": appended,
    }
    found = [
        Perturbation(kind, severity, on_field("text", _at(change, share)))
        for kind, change in by_share.items()
        for severity, share in enumerate(SHARES, start=1)
    ]
    found += [Perturbation(kind, 1, on_field("text", change)) for kind, change in whole.items()]
    found.append(Perturbation("entities", 1, on_field("text", lambda t, d: swapped_entities(t, d, entities)), "same"))
    found.append(Perturbation("negation", 1, on_field("text", lambda t, d: negated(t)), "falls"))
    return found


def _at(change: Callable[[str, float, Draw], str], share: float) -> TextChange:
    return lambda text, draw: change(text, share, draw)


def typos(text: str, share: float, draw: Draw) -> str:
    """Words with a letter's neighbour on the keyboard, a letter dropped, or two swapped; characters dropped or swapped
    in Chinese, which has no letters."""
    has_words = re.search(r"[A-Za-z]{2}", text) is not None
    if has_words:
        text = change_words(text, share, _slip, draw, lambda word: len(word) > 1 and word.isascii())
    if not HAN_ONE.search(text):
        return text
    if draw.random() < 0.5:
        return change_text(text, TextChanges(synonyms=0, delete=_least(text, share)), draw)
    return change_text(text, TextChanges(synonyms=0, swap=_least(text, share)), draw)


def _least(text: str, share: float) -> float:
    """A share of the words that is at least one word: no text has more words than characters."""
    return max(share, min(1.0, 1.01 / max(1, len(HAN_ONE.findall(text)))))


def _slip(word: str, draw: Draw) -> str:
    kind, at = int(draw.integers(3)), int(draw.integers(len(word)))
    letter = word[at]
    if kind == 0 and (near := neighbouring_keys().get(letter.lower())):
        key = near[int(draw.integers(len(near)))]
        return word[:at] + (key.upper() if letter.isupper() else key) + word[at + 1 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    at = min(at, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _replaced(text: str, share: float, draw: Draw, table: Mapping[str, str]) -> str:
    """Characters replaced by one of those that the table has for them."""

    def change(word: str, rng: Draw) -> str:
        places = [at for at, character in enumerate(word) if character in table]
        at = places[int(rng.integers(len(places)))]
        options = table[word[at]]
        return word[:at] + options[int(rng.integers(len(options)))] + word[at + 1 :]

    return change_words(text, share, change, draw, lambda word: any(c in table for c in word))


def synonyms(text: str, share: float, draw: Draw, lexicon: Lexicon) -> str:
    """Words replaced by one of their group; the case of the first letter stays."""

    def change(word: str, rng: Draw) -> str:
        options = lexicon.synonyms[word.lower()]
        other = options[int(rng.integers(len(options)))]
        return other[:1].upper() + other[1:] if word[:1].isupper() else other

    return change_words(text, share, change, draw, lambda word: word.lower() in lexicon.synonyms, lexicon)


def word_order(text: str, share: float, draw: Draw) -> str:
    """Words (Chinese: lexicon words or characters) exchanged with the next one; at least one pair."""
    num_words = len(re.findall(rf"[{HAN}]|[^\W\d_{HAN}]+", text))
    return change_text(text, TextChanges(synonyms=0, swap=max(share, min(1.0, 1.01 / max(1, num_words)))), draw)


def without_marks(text: str) -> str:
    """Without punctuation: a space where it stood between letters of words."""
    gone = re.sub(f"[{re.escape(MARKS['zh'])}]", "", text)
    return re.sub(r"(?<!\d)[,.!?;:\"()\-]+(?!\d)", " ", gone).strip() or text


def more_marks(text: str, draw: Draw) -> str:
    """Marks repeated where they stand, and one at the end."""
    chinese = HAN_ONE.search(text) is not None
    end = (
        ("！！！", "。。。", "～～")[int(draw.integers(3))] if chinese else ("!!!", "...", " ??")[int(draw.integers(3))]
    )
    return re.sub(r"([,.!?，。！？])(?!\d)", r"\1\1", text) + end


def other_width(text: str) -> str:
    """Half-width characters in full width; a text without any has its full-width ones in half width (JIS X 0208)."""
    if re.search(r"[!-~]", text):
        return text.translate(TO_WIDE)
    return text.translate(TO_NARROW)


def appended(text: str, draw: Draw) -> str:
    """Words of an app behind the text, which say nothing about it."""
    options = NOISE["zh" if HAN_ONE.search(text) else "en"]
    return text + options[int(draw.integers(len(options)))]
