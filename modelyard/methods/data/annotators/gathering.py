"""Label exports to items and votes: files made readable, read as tables, and taken apart."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.annotators import label_studio
from modelyard.methods.data.annotators.ballots import Collector, Layout, Rules
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.reading import Outcome, Reading, read
from modelyard.methods.data.sources import Source, head_of

TASKS = Layout("long", label_studio.ITEM, label_studio.ANNOTATOR, label_studio.LABEL, label_studio.STATUS)
FLAT = Layout("long", "id", "annotator", "")


@dataclass(frozen=True)
class Export:
    """Files of one export, ready to be read as tables.

    Attributes:
        sources: with JSON arrays rewritten as JSON lines; names and digests are those of the files.
        layout: where the votes stand.
    """

    sources: list[Source]
    layout: Layout


def prepare(sources: Sequence[Source], layout: Layout | None, question: str | None, scratch: Path) -> Export:
    """Rewrite JSON exports, and say where the votes stand.

    Args:
        layout: as the user named the columns; None: the files must be Label Studio's.

    Raises:
        InputError: the files are of several kinds, or it is not said where the votes stand.
    """
    found, kinds = [], set()
    for number, source in enumerate(sources, start=1):
        if not label_studio.is_json_array(head_of(source)):
            found.append(source)
            kinds.add("table")
            continue
        target = scratch / f"export-{number}.jsonl"
        _, tasks = label_studio.convert(source, target, question)
        found.append(replace(source, path=target, size=target.stat().st_size))
        kinds.add("tasks" if tasks else "flat")
    if len(kinds) > 1:
        raise InputError(
            t("some files are tables and some are exports of tasks"),
            where=sources[0].name,
            remedy=t("read each kind in a step of its own"),
        )
    return Export(found, _layout(kinds.pop(), layout, question, sources[0].name))


def _layout(kind: str, layout: Layout | None, question: str | None, where: str) -> Layout:
    if kind == "tasks":
        return replace(TASKS, text=layout.text if layout else None)
    if layout is not None and layout.needs():
        return layout
    if kind == "flat" and question is not None:
        return replace(FLAT, label=question, text=layout.text if layout else None)
    raise InputError(
        t("it is not said where the votes stand"),
        where=where,
        expected=t("`item`, `annotator` and `label` (a row a vote), `annotators: [...]`, or `vote_counts`"),
    )


@dataclass(frozen=True)
class Gathered:
    """Items and votes.

    Attributes:
        collector: holds the votes.
        items: the items as a data set, if the export has columns beside the votes; else None.
        unusable: item ids whose row cannot be used in its role, with the reason.
        outcome: how the tables were read.
    """

    collector: Collector
    items: Dataset | None
    unusable: dict[str, tuple[str, str]]
    outcome: Outcome


def gather(
    export: Export, reading: Reading, rules: Rules, scratch: Path, bad: Path, progress: Callable[[int, int], None]
) -> Gathered:
    """Read the tables, collect the votes, and make a data set of the items' own columns.

    Args:
        reading: roles and form of the items' columns; `keep` names the items' columns only.
        bad: where rejected rows of the tables are written.
    """
    table = _fresh(scratch / "table")
    wanted = None if reading.keep is None else [*reading.keep, *reading.roles.values(), *export.layout.needs()]
    plain = replace(reading, roles={}, keep=None if wanted is None else list(dict.fromkeys(wanted)))
    outcome = read(export.sources, plain, table, bad, progress)
    data = Dataset.open(table)
    export.layout.check(data, export.sources[0].name)
    collector = Collector(export.layout, rules)
    collector.read(data)
    own = [column.name for column in data.columns if column.name not in (ROW_ID, *export.layout.needs())]
    if not own:
        return Gathered(collector, None, {}, outcome)
    items, unusable = _items(data, own, collector, reading, scratch)
    return Gathered(collector, items, unusable, outcome)


def _items(
    data: Dataset, own: Sequence[str], collector: Collector, reading: Reading, scratch: Path
) -> tuple[Dataset, dict[str, tuple[str, str]]]:
    """The first row of every item, its columns in their roles; and the items whose row is not usable."""
    file = scratch / "items.parquet"
    write_first_rows(data, own, collector.first, file)
    good, bad = _fresh(scratch / "items"), _fresh(scratch / "items-rejected")
    source = Source(file, "items", None, "sha256:items", file.stat().st_size)
    read([source], replace(reading, form="parquet"), good, bad, lambda done, total: None)
    names = list(collector.ballots.items)
    rejected = Dataset.open(bad).table("all", [ROW_ID, "reason", "raw"]).to_pylist()
    return Dataset.open(good), {names[place_of(row[ROW_ID])]: (row["reason"], row["raw"]) for row in rejected}


def write_first_rows(data: Dataset, own: Sequence[str], first: Sequence[int], file: Path) -> None:
    """Rows of `data` at the places `first` (ascending), columns `own`, as one Parquet file."""
    kinds = {column.name: pa.type_for_alias(column.type) for column in data.columns}
    schema = pa.schema([pa.field(name, kinds[name]) for name in own])
    start, done = 0, 0
    with pq.ParquetWriter(file, schema) as writer:
        for batch in data.batches("all", own):
            places = []
            while done < len(first) and first[done] < start + batch.num_rows:
                places.append(first[done] - start)
                done += 1
            if places:
                writer.write_table(pa.Table.from_batches([batch]).take(places).select(own).cast(schema))
            start += batch.num_rows


def place_of(row_id: str) -> int:
    """Place of an item from the row id it got when its row was read: they are numbered from 1."""
    match = re.search(r"-(\d+)$", row_id)
    assert match is not None, row_id
    return int(match.group(1)) - 1


def _fresh(folder: Path) -> Path:
    """An empty folder: a killed run may have left something."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
