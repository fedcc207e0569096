"""Images that look alike, by 64-bit perceptual hashes.

`difference`: whether each of 8 x 8 cells is brighter than its right neighbour (Krawetz 2013, dHash). `perceptual`:
the signs of the 8 x 8 lowest frequencies of a 32 x 32 cosine transform against their median (Zauner 2010, pHash).
Two images are near if their hashes differ in few bits and 4 x 4 thumbnails in colour differ little: flat images have
hashes that mean nothing. Pairs within d bits agree in all but one bit of one of d // 2 + 1 parts (Norouzi, Punjani &
Fleet 2012, "Fast Search in Hamming Space with Multi-Index Hashing"), so no pair of them is missed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.duplicates import candidates
from modelyard.methods.data.duplicates.candidates import Rows
from modelyard.methods.data.duplicates.graph import Edges
from modelyard.methods.data.duplicates.texts import first_with_same, mapped

Kind = Literal["perceptual", "difference"]
BITS = 64
LIMIT = 512
MOST_PIXELS = 1 << 27
"""An image that says it has more is not opened: a few bytes may unpack to gigabytes."""
COLOUR_DISTANCE = 10.0
"""Mean difference of thumbnails, of 255, up to which two images may be one."""
BATCH_ROWS = 256


@dataclass
class FoundImages:
    """Which images are near each other; see `texts.Found`. `num_empty` counts what is no image."""

    texts: NDArray[np.int64]
    lengths: NDArray[np.int32]
    edges: Edges
    num_empty: int = 0
    num_candidates: int = 0
    num_uncompared: int = 0
    unit: str = "images"


class ImageSearch:
    """Finds near duplicates among one column's images.

    Args:
        distance: bits in which two hashes may differ.
    """

    def __init__(
        self, data: Dataset, column: str, kind: Kind, distance: int, threads: int, progress: Callable[[int], None]
    ) -> None:
        self._data, self._column, self._kind, self._distance = data, column, kind, distance
        self._threads, self._progress = threads, progress
        self._hashes = np.zeros(0, np.uint64)

    def run(self, resolve: Callable[[FoundImages], NDArray[np.bool_]]) -> FoundImages:
        """Hash all, compare those that share a part."""
        num = self._data.num_rows("all")
        hashes, small = np.zeros(num, np.uint64), np.zeros((num, 48), np.uint8)
        pixels = np.zeros(num, np.int32)

        def work(piece: tuple[int, Any]) -> int:
            start, values = piece
            for row, value in enumerate(values.to_pylist(), start):
                looked = look(value, self._kind)
                if looked is not None:
                    hashes[row], small[row], pixels[row] = looked
            return len(values)

        for num_done in mapped(work, self._pieces(), self._threads):
            self._progress(num_done)
        self._hashes = hashes
        prints = np.concatenate([hashes[:, None], small.view(np.uint64)], axis=1)
        same = first_with_same(prints, pixels > 0)
        rows = np.flatnonzero((pixels > 0) & (same == np.arange(num))).astype(np.int32)
        firsts, seconds, num_uncompared = near_hashes(hashes, rows, self._distance)
        colour = np.abs(small[firsts].astype(np.int16) - small[seconds]).mean(axis=1) <= COLOUR_DISTANCE
        edges = Edges(
            firsts[colour].astype(np.int64), seconds[colour].astype(np.int64),
            self.similarity(firsts[colour], seconds[colour]),
        )  # fmt: skip
        found = FoundImages(same, pixels, edges, int((pixels == 0).sum()), len(firsts), num_uncompared)
        resolve(found)
        return found

    def similarity(self, firsts: Rows, seconds: Rows) -> NDArray[np.float64]:
        """Share of the bits that agree."""
        result: NDArray[np.float64] = 1 - np.bitwise_count(self._hashes[firsts] ^ self._hashes[seconds]) / BITS
        return result

    def close(self) -> None:
        """Nothing is held outside memory."""

    def _pieces(self) -> Iterator[tuple[int, Any]]:
        row = 0
        for batch in self._data.batches("all", [self._column], rows=BATCH_ROWS):
            yield row, batch.column(0)
            row += batch.num_rows


def look(value: bytes | None, kind: Kind) -> tuple[int, NDArray[np.uint8], int] | None:
    """(hash, [48] thumbnail, pixels) of an encoded image; None if it is none, or claims more than MOST_PIXELS."""
    if not value:
        return None
    try:
        with Image.open(io.BytesIO(value)) as image:
            width, height = image.size
            if width * height > MOST_PIXELS:
                return None
            colour = image.convert("RGB")
    except (
        OSError,
        ValueError,
        SyntaxError,
        MemoryError,
        Image.DecompressionBombError,
    ):
        return None  # what Pillow raises on damage
    grey = colour.convert("L")
    small = np.asarray(colour.resize((4, 4), Image.Resampling.BOX), np.uint8).ravel()
    return (_difference(grey) if kind == "difference" else _perceptual(grey)), small, width * height


def _difference(grey: Image.Image) -> int:
    cells = np.asarray(grey.resize((9, 8), Image.Resampling.BOX), np.int16)
    return _packed(cells[:, 1:] > cells[:, :-1])


def _perceptual(grey: Image.Image) -> int:
    cells = np.asarray(grey.resize((32, 32), Image.Resampling.BOX), np.float64)
    low = dctn(cells, type=2, norm="ortho")[:8, :8]
    low[np.abs(low) < 0.5] = 0.0  # rounding must not decide a sign
    return _packed(low > np.median(low.ravel()[1:]))


def _packed(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits.ravel()).tobytes(), "big")


def near_hashes(hashes: NDArray[np.uint64], rows: Rows, distance: int) -> tuple[Rows, Rows, int]:
    """(lower rows, higher rows, pairs not compared) of all pairs of `rows` at most `distance` bits apart.

    Pairs are not compared where more than LIMIT rows share all of a part but one bit.
    """
    firsts: list[Rows] = []
    seconds: list[Rows] = []
    uncompared = 0
    for mask in _masks(distance):
        found = candidates.buckets(_hashed(hashes & np.uint64(mask)), rows)
        large = found.sizes > LIMIT
        uncompared += int((found.sizes[large] * (found.sizes[large] - 1) // 2).sum())
        first, second = candidates.pairs(found, LIMIT)
        near = np.bitwise_count(hashes[first] ^ hashes[second]) <= distance
        firsts.append(first[near])
        seconds.append(second[near])
    return (*candidates.unique(np.concatenate(firsts), np.concatenate(seconds)), uncompared)


def _masks(distance: int) -> list[int]:
    """Bits that must agree, in one mask at least, if two hashes are `distance` bits apart."""
    if distance == 0:
        return [(1 << BITS) - 1]
    ends = np.linspace(0, BITS, distance // 2 + 2).astype(int).tolist()
    parts = [((1 << end) - 1) ^ ((1 << start) - 1) for start, end in pairwise(ends)]
    return [part ^ (1 << bit) for part in parts for bit in range(BITS) if part >> bit & 1]


def _hashed(values: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """32 bits of each: pairs of equal values stay equal, and others are told apart by their distance."""
    mixed = values * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)
    result: NDArray[np.uint32] = (mixed >> np.uint64(32)).astype(np.uint32)
    return result
