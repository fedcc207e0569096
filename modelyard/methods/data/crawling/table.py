"""The pages of a crawl as a data set, and beside them what was passed over."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa

from modelyard.methods.data.crawling.frontier import Frontier
from modelyard.methods.data.dataset import ROW_ID, Column, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of

BATCH = 512
ID_DIGITS = 16
PAGES = (
    Column(ROW_ID, "other", "string"),
    Column("url", "other", "string"),
    Column("title", "other", "string"),
    Column("language", "other", "string"),
    Column("text", "text", "string"),
)
SKIPPED = tuple(Column(name, "other", "string") for name in (ROW_ID, "url", "reason", "detail"))


def row_id(url: str) -> str:
    """A page keeps its id from crawl to crawl: it is made of its address."""
    return hashlib.sha256(url.encode()).hexdigest()[:ID_DIGITS]


def write_pages(frontier: Frontier, folder: Path) -> int:
    """Write the pages in the order in which they were found; returns how many."""
    rows = ((row_id(page.url), page.url, page.title, page.language, page.text) for page in frontier.pages())
    return _write(folder, PAGES, rows)


def write_skipped(frontier: Frontier, folder: Path) -> Counter[str]:
    """Write every address that gave no row; returns how many by reason."""
    reasons: Counter[str] = Counter()

    def rows() -> Iterable[tuple[str, ...]]:
        for url, reason, detail in frontier.skipped():
            reasons[reason] += 1
            yield row_id(url), url, reason, detail

    _write(folder, SKIPPED, rows())
    return reasons


def _write(folder: Path, columns: Sequence[Column], rows: Iterable[tuple[str, ...]]) -> int:
    schema = schema_of(columns)
    write_schema(folder, columns)
    remaining = iter(rows)
    with SplitWriter(folder, "all", schema) as writer:
        while part := list(islice(remaining, BATCH)):
            values = zip(*part, strict=True)
            writer.write(pa.table([pa.array(list(column), pa.string()) for column in values], schema=schema))
    return writer.num_rows
