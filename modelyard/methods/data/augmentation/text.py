"""Texts with a few words changed: synonyms, swaps, deletions, insertions and slips of the pen.

The four operations on words are those of Wei & Zou 2019 ("EDA: Easy Data Augmentation"), each at its own share of the
words; noise is what fingers do: Chinese homophones and similar glyphs, English neighbouring keys, doubled, dropped and
swapped letters. Words that negate, numbers, addresses and links are never touched. All draws come from the generator
given, so that a row's copy is the same whatever else is augmented.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from modelyard.methods.data.augmentation.lexicon import (
    KEPT,
    Lexicon,
    built_in,
    homophones,
    neighbouring_keys,
    similar_glyphs,
)

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
TOKEN = re.compile(rf"(?P<han>[{HAN}])|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)|(?P<rest>\s+|.)", re.DOTALL)
UNBROKEN, ADDRESS = re.compile(r"\S*"), re.compile(r"https?://\S")
HAN_START = re.compile(f"[{HAN}]")
HAN_NUMBER = re.compile(rf"[^{HAN}\s]*\d[^{HAN}\s]*")
Draw = np.random.Generator


@dataclass(frozen=True)
class TextChanges:
    """Shares of a text's words (Chinese: characters, or words of the lexicon) that each operation changes.

    Attributes:
        synonyms: replaced by a word of the same group.
        swap: exchanged with the next one.
        delete: left out; the last word stays.
        insert: a synonym of it put beside another word.
        noise: misspelt.
    """

    synonyms: float = 0.1
    swap: float = 0.0
    delete: float = 0.0
    insert: float = 0.0
    noise: float = 0.0


@dataclass
class _Token:
    """A piece of text and what was put before it. Only `free` ones may be changed: no white space, no punctuation."""

    text: str
    free: bool
    inserted: str = ""


def change_text(text: str, changes: TextChanges, draw: Draw, lexicon: Lexicon | None = None) -> str:
    """A changed copy of `text`; the same text if nothing in it may be changed.

    Args:
        draw: where all randomness comes from.
        lexicon: of synonyms; the built-in one if None.
    """
    words = lexicon or built_in()
    tokens = _tokens(text, words)

    def has_synonym(token: _Token) -> bool:
        return token.text.lower() in words.synonyms

    for share, operation, able in (
        (changes.synonyms, lambda items, place, rng: _replace(items, place, rng, words), has_synonym),
        (changes.insert, lambda items, place, rng: _insert(items, place, rng, words), has_synonym),
        (changes.swap, _swap, None),
        (changes.delete, _delete, None),
        (changes.noise, _misspell, None),
    ):
        if share:
            _apply(tokens, share, operation, draw, able)
    changed = "".join(token.inserted + token.text for token in tokens)
    return changed if changed.strip() else text


def change_words(
    text: str,
    share: float,
    change: Callable[[str, Draw], str],
    draw: Draw,
    able: Callable[[str], bool] | None = None,
    lexicon: Lexicon | None = None,
) -> str:
    """`text` with a share of its words (Chinese: words of the lexicon, or characters) changed by a function of each.

    At least one word is changed if any may be: words that negate, numbers, addresses and links stay.

    Args:
        able: which words the change can do something to; None: all.
    """
    tokens = _tokens(text, lexicon or built_in())
    free = sum(token.free for token in tokens)
    if not free:
        return text

    def operation(items: list[_Token], place: int, rng: Draw) -> None:
        items[place].text = change(items[place].text, rng)

    _apply(tokens, max(share, 1 / free), operation, draw, (lambda token: able(token.text)) if able else None)
    return "".join(token.text for token in tokens)


def replaceable(text: str, lexicon: Lexicon) -> list[tuple[str, str, str]]:
    """(what stands before, the word, what stands behind) for each word that the lexicon has synonyms for."""
    tokens = _tokens(text, lexicon)
    found, place = [], 0
    for token in tokens:
        end = place + len(token.text)
        if token.free and token.text.lower() in lexicon.synonyms:
            found.append((text[:place], token.text, text[end:]))
        place = end
    return found


def _tokens(text: str, lexicon: Lexicon) -> list[_Token]:
    """Words, Chinese words of the lexicon or else single characters, and what lies between."""
    tokens: list[_Token] = []
    place, unbroken = 0, _Unbroken.of(text, 0)
    while place < len(text):
        if place >= unbroken.end:
            unbroken = _Unbroken.of(text, place)
        piece, kind = _kept(text, place, unbroken) if unbroken.is_kept(text, place) else _plain(text, place)
        if kind == "han" and HAN_START.match(piece):
            piece = _longest(text, place, lexicon)
        tokens.append(_Token(piece, kind in ("han", "word") and not _negates(piece)))
        place += len(piece)
    return tokens


@dataclass(frozen=True)
class _Unbroken:
    """Characters without white space up to `end`, and the last place in them of what decides (-1: none).

    Found once: to look ahead anew at each character takes hours for a Chinese text of 100,000.

    Attributes:
        inner: of an `@` that something follows.
    """

    end: int
    at: int
    inner: int
    colon: int
    digit: int
    wide: int

    @classmethod
    def of(cls, text: str, start: int) -> _Unbroken:
        found = UNBROKEN.match(text, start)
        end = found.end() if found else start
        backwards = range(end - 1, start - 1, -1)
        return cls(
            end,
            text.rfind("@", start, end),
            text.rfind("@", start, max(start, end - 1)),
            text.rfind("://", start, end),
            next((place for place in backwards if text[place].isdecimal()), -1),
            next((place for place in backwards if not text[place].isascii()), -1),
        )

    def is_kept(self, text: str, place: int) -> bool:
        """Whether from here on it is an address or has a digit."""
        return self.inner > place or self.digit >= place or ADDRESS.match(text, place) is not None


def _plain(text: str, place: int) -> tuple[str, str]:
    match = TOKEN.match(text, place)
    assert match is not None  # `.` takes whatever is left
    return match.group(), str(match.lastgroup)


def _kept(text: str, place: int, unbroken: _Unbroken) -> tuple[str, str]:
    if unbroken.wide >= place:
        if number := HAN_NUMBER.match(text, place):
            return number.group(), "kept"  # a number inside Chinese ends where Chinese begins
        if max(unbroken.at, unbroken.colon) < place:
            return text[place], "han"
    return text[place : unbroken.end], "kept"


def _longest(text: str, place: int, lexicon: Lexicon) -> str:
    for length in range(min(lexicon.longest, len(text) - place), 1, -1):
        piece = text[place : place + length]
        if piece in lexicon.synonyms:
            return piece
    return text[place]


def _negates(piece: str) -> bool:
    return piece.lower() in KEPT or (not piece.isascii() and piece[0] in KEPT)


def _apply(
    tokens: list[_Token],
    share: float,
    operation: Callable[[list[_Token], int, Draw], None],
    draw: Draw,
    able: Callable[[_Token], bool] | None,
) -> None:
    """Do it to so many tokens: the share's whole part of the free ones, and one more by chance for the rest."""
    free = [place for place, token in enumerate(tokens) if token.free]
    wanted = share * len(free)
    count = int(wanted) + (draw.random() < wanted - int(wanted))
    places = [place for place in free if able is None or able(tokens[place])]
    for place in sorted(draw.permutation(places)[:count].tolist(), reverse=True) if count and places else ():
        operation(tokens, place, draw)


def _pick(options: str | tuple[str, ...], draw: Draw) -> str:
    return options[int(draw.integers(len(options)))]


def _cased(word: str, like: str) -> str:
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word[:1].upper() + word[1:] if like[:1].isupper() else word


def _replace(tokens: list[_Token], place: int, draw: Draw, lexicon: Lexicon) -> None:
    word = tokens[place].text
    tokens[place].text = _cased(_pick(lexicon.synonyms[word.lower()], draw), word)


def _insert(tokens: list[_Token], place: int, draw: Draw, lexicon: Lexicon) -> None:
    word = _pick(lexicon.synonyms[tokens[place].text.lower()], draw)
    free = [token for token in tokens if token.free]
    beside = free[int(draw.integers(len(free)))]
    beside.inserted += word + (" " if word.isascii() else "")


def _swap(tokens: list[_Token], place: int, draw: Draw) -> None:
    later = place + 1 + (place + 1 < len(tokens) and tokens[place + 1].text.isspace())
    if later < len(tokens) and tokens[later].free:
        tokens[place].text, tokens[later].text = tokens[later].text, tokens[place].text


def _delete(tokens: list[_Token], place: int, draw: Draw) -> None:
    if sum(1 for _ in islice((token for token in tokens if token.free), 2)) < 2:
        return
    del tokens[place]
    if place < len(tokens) and tokens[place].text == " " and (not place or tokens[place - 1].text == " "):
        del tokens[place]


def _misspell(tokens: list[_Token], place: int, draw: Draw) -> None:
    word = tokens[place].text
    at = int(draw.integers(len(word)))
    tokens[place].text = _slip_of_keys(word, at, draw) if word.isascii() else _slip_of_pen(word, at, draw)


def _slip_of_pen(word: str, at: int, draw: Draw) -> str:
    """A homophone or a similar glyph of one character."""
    tables = (homophones(), similar_glyphs()) if draw.random() < 0.5 else (similar_glyphs(), homophones())
    options = tables[0].get(word[at]) or tables[1].get(word[at])
    return word[:at] + _pick(options, draw) + word[at + 1 :] if options else word


def _slip_of_keys(word: str, at: int, draw: Draw) -> str:
    """A neighbouring key, a doubled, a dropped, or two swapped letters; short words only get neighbours."""
    kind = int(draw.integers(4)) if len(word) > 3 else 0
    letter = word[at]
    if kind == 0:
        near = neighbouring_keys().get(letter.lower())
        return word[:at] + _cased(_pick(near, draw), letter) + word[at + 1 :] if near else word
    if kind == 1:
        return word[:at] + letter + word[at:]
    if kind == 2:
        return word[:at] + word[at + 1 :]
    at = min(at, len(word) - 2)
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
