"""What an answer costs, roughly: told to the user beside the score, never kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelyard.base.clock import monotonic
from modelyard.methods import runtimes
from modelyard.methods.runtimes.predictor import Record

CALLS = 32
WARM_UP = 4


def milliseconds(folder: Path, records: Sequence[Record], threads: int | None) -> float:
    """Median time of one record's answer in this process, over at most 32 calls."""
    predictor = runtimes.load(folder, threads=threads)
    try:
        for record in records[:WARM_UP]:
            predictor.predict([record])
        times = []
        for record in records[:CALLS]:
            began = monotonic()
            predictor.predict([record])
            times.append(monotonic() - began)
    finally:
        predictor.close()
    return 1000 * sorted(times)[len(times) // 2]
