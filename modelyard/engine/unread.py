"""Shapes of data that no template of `init` reads as it stands: pairs of texts, labels that are objects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

SIDES = re.compile(r"[\W_]*(a|b|1|2|left|right)$")
PAIRS = (
    ("premise", "hypothesis"),
    ("query", "passage"),
    ("query", "document"),
    ("question", "answer"),
    ("source", "target"),
)
"""Names of two texts that are judged together, beside those that differ in their last letter or number."""
DIFFERENT = 0.5
"""Share of different values above which two columns of such names are texts."""


def pair(columns: Sequence[tuple[str, int, int]]) -> tuple[str, str] | None:
    """The two columns of texts that belong together, or None.

    Args:
        columns: name, rows and different values of each column that holds no numbers.
    """
    texts = [name for name, rows, values in columns if rows and values >= min(rows, 1000) * DIFFERENT]
    lower = {name.lower(): name for name in texts}
    for first, second in PAIRS:
        if first in lower and second in lower:
            return lower[first], lower[second]
    stems = [(SIDES.sub("", name.lower()), name) for name in texts if SIDES.search(name.lower())]
    counts = Counter(stem for stem, _ in stems)
    both = [name for stem, name in stems if stem and counts[stem] == 2]
    return (both[0], both[1]) if len(both) == 2 else None


def objects(values: Counter[str]) -> bool:
    """Whether a column's values are JSON objects."""
    shown = list(islice(values, 50))
    return bool(shown) and all(value.startswith("{") and value.endswith("}") for value in shown)
