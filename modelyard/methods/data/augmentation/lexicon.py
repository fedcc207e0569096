"""What may stand for what: synonyms, homophones, similar glyphs, neighbouring keys, and words that must stay.

Homophones are the characters of GB 2312 level 1 (3,755 in everyday use) with the same toneless reading; keys are a
QWERTY keyboard's. A synonyms file has one group a line, words separated by spaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from modelyard.base.messages import t
from modelyard.errors import InputError

FOLDER = Path(__file__).resolve().parent
KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
KEPT = frozenset(
    (
        *("no", "not", "never", "nor", "none", "nothing", "nobody", "neither", "without", "hardly"),
        *("cannot", "can't", "won't", "don't", "doesn't", "didn't", "isn't", "aren't", "wasn't", "weren't"),
        *("wouldn't", "shouldn't", "couldn't"),
        *("不", "没", "无", "非", "别", "勿", "未", "莫", "否", "毫", "反", "难"),
    )
)
"""Words that turn a text's meaning round: no operation touches them."""


@dataclass(frozen=True)
class Lexicon:
    """Replacements by word or character.

    Attributes:
        synonyms: lower-case word to words of its group, without itself.
        longest: characters of the longest Chinese word in it.
    """

    synonyms: Mapping[str, tuple[str, ...]]
    longest: int

    @classmethod
    def of(cls, groups: Iterable[tuple[str, ...]]) -> Lexicon:
        found: dict[str, list[str]] = {}
        for group in groups:
            for word in group:
                others = found.setdefault(word.lower(), [])
                others += [other for other in group if other != word and other not in others]
        longest = max((len(word) for word in found if not word.isascii()), default=1)
        return cls({word: tuple(others) for word, others in found.items()}, longest)


def read_groups(path: Path) -> list[tuple[str, ...]]:
    """Groups of a synonyms file. Raises InputError with the line that has fewer than two words."""
    groups = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(t("the synonyms cannot be read: {reason}", reason=error), where=path.name) from error
    for number, line in enumerate(lines, start=1):
        words = tuple(dict.fromkeys(line.split()))
        if not words or line.lstrip().startswith("#"):
            continue
        if len(words) < 2:
            raise InputError(
                t("one word alone has no synonym"),
                where=f"{path.name}:{number}",
                expected=t("words that may stand for each other, separated by spaces"),
            )
        groups.append(words)
    return groups


@cache
def built_in() -> Lexicon:
    """A small lexicon of everyday Chinese and English."""
    return Lexicon.of([*read_groups(FOLDER / "synonyms_zh.txt"), *read_groups(FOLDER / "synonyms_en.txt")])


@cache
def similar_glyphs() -> Mapping[str, str]:
    """Character to the characters that look like it."""
    found: dict[str, str] = {}
    for group in (FOLDER / "similar_glyphs.txt").read_text(encoding="utf-8").split():
        for character in group:
            known = found.get(character, "")
            found[character] = known + "".join(c for c in group if c != character and c not in known)
    return {character: others for character, others in found.items() if others}


@cache
def homophones() -> Mapping[str, str]:
    """Character to everyday characters with the same reading, tones aside."""
    from pypinyin import Style, lazy_pinyin

    everyday = [
        bytes((high, low)).decode("gb2312")
        for high in range(0xB0, 0xD8)
        for low in range(0xA1, 0xFF)
        if not (high == 0xD7 and low > 0xF9)
    ]
    by_reading: dict[str, str] = {}
    for character in everyday:
        reading = lazy_pinyin(character, style=Style.NORMAL)[0]
        by_reading[reading] = by_reading.get(reading, "") + character
    return {c: group.replace(c, "") for group in by_reading.values() if len(group) > 1 for c in group}


@cache
def neighbouring_keys() -> Mapping[str, str]:
    """Letter to the letters beside, above and below it; rows are shifted by half a key."""
    found = {}
    for row, keys in enumerate(KEYBOARD):
        for place, key in enumerate(keys):
            near = keys[max(0, place - 1) : place] + keys[place + 1 : place + 2]
            if row:
                near += KEYBOARD[row - 1][place : place + 2]
            if row + 1 < len(KEYBOARD):
                near += KEYBOARD[row + 1][max(0, place - 1) : place + 1]
            found[key] = near
    return found
