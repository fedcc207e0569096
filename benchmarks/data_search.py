"""Full-text search: MB of text indexed a second, size of the index, milliseconds a query.

    python benchmarks/data_search.py FILE [--column NAME] [--rows N]

FILE is a CSV with a header or a text file of one row a line; it is repeated until there are N rows.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from common import markdown, version_in, write_result

from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.searching.asking import search
from modelyard.methods.data.searching.index import Index, build

SCHEMA = pa.schema([("row_id", pa.string()), ("text", pa.string())])
QUERIES = (
    "的",
    "好吃",
    "送餐很快",
    '"味道 不错"',
    "好吃 -慢",
    "好吃 OR 难吃",
    "free",
    '"free entry"',
    "win* -free",
    "the and you",
)
REPEATS = 20


def texts(file: Path, column: str) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        if file.suffix == ".csv":
            return [row[column] for row in csv.DictReader(stream)]
        return [line.rstrip("\n") for line in stream if line.strip()]


def tables(rows: list[str], num: int) -> Iterator[pa.Table]:
    numbered = enumerate(itertools.islice(itertools.cycle(rows), num))
    while part := list(itertools.islice(numbered, 8_192)):
        yield pa.table([[f"r{place}" for place, _ in part], [text for _, text in part]], SCHEMA)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--column", default="review")
    parser.add_argument("--rows", type=int, default=200_000)
    given = parser.parse_args()
    rows = texts(given.file, given.column)
    with tempfile.TemporaryDirectory() as room:
        folder, place = Path(room) / "data", Path(room) / "index"
        folder.mkdir()
        place.mkdir()
        write_schema(folder, [Column("row_id", "other", "string"), Column("text", "text", "string")])
        write_split(folder, "all", tables(rows, given.rows), SCHEMA)
        size = sum(len(text.encode()) for text in itertools.islice(itertools.cycle(rows), given.rows)) / 1e6
        data = Dataset.open(folder)
        began = time.perf_counter()
        build(data, place)
        seconds = time.perf_counter() - began
        disk = sum(path.stat().st_size for path in place.iterdir()) / 1e6
        index = Index.open(place)
        table = [(query, *ask(index, data, query)) for query in QUERIES]
    body = f"{given.rows:,} rows of {given.file.name}, {size:.1f} MB of text: indexed at {size / seconds:.1f} MB/s "
    body += f"({given.rows / seconds:,.0f} rows/s), index {disk:.1f} MB.\n\n"
    body += markdown(["query", "rows found", "median ms, 10 rows with snippets"], table)
    write_result("data_search", "Full-text search", body, [f"tantivy {version_in(sys.executable, 'tantivy')}"])


def ask(index: Index, data: Dataset, query: str) -> tuple[int, str]:
    """Rows found, and the median time of a query with its ten best rows."""
    times = []
    total = 0
    for _ in range(REPEATS):
        began = time.perf_counter()
        total, _hits = search(index, data, query, ["all"], 10)
        times.append(1000 * (time.perf_counter() - began))
    return total, f"{sorted(times)[REPEATS // 2]:.1f}"


if __name__ == "__main__":
    main()
