"""Rows that arrive in pages from where a program must ask for them: kept page by page, then read as one typed table.

    folder/
      000000.jsonl, 000001.jsonl, …   a page each, its rows as cells (`cells.py`), one JSON object a line
      arrived.json                    how many pages and rows there are, the kinds of each column's values, the cursor
      rows.parquet                    made of the pages when the last one is there

A page is written before the state that counts it, both atomically, so that a killed fetch goes on after the last page
that was counted, and asks for none twice. The digest of the rows does not depend on where the pages were cut.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.base.canonical import PREFIX, canonical_json
from modelyard.base.files import write_atomic
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.account import Teller
from modelyard.methods.data.cells import column, flat, kind_of, type_of
from modelyard.methods.data.dataset import ROW_ID
from modelyard.methods.data.reading import Reading, read
from modelyard.methods.data.settings import ColumnRoles, roles_of
from modelyard.methods.data.sources import Source

STATE = "arrived.json"
TABLE = "rows.parquet"
ROWS = "rows"
BATCH_ROWS = 4_096
PAGE_ROWS = 5_000
PAGE_BYTES = 1 << 25
MOST_COLUMNS = 2_000
RENAMED = "source_row_id"
"""What a column called `row_id` is called: that name is the data set's own."""

Progress = Callable[[int], None]


@dataclass
class State:
    """What has arrived.

    Attributes:
        cursor: where to go on; whatever the source needs, as JSON.
        kinds: by column, in the order of appearance, the kinds of its values.
        done: the source has no more.
    """

    num_pages: int = 0
    num_rows: int = 0
    cursor: Any = None
    kinds: dict[str, list[str]] = field(default_factory=dict)
    done: bool = False


class Arrival:
    """Rows arriving into a folder that survives a kill.

    Args:
        folder: the stage's scratch folder, or one in it; made if missing.
        name: what messages call the source; without credentials.
        whole: names of columns that may hold objects and shall not be taken apart.
        only: the columns to keep; None keeps all.
    """

    def __init__(
        self, folder: Path, name: str, whole: Collection[str] = (), only: Collection[str] | None = None
    ) -> None:
        self._folder = folder
        self._whole = frozenset(whole)
        self._only = None if only is None else frozenset(only)
        self.name = name
        self.state = State()
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / STATE).is_file():
            self.state = State(**json.loads((folder / STATE).read_bytes()))

    @property
    def cursor(self) -> Any:
        """Where to go on; None at the beginning."""
        return self.state.cursor

    @property
    def num_rows(self) -> int:
        return self.state.num_rows

    @property
    def done(self) -> bool:
        return self.state.done

    def add(self, rows: Iterable[Mapping[Any, Any]], cursor: Any, done: bool = False) -> None:
        """Keep a page of rows and the place after it.

        Args:
            cursor: where to go on after this page, as JSON.
            done: it is the last page.
        """
        state = self.state
        lines = []
        for row in rows:
            cells = self._chosen(flat(row, self._whole))
            for name, value in cells.items():
                self._saw(name, kind_of(value))
            lines.append(json.dumps(cells, separators=(",", ":")) + "\n")
        if lines:
            write_atomic(self._page(state.num_pages), "".join(lines).encode("ascii"))
            state.num_pages += 1
            state.num_rows += len(lines)
        state.cursor, state.done = cursor, done
        write_atomic(self._folder / STATE, json.dumps(asdict(state)).encode())

    def gather(self, rows: Iterable[tuple[Mapping[Any, Any], Any]], max_rows: int | None, progress: Progress) -> bool:
        """Keep rows that come one by one, each with the cursor after it, in pages of bounded size.

        Args:
            max_rows: stop after so many in all.
            progress: told the rows so far, after every page.

        Returns:
            Whether `max_rows` stopped it before the source ended.
        """
        page: list[Mapping[Any, Any]] = []
        num_bytes, cursor, more = 0, self.cursor, False
        for row, after in rows:
            if max_rows is not None and self.num_rows + len(page) >= max_rows:
                more = True
                break
            page.append(row)
            cursor = after
            num_bytes += sum(len(value) for value in row.values() if isinstance(value, str | bytes))
            if len(page) == PAGE_ROWS or num_bytes > PAGE_BYTES:
                self.add(page, cursor)
                progress(self.num_rows)
                page, num_bytes = [], 0
        self.add(page, cursor, done=True)
        progress(self.num_rows)
        return more

    def restart(self) -> None:
        """Forget what arrived: of a source that cannot be gone on with."""
        self.state = State()

    def forget(self) -> None:
        """As `restart`, for the next process too."""
        self.restart()
        (self._folder / STATE).unlink(missing_ok=True)

    def source(self) -> Source:
        """All rows that arrived as one typed table on the disk; constant memory.

        Raises:
            InputError: no row arrived.
        """
        if not self.state.num_rows:
            raise InputError(t("not one row came"), where=self.name, remedy=t("check what is asked for"))
        schema = pa.schema([pa.field(name, type_of(kinds)) for name, kinds in self.state.kinds.items()])
        digest = hashlib.sha256(canonical_json(list(self.state.kinds)))
        path = self._folder / TABLE
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            lines = self._lines(digest)
            while batch := list(islice(lines, BATCH_ROWS)):
                columns = [column([row.get(name) for row in batch], kind) for name, kind in _fields(schema)]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
        return Source(path, self.name, None, PREFIX + digest.hexdigest(), path.stat().st_size)

    def notes(self) -> list[str]:
        """What the user should know of the columns."""
        mixed = [name for name, kinds in self.state.kinds.items() if len(kinds) > 1 and type_of(kinds) == pa.string()]
        found = []
        if mixed:
            found.append(t("columns of several types, kept as text: {names}", names=", ".join(mixed[:20])))
        if RENAMED in self.state.kinds:
            found.append(t("the column `{old}` is kept as `{new}`", old=ROW_ID, new=RENAMED))
        return found

    def _lines(self, digest: Any) -> Iterator[dict[str, Any]]:
        for number in range(self.state.num_pages):
            with self._page(number).open("rb") as stream:
                for line in stream:
                    digest.update(line)
                    yield json.loads(line)

    def _chosen(self, cells: dict[str, Any]) -> dict[str, Any]:
        if ROW_ID in cells:
            cells = {RENAMED if name == ROW_ID else name: value for name, value in cells.items()}
        return cells if self._only is None else {name: cells[name] for name in cells if name in self._only}

    def _saw(self, name: str, kind: str) -> None:
        kinds = self.state.kinds.get(name)
        if kinds is None:
            if len(self.state.kinds) == MOST_COLUMNS:
                raise InputError(
                    t("more than {n:,} columns, such as `{name}`", n=MOST_COLUMNS, name=name[:80]),
                    where=self.name,
                    remedy=t("objects become columns: name what to keep, `keep: [...]`"),
                )
            kinds = self.state.kinds[name] = []
        if kind and kind not in kinds:
            kinds.append(kind)
            kinds.sort()

    def _page(self, number: int) -> Path:
        return self._folder / f"{number:06d}.jsonl"


def _fields(schema: pa.Schema) -> list[tuple[str, pa.DataType]]:
    return list(zip(schema.names, schema.types, strict=True))


class Desk(Teller, Protocol):
    """The part of a stage's context that a fetch needs."""

    def output(self, port: str) -> Path: ...

    def scratch(self) -> Path: ...

    def progress(self, done: int, total: int, what: str) -> None: ...


def arriving(config: ColumnRoles, desk: Desk, name: str, resumable: bool = True) -> Arrival:
    """The arrival of a stage's rows in its scratch folder, begun or gone on with.

    Args:
        resumable: the source can be asked for what comes after a cursor; if not, an unfinished arrival begins anew.
    """
    named = {*roles_of(config).values(), *(config.keep or ())}
    arrival = Arrival(desk.scratch() / ROWS, name, named, named if config.keep is not None else None)
    if not arrival.done and not resumable:
        arrival.restart()
    if arrival.num_rows:
        desk.say(t("goes on after {n:,} rows that were fetched before it was stopped", n=arrival.num_rows))
    return arrival


def hand_over(arrival: Arrival, config: ColumnRoles, desk: Desk) -> None:
    """Read what arrived into the ports `data` and `rejected`, say what was found, and measure `fetching.CLAIMS`.

    Raises:
        InputError: as `read`; what arrived is then forgotten, so that the next run meets a source that was mended.
    """
    reading = Reading(
        roles=roles_of(config),
        form="parquet",
        keep=config.keep,
        max_cell_bytes=config.max_cell_bytes,
        max_bad_fraction=config.max_bad_fraction,
    )
    try:
        outcome = read(
            [arrival.source()],
            reading,
            desk.output("data"),
            desk.output("rejected"),
            lambda done, total: desk.progress(done, total, "bytes"),
        )
    except InputError:
        arrival.forget()
        raise
    for note in (*arrival.notes(), *outcome.notes):
        desk.say(note)
    rows, total = outcome.num_rows, outcome.num_rows + outcome.num_rejected
    desk.measure("data.rows", rows, about="data", on="", n=rows, unit="rows", interval="exact")
    desk.measure("data.rejected_rate", outcome.rejected_rate, about="data", on="", n=total, interval="exact")
