"""What all peers share: reading the texts, shingles in Python, exact comparison of candidates, writing what stays.

Normalization and words are as ours, as far as the standard library has them: compatibility form, case folded, single
spaces; words are runs of letters, digits and `_`. (Ours take a symbol such as `$` for a word too.)
"""

import json
import re
import resource
import sys
import time
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

THRESHOLD, SIZE, BANDS, ROWS = 0.8, 5, 16, 7
WORD = re.compile(r"\w+")


def normalized(text):
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def tokens(text, unit):
    text = normalized(text)
    return list(text) if unit == "characters" else WORD.findall(text)


def shingles(text, unit):
    """The set of a text's shingles as strings; a text with fewer units has one of what it has."""
    if unit == "characters":
        text = normalized(text)
        return {text[start : start + SIZE] for start in range(max(1, len(text) - SIZE + 1))} if text else set()
    words = WORD.findall(normalized(text))
    return {" ".join(words[start : start + SIZE]) for start in range(max(1, len(words) - SIZE + 1))} if words else set()


def jaccard(first, second):
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def verified(pairs, sets):
    return [pair for pair in pairs if jaccard(sets[pair[0]], sets[pair[1]]) >= THRESHOLD]


def candidates(rows_of_minima, num_rows):
    """Pairs that share a band, from one list of minima a row."""
    found = set()
    for band in range(BANDS):
        cut = slice(band * ROWS, (band + 1) * ROWS)
        buckets = {}
        for row in range(num_rows):
            if rows_of_minima[row] is not None:
                buckets.setdefault(bytes(rows_of_minima[row][cut]), []).append(row)
        for members in buckets.values():
            found.update((low, high) for place, high in enumerate(members) for low in members[:place])
    return found


def clusters(pairs, num_rows):
    parent = list(range(num_rows))

    def root(row):
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for low, high in pairs:
        low, high = sorted((root(low), root(high)))
        parent[high] = low
    return [root(row) for row in range(num_rows)]


def read(folder):
    return pq.read_table(Path(folder) / "all")


def write(table, keep, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    pq.write_table(table.filter(pa.array(keep)), Path(folder) / "kept.parquet", compression="zstd")


class Clock:
    """Wall and processor seconds of the work, children included."""

    def __init__(self):
        self.wall, self.cpu = time.perf_counter(), self.used()

    @staticmethod
    def used():
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    def stop(self):
        return {
            "seconds": time.perf_counter() - self.wall,
            "cpu": self.used() - self.cpu,
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


def tell(clock_stopped, pairs, kept):
    """The last line of output: what was measured; pairs go to the file named last on the command line."""
    Path(sys.argv[-1]).write_text(json.dumps(sorted([int(low), int(high)] for low, high in pairs)))
    print(json.dumps({**clock_stopped, "kept": int(kept)}))


def run(minima):
    """`minima(sets) -> one buffer of minima a row (None for an empty set)`: the whole way around a signature."""
    source, target, unit = sys.argv[1:4]
    clock = Clock()
    table = read(source)
    sets = [shingles(text or "", unit) for text in table.column("text").to_pylist()]
    found = minima(sets)
    pairs = verified(candidates(found, len(sets)), sets)
    places = clusters(pairs, len(sets))
    keep = [row == place for row, place in enumerate(places)]
    write(table, keep, target)
    tell(clock.stop(), pairs, sum(keep))
