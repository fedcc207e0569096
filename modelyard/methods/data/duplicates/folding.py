"""A whole batch of texts as code points that are the same for texts that are the same (`text.normalized`), without a
step in Python for each text: one look-up in a table of the Unicode compatibility forms. Only texts with characters
that act on their neighbours (combining marks, Hangul parts) are normalized one by one.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.methods.data.text import normalized

SPACE = 0x20
SEPARATOR, PART, WHOLE = 0, 1, 2
"""Kinds of code points: between words, part of a word, a word of its own (Han, Kana, Thai, emoji)."""
_END = 0x110000
_FOLD = (1 << 21) - 1
_KIND_SHIFT = 24
_SEVERAL, _ACTS = 1 << 30, 1 << 31
# Blocks whose characters are their own compatibility form, in one case: not worth a look at each.
_PLAIN = ((0x3400, 0xA000), (0xAC00, 0xD7A4), (0xD800, 0xF900), (0x17000, 0x1B000), (0x20000, 0x2F800))
_PLAIN_END = 0x30000
# Scripts written without spaces: a character counts as a word.
_UNSPACED = (
    (0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x2E80, 0x3000), (0x3005, 0x3008), (0x3021, 0x302A),
    (0x3040, 0x30FB), (0x30FC, 0x3130), (0x31A0, 0x31C0), (0x31F0, 0x3200), (0x3400, 0x4DC0), (0x4E00, 0xA000),
    (0xF900, 0xFB00), (0x1B000, 0x1B300), (0x20000, 0x32000),
)  # fmt: skip


@dataclass(frozen=True)
class Folded:
    """Texts end to end.

    Attributes:
        points: [characters] uint32 code points after folding; white space is U+0020.
        kinds: [characters] uint8: SEPARATOR, PART or WHOLE.
        starts: [texts + 1] where each text begins.
    """

    points: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    starts: NDArray[np.int64]


def fold(texts: pa.Array) -> Folded:
    """Texts in compatibility form (NFKC), case-folded; nulls are empty texts. White space is not yet collapsed.

    Args:
        texts: Arrow strings.
    """
    values = texts.fill_null("") if texts.null_count else texts
    points, starts = _code_points(values)
    found = _table()[points]
    if points.dtype != np.uint8 and found.size:
        if found.max() >= _ACTS:
            found, starts = _normalize_acting(points, found, starts)
        if found.max(initial=0) >= _SEVERAL:
            found, starts = _expand(found, starts)
    return Folded(found & np.uint32(_FOLD), (found >> np.uint32(_KIND_SHIFT)).astype(np.uint8), starts)


def collapse(folded: Folded) -> Folded:
    """Runs of white space become one space, none at the ends; as in `text.normalized`."""
    space = folded.points == SPACE
    if not space.any():
        return folded
    drop = np.empty_like(space)
    drop[1:] = space[1:] & space[:-1]
    first = folded.starts[:-1][np.diff(folded.starts) > 0]
    drop[first] = space[first]
    once = _without(folded, drop)
    ends = once.starts[1:][np.diff(once.starts) > 0] - 1
    trailing = ends[once.points[ends] == SPACE]
    if not trailing.size:
        return once
    drop = np.zeros(len(once.points), dtype=bool)
    drop[trailing] = True
    return _without(once, drop)


def _without(folded: Folded, drop: NDArray[np.bool_]) -> Folded:
    gone = np.flatnonzero(drop)
    if not gone.size:
        return folded
    keep = ~drop
    starts = folded.starts - np.searchsorted(gone, folded.starts)
    return Folded(folded.points[keep], folded.kinds[keep], starts)


def _code_points(values: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """(code points of all texts end to end, uint8 if all are ASCII; where each text begins)."""
    wide = pa.types.is_large_string(values.type)
    _, places, data = values.buffers()
    offsets = np.frombuffer(places, np.int64 if wide else np.int32) if places else np.zeros(1, np.int32)
    offsets = offsets[values.offset : values.offset + len(values) + 1].astype(np.int64)
    if data is None or offsets[-1] == offsets[0]:
        return np.zeros(0, np.uint8), np.zeros(len(values) + 1, np.int64)
    raw = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
    offsets -= offsets[0]
    if raw.max() < 0x80:
        return raw, offsets
    text = raw.tobytes().decode("utf-8")
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    lengths = pc.utf8_length(values).to_numpy(zero_copy_only=False).astype(np.int64)
    return points, np.concatenate([[0], np.cumsum(lengths)])


def _normalize_acting(
    points: NDArray[np.uint32], found: NDArray[np.uint32], starts: NDArray[np.int64]
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Texts with characters that act on their neighbours, one by one by Python's own normalization."""
    acting = np.flatnonzero(found >= _ACTS)
    rows = np.unique(np.searchsorted(starts, acting, "right") - 1)
    lengths = np.diff(starts)
    pieces, done = [], 0
    for row in rows.tolist():
        begin, end = int(starts[row]), int(starts[row + 1])
        text = normalized(points[begin:end].tobytes().decode("utf-32-le"))
        folded = np.frombuffer(text.encode("utf-32-le"), np.uint32)
        # Folded already: only the kind of each character is looked up.
        pieces += [found[done:begin], (_table()[folded] & np.uint32(3 << _KIND_SHIFT)) | folded]
        lengths[row] = len(folded)
        done = end
    return np.concatenate([*pieces, found[done:]]), np.concatenate([[0], np.cumsum(lengths)])


def _expand(found: NDArray[np.uint32], starts: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Put all of its characters where one folds to several (`…` is three full stops)."""
    several = np.flatnonzero(found & np.uint32(_SEVERAL))
    forms = [_several()[point] for point in (found[several] & np.uint32(_FOLD)).tolist()]
    pieces, done = [], 0
    for place, form in zip(several.tolist(), forms, strict=True):
        pieces += [found[done:place], form]
        done = place + 1
    before = np.concatenate([[0], np.cumsum([len(form) - 1 for form in forms])])
    return np.concatenate([*pieces, found[done:]]), starts + before[np.searchsorted(several, starts)]


def _table() -> NDArray[np.uint32]:
    """[code points] uint32: what each folds to, its kind, and whether it needs more than that."""
    return _tables()[0]


def _several() -> dict[int, NDArray[np.uint32]]:
    """Table entries for the characters that fold to several."""
    return _tables()[1]


@cache
def _tables() -> tuple[NDArray[np.uint32], dict[int, NDArray[np.uint32]]]:
    table = np.arange(_END, dtype=np.uint32)
    plain = np.zeros(_END, dtype=bool)
    for start, end in (*_PLAIN, (_PLAIN_END, _END)):
        plain[start:end] = True
    several: dict[int, str] = {}
    acting = _acting()
    flags = np.zeros(_END, dtype=np.uint32)
    for point in np.flatnonzero(~plain).tolist():
        character = chr(point)
        form = unicodedata.normalize("NFKC", character)
        if unicodedata.combining(form[0]) or form[0] in acting:
            flags[point] = _ACTS
            continue
        folded = form.casefold()
        if len(folded) == 1:
            table[point] = SPACE if folded.isspace() else ord(folded)
        else:
            several[point] = folded
            flags[point] = _SEVERAL
    kinds = _kinds(plain)
    result: NDArray[np.uint32] = table | (kinds[table].astype(np.uint32) << np.uint32(_KIND_SHIFT)) | flags
    forms = {}
    for point, folded in several.items():
        entries = [SPACE if character.isspace() else ord(character) for character in folded]
        forms[point] = np.array([entry | int(kinds[entry]) << _KIND_SHIFT for entry in entries], np.uint32)
    return result, forms


def _acting() -> frozenset[str]:
    """Characters that a composition may take as its second part: they cannot be folded alone."""
    seconds = {chr(point) for point in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    for point in (*range(0xC0, 0x3400), *range(0xA000, 0xAC00), *range(0x10000, 0x12000), *range(0x1D100, 0x1D200)):
        parts = unicodedata.decomposition(chr(point)).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            seconds.add(chr(int(parts[1], 16)))
    return frozenset(seconds)


def _kinds(plain: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Kind of each code point: letters, marks and numbers make words; symbols (emoji) are words of their own."""
    kinds = np.full(_END, PART, dtype=np.uint8)
    kinds[0xD800:0xF900] = SEPARATOR
    for point in np.flatnonzero(~plain).tolist():
        group = unicodedata.category(chr(point))[0]
        if group == "S":
            kinds[point] = WHOLE
        elif group not in "LMN" and point != ord("_"):
            kinds[point] = SEPARATOR
    for start, end in _UNSPACED:
        block = kinds[start:end]
        block[(block == PART) | plain[start:end]] = WHOLE
    return kinds
