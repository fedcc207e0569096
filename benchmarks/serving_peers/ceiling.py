"""What tokenizer and runtime answer without a server: rows/s of the predictor on the same rows, in their order.

Prints JSON: `{"threads x callers x rows": rows/s}`. The best of them is the ceiling.

    python ceiling.py MODEL ROWS.jsonl SECONDS
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from pathlib import Path

from modelyard.methods import runtimes
from modelyard.methods.runtimes.predictor import Predictor, Record

BATCHES = (1, 4, 16, 256)


def rate(predictor: Predictor, records: list[Record], rows: int, callers: int, seconds: float) -> float:
    """Rows a second of `callers` threads that predict `rows` at a time."""
    counts = [0] * callers
    began = time.perf_counter()

    def work(index: int) -> None:
        position = index * len(records) // callers
        while time.perf_counter() - began < seconds:
            batch = [records[(position + offset) % len(records)] for offset in range(rows)]
            predictor.predict(batch)
            position += rows
            counts[index] += rows

    threads = [threading.Thread(target=work, args=(index,)) for index in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - began)


def main() -> None:
    lines = Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line)["instances"][0] for line in lines]
    cores = os.cpu_count() or 1
    found = {}
    for threads in sorted({1, cores}):
        predictor = runtimes.load(sys.argv[1], threads=threads)
        predictor.predict(records[:64])
        for callers, rows in itertools.product(sorted({1, cores}), BATCHES):
            found[f"{threads} x {callers} x {rows}"] = rate(predictor, records, rows, callers, float(sys.argv[3]))
        predictor.close()
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
