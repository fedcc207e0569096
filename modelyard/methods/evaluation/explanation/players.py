"""Rows in parts: words and characters of a text, columns of a table, patches of a picture.

A part that is not there: of a text it is left out; of a table the column has the values of background rows; of a
picture the patch has the picture's mean colour.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.evaluation.explanation.game import Bools
from modelyard.methods.preprocessing.scripts import UNSPACED
from modelyard.methods.runtimes.predictor import Record

_UNIT = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s]")


def units(text: str) -> list[tuple[int, int]]:
    """Spans of a text's words; characters of scripts without spaces and punctuation marks stand alone."""
    return [match.span() for match in _UNIT.finditer(text)]


@dataclass(frozen=True)
class TextPlayers:
    """A text cut into consecutive pieces that cover it whole, white space with the word before it.

    Attributes:
        starts: where each piece begins; the first is 0.
    """

    text: str
    starts: tuple[int, ...]

    @classmethod
    def of(cls, text: str, most: int) -> TextPlayers:
        """Words or characters; neighbours are put together where there are more than `most`."""
        starts = [start for start, _ in units(text)] or [0]
        starts[0] = 0
        if len(starts) > most:
            chosen = np.unique(np.linspace(0, len(starts), most, endpoint=False).astype(int))
            starts = [starts[place] for place in chosen]
        return cls(text, tuple(starts))

    @cached_property
    def names(self) -> tuple[str, ...]:
        ends = (*self.starts[1:], len(self.text))
        return tuple(self.text[start:end] for start, end in zip(self.starts, ends, strict=True))

    def records(self, masks: Bools) -> list[list[Record]]:
        pieces = self.names
        found: list[list[Record]] = [[{"text": "".join(compress(pieces, mask))}] for mask in masks.tolist()]
        return found

    def shares(self, spans: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
        """[spans, pieces] the share of each span of characters that lies in each piece; zero for empty spans."""
        ends = np.array([*self.starts[1:], len(self.text)])
        low, high = np.array(spans, np.int64).reshape(-1, 2).T
        inside = np.minimum(high[:, None], ends) - np.maximum(low[:, None], np.array(self.starts))
        shares: NDArray[np.float64] = np.maximum(inside, 0) / np.maximum(high - low, 1)[:, None]
        return shares


@dataclass(frozen=True)
class TablePlayers:
    """The columns a model reads; absent ones take the values of each background row in turn.

    The mean over them is the interventional value of Janzing, Minorics & Blöbaum 2020.
    """

    record: Record
    names: tuple[str, ...]
    background: tuple[Record, ...]

    def records(self, masks: Bools) -> list[list[Record]]:
        mine = [self.record[name] for name in self.names]
        others = [[row[name] for name in self.names] for row in self.background]
        rest = {name: value for name, value in self.record.items() if name not in self.names}
        found = []
        for mask in masks.tolist():
            rows = [
                [own if kept else one for own, one, kept in zip(mine, other, mask, strict=True)] for other in others
            ]
            asked: list[Record] = [{**rest, **dict(zip(self.names, row, strict=True))} for row in rows]
            found.append(asked)
        return found


@dataclass(frozen=True)
class ImagePlayers:
    """A picture in `grid` x `grid` patches.

    Attributes:
        pixels: [height, width, channels] uint8.
    """

    pixels: NDArray[np.uint8]
    grid: int

    @classmethod
    def of(cls, encoded: bytes, channels: int, grid: int) -> ImagePlayers:
        from modelyard.methods.preprocessing.image import decode

        array = np.asarray(decode(encoded, channels), np.uint8)
        array = array[:, :, None] if array.ndim == 2 else array
        return cls(array, min(grid, *array.shape[:2]))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{row},{column}" for row in range(self.grid) for column in range(self.grid))

    def bounds(self, side: int) -> NDArray[np.int64]:
        """[grid + 1] where patches begin and end along a side of the picture."""
        return np.linspace(0, side, self.grid + 1).round().astype(np.int64)

    def records(self, masks: Bools) -> list[list[Record]]:
        height, width, _ = self.pixels.shape
        mean = self.pixels.mean((0, 1)).round().astype(np.uint8)
        rows, columns = np.diff(self.bounds(height)), np.diff(self.bounds(width))
        found: list[list[Record]] = []
        for mask in masks:
            there = mask.reshape(self.grid, self.grid).repeat(rows, 0).repeat(columns, 1)
            found.append([{"image": png(np.where(there[:, :, None], self.pixels, mean))}])
        return found

    def means(self, picture: NDArray[Any]) -> NDArray[np.float64]:
        """[patches] the mean of a map of any size [h, w] inside each patch."""
        height, width = picture.shape
        rows = np.minimum((np.arange(height) + 0.5) * self.grid / height, self.grid - 1).astype(int)
        columns = np.minimum((np.arange(width) + 0.5) * self.grid / width, self.grid - 1).astype(int)
        places = (rows[:, None] * self.grid + columns).ravel()
        size = self.grid * self.grid
        counts = np.maximum(np.bincount(places, minlength=size), 1)
        found: NDArray[np.float64] = np.bincount(places, picture.ravel().astype(np.float64), size) / counts
        return found


def png(pixels: NDArray[np.uint8]) -> bytes:
    """[height, width, 1 or 3] as an encoded file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
