"""A text as recognisers read it: one form for every width, digit and dash, with the way back to the original.

Full-width and other compatibility forms become plain ones (NFKC, character by character), every decimal digit of
Unicode becomes 0-9, dashes become `-`, and what nobody sees is taken out. Runs of seven or more Chinese digits become
digits too (一三八… is 138…).

A text that needs none of it costs one look; replacements of one character by one keep the offsets, and only where a
character becomes several, or none, a map is kept.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

ZERO_WIDTH = "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\u20e3"
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2e3a\ufe58\ufe63\uff0d"
HAN_DIGITS = dict(zip("〇○零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺两", "000123456789123456789" + "12", strict=True))
_HAN = "".join(HAN_DIGITS)
_HAN_RUN = re.compile(rf"(?:[0-9{_HAN}](?<!一(?=[定下个直起样般共次些旦向切]))[ \-]?){{7,}}")
_LEAST_HAN = 4
_BLOCKS = ((0x00A0, 0x0100), (0x0660, 0x0F34), (0x180E, 0x180F), (0x2000, 0x2EFF), (0x3000, 0x3040),
           (0x3200, 0x3400), (0xA620, 0xAC00), (0xF900, 0x10000), (0x104A0, 0x104AA),
           (0x1D400, 0x1D800), (0x1F100, 0x1F200))  # fmt: skip
SEPARATOR = re.compile(r"[ \t\r\n\-.()/·]{1,3}")
DIGITS = re.compile(r"[0-9]+")
FEWEST, MOST = 7, 19
MIXED = re.compile(r"(?<![0-9A-Za-z])[0-9OoIl|]{14,18}[0-9OoIl|Xx](?![0-9A-Za-z])")
AS_DIGITS = str.maketrans("OoIl|", "00111")
_LAYOUTS = (
    "3-4-4 3-8 7-4 4-7 4-8 4-3-4 3-3-5 3-3-4 4-3-3 4-6 3-7 5-6 5-3-3 2-2-2-2-2 2-4-4 3-2-4 2-2-2-2 4-2-2-2 "
    "4-4-4-4 4-4-4-4-3 4-4-4-4-2 6-13 4-6-5 4-6-4 6-8-4 6-4-4-4 3-3-4-4-4 6-8-3 3-4 4-4 6-10 8-8 3-3-2-2 3-2-2"
)
LAYOUTS = frozenset(tuple(map(int, layout.split("-"))) for layout in _LAYOUTS.split())
"""Digits by group, as people write phones, cards and identity numbers. A window of a longer run counts only so."""
Group = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Number:
    """Digits that may belong together, with their place in `View.text`.

    Attributes:
        layout: digits by group.
        whole: nothing else of its line stands beside it.
        broken: it goes over a line break.
    """

    digits: str
    start: int
    end: int
    layout: tuple[int, ...]
    whole: bool = True
    broken: bool = False


@cache
def _tables() -> tuple[dict[int, str], dict[int, str], re.Pattern[str]]:
    """One to one; one to several or none; and what finds the latter."""
    same: dict[int, str] = {}
    other: dict[int, str] = {}
    for start, stop in _BLOCKS:
        for code in range(start, stop):
            plain = _plain(chr(code))
            if plain != chr(code):
                (same if len(plain) == 1 else other)[code] = plain
    return same, other, re.compile("[" + "".join(map(re.escape, map(chr, sorted(other)))) + "]")


_UNSEEN = re.compile(f"[{ZERO_WIDTH}]")


def _plain(char: str) -> str:
    if _UNSEEN.match(char):
        return ""
    if char in DASHES:
        return "-"
    digit = unicodedata.digit(char, None)
    if digit is not None:
        return str(digit)
    return "".join(" " if part.isspace() and part != "\n" else part for part in unicodedata.normalize("NFKC", char))


class View:
    """A text made ready for matching.

    Attributes:
        original: the text as it came.
        text: its plain form; recognisers search here.
    """

    def __init__(self, original: str) -> None:
        self.original = original
        self._starts: list[int] | None = None
        self._ends: list[int] = []
        if original.isascii():
            self.text = original
            return
        same, _, moving = _tables()
        self.text = original.translate(same) if moving.search(original) is None else self._moved(original)
        if _HAN_RUN.search(self.text):
            self.text = _HAN_RUN.sub(_to_digits, self.text)

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The place in the original of a stretch of `text`."""
        if self._starts is None:
            return start, end
        return self._starts[start], self._ends[end - 1]

    @cached_property
    def lower(self) -> str:
        """`text` in lower case, of the same length: for words of context."""
        lower = self.text.lower()
        return lower if len(lower) == len(self.text) else "".join(_lower_one(char) for char in self.text)

    @cached_property
    def groups(self) -> list[Group]:
        """Where digits stand."""
        return [match.span() for match in DIGITS.finditer(self.text)]

    @cached_property
    def num_digits(self) -> int:
        """Digits in the text: too few, and most recognisers need not look."""
        return sum(end - start for start, end in self.groups)

    @cached_property
    def numbers(self) -> list[Number]:
        """Numbers of 7 to 19 digits: each group of digits, each line of groups, each window with a known layout."""
        if self.num_digits < FEWEST:
            return []
        return [number for run in self._runs() for number in _numbers_of(self.text, run)]

    @cached_property
    def mixed(self) -> list[Group]:
        """Long words of digits among which letters stand that look like digits (O, o, l, I): 11O1O5…"""
        if self.num_digits < FEWEST:
            return []
        found = (match.span() for match in MIXED.finditer(self.text))
        return [(start, end) for start, end in found if not self.text[start : end - 1].isdigit()]

    def _runs(self) -> list[list[Group]]:
        """Groups of digits, gathered into runs: the groups of one run stand apart by a few separators only."""
        runs: list[list[Group]] = []
        last = -9
        for start, end in self.groups:
            if start - last <= 3 and SEPARATOR.fullmatch(self.text, last, start):
                runs[-1].append((start, end))
            else:
                runs.append([(start, end)])
            last = end
        return runs

    def before(self, start: int, reach: int) -> str:
        """What stands before, in lower case."""
        return self.lower[max(0, start - reach) : start]

    def after(self, end: int, reach: int) -> str:
        """What stands behind, in lower case."""
        return self.lower[end : end + reach]

    def _moved(self, original: str) -> str:
        same, other, _ = _tables()
        pieces: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        for place, char in enumerate(original):
            code = ord(char)
            plain = same.get(code) or other.get(code, char)
            pieces.append(plain)
            starts.extend([place] * len(plain))
            ends.extend([place + 1] * len(plain))
        self._starts, self._ends = starts, ends
        return "".join(pieces)


def _lower_one(char: str) -> str:
    lower = char.lower()
    return lower if len(lower) == 1 else char


def _to_digits(match: re.Match[str]) -> str:
    run = match.group()
    if sum(char in HAN_DIGITS for char in run) < _LEAST_HAN:
        return run
    return "".join(HAN_DIGITS.get(char, char) for char in run)


def _numbers_of(text: str, run: list[Group]) -> list[Number]:
    if len(run) == 1:
        start, end = run[0]
        return [Number(text[start:end], start, end, (end - start,))] if FEWEST <= end - start <= MOST else []
    lines: list[list[Group]] = [[run[0]]]
    for last, group in pairwise(run):
        if "\n" in text[last[1] : group[0]]:
            lines.append([group])
        else:
            lines[-1].append(group)
    found = [number for line in lines for number in _in_line(text, line)]
    if len(lines) == 2:
        found += _joined(text, run, True, broken=True)
    return found


def _in_line(text: str, line: list[Group]) -> list[Number]:
    if len(line) == 2 and text[line[0][1] : line[1][0]] == ".":
        return []
    found = _joined(text, line, True)
    if len(line) == 1:
        return found
    for place in range(len(line)):
        for size in (1, 2, 3, 4, 5):
            part = line[place : place + size]
            if len(part) < size or size == len(line):
                break
            if size == 1 or tuple(end - start for start, end in part) in LAYOUTS:
                found += _joined(text, part, False)
    return found


def _joined(text: str, groups: list[Group], whole: bool, broken: bool = False) -> list[Number]:
    """The groups as one number, if it has a number of digits that matters; one or none."""
    if len(groups) > MOST or not FEWEST <= sum(end - start for start, end in groups) <= MOST:
        return []
    digits = "".join(text[start:end] for start, end in groups)
    layout = tuple(end - start for start, end in groups)
    return [Number(digits, groups[0][0], groups[-1][1], layout, whole, broken)]
