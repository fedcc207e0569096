"""How many minima make a band: the closed form of locality-sensitive hashing.

Two texts of Jaccard similarity s agree in all r minima of a band with probability s^r, and in at least one of b bands
with 1 - (1 - s^r)^b (Leskovec, Rajaraman & Ullman, "Mining of Massive Datasets", 3.4.2).
"""

from __future__ import annotations

from dataclasses import dataclass

MOST_ROWS = 32


@dataclass(frozen=True)
class Banding:
    """b bands of r minima each."""

    bands: int
    rows: int

    def probability(self, similarity: float) -> float:
        """That two texts of this similarity become candidates."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.bands


def choose(threshold: float, bands: int, recall: float) -> Banding:
    """The most selective banding of `bands` bands that finds pairs at the threshold with probability `recall`."""
    fitting = [rows for rows in range(1, MOST_ROWS + 1) if Banding(bands, rows).probability(threshold) >= recall]
    return Banding(bands, max(fitting, default=1))
