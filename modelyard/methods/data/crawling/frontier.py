"""What a crawl has found, asked for and kept, in one SQLite file: a crawl that was killed goes on with what is next.

One page is one transaction: its row, its links and that it is done are written together or not at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SCHEMA = """
create table if not exists address (
    number integer primary key, url text not null unique, depth integer not null, done integer not null default 0,
    asked integer not null default 0, reason text not null default '', detail text not null default ''
);
create index if not exists waiting on address (done, number);
create table if not exists shape (name text primary key, num integer not null);
create table if not exists page (
    number integer primary key, url text not null, title text not null, language text not null, text text not null
);
create table if not exists seen (mark text primary key);
create table if not exists fact (name text primary key, value text not null);
"""


@dataclass(frozen=True)
class Waiting:
    """An address that is still to be asked for; `depth` links from a start."""

    number: int
    url: str
    depth: int


@dataclass(frozen=True)
class Kept:
    """A page that was kept."""

    url: str
    title: str
    language: str
    text: str


class Frontier:
    """The state of a crawl; close it. Pages come out in the order in which their addresses were found.

    Attributes:
        num_pages: pages kept so far.
        num_asked: addresses asked for so far.
    """

    def __init__(self, path: Path) -> None:
        self._base = sqlite3.connect(path, isolation_level=None)
        self._base.executescript("pragma journal_mode = truncate;" + SCHEMA)
        self.num_pages = self._count("select count(*) from page")
        self.num_asked = self._count("select count(*) from address where asked = 1")

    def close(self) -> None:
        self._base.close()

    def fact(self, name: str) -> str | None:
        """Something noted once for the whole crawl."""
        found = self._base.execute("select value from fact where name = ?", [name]).fetchone()
        return found[0] if found else None

    def note(self, name: str, value: str) -> None:
        self._base.execute("insert or replace into fact values (?, ?)", [name, value])

    def add(self, found: Iterable[tuple[str, str]], depth: int, most_of_a_shape: int) -> None:
        """Addresses with their shapes, in order; those known, and those past the limit of their shape, are left out."""
        for url, shape in found:
            if self._known(url):
                continue
            row = self._base.execute("select num from shape where name = ?", [shape]).fetchone()
            num = row[0] if row else 0
            if num < most_of_a_shape:
                self._base.execute("insert or replace into shape values (?, ?)", [shape, num + 1])
                self._base.execute("insert into address (url, depth) values (?, ?)", [url, depth])
            else:
                self._base.execute(
                    "insert into address (url, depth, done, reason, detail) values (?, ?, 1, 'too many of a kind', ?)",
                    [url, depth, shape],
                )

    def _known(self, url: str) -> bool:
        return self._base.execute("select 1 from address where url = ?", [url]).fetchone() is not None

    def next(self) -> Waiting | None:
        """The first address that was found and not yet dealt with."""
        query = "select number, url, depth from address where done = 0 order by number limit 1"
        row = self._base.execute(query).fetchone()
        return Waiting(*row) if row else None

    def skip(self, waiting: Waiting, reason: str, detail: str = "", asked: bool = True) -> None:
        """An address that gives no row, and why."""
        with self._whole():
            self._settle(waiting, reason, detail, asked)

    def lead(
        self, waiting: Waiting, reason: str, detail: str, links: Sequence[tuple[str, str]], most_of_a_shape: int
    ) -> None:
        """An address that gives no row, but leads on."""
        with self._whole():
            self._settle(waiting, reason, detail, True)
            self.add(links, waiting.depth + 1, most_of_a_shape)

    def keep(
        self, waiting: Waiting, page: Kept, marks: Sequence[str], links: Sequence[tuple[str, str]], most_of_a_shape: int
    ) -> None:
        """A page, unless one with the same mark was kept before."""
        with self._whole():
            if any(self._base.execute("select 1 from seen where mark = ?", [mark]).fetchone() for mark in marks):
                self._settle(waiting, "repeats a page", "", True)
            else:
                self._settle(waiting, "", "", True)
                self._base.executemany("insert into seen values (?)", [[mark] for mark in dict.fromkeys(marks)])
                row = [waiting.number, page.url, page.title, page.language, page.text]
                self._base.execute("insert into page values (?, ?, ?, ?, ?)", row)
                self.num_pages += 1
            self.add(links, waiting.depth + 1, most_of_a_shape)

    def _settle(self, waiting: Waiting, reason: str, detail: str, asked: bool) -> None:
        self._base.execute(
            "update address set done = 1, asked = ?, reason = ?, detail = ? where number = ?",
            [asked, reason, detail[:500], waiting.number],
        )
        self.num_asked += asked

    def _whole(self) -> sqlite3.Connection:
        self._base.execute("begin")
        return self._base

    def _count(self, query: str) -> int:
        return int(self._base.execute(query).fetchone()[0])

    def num_waiting(self) -> int:
        return self._count("select count(*) from address where done = 0")

    def pages(self) -> Iterator[Kept]:
        for row in self._base.execute("select url, title, language, text from page order by number"):
            yield Kept(*row)

    def skipped(self) -> Iterator[tuple[str, str, str]]:
        """Address, reason and detail of what gave no row."""
        yield from self._base.execute("select url, reason, detail from address where reason != '' order by number")
