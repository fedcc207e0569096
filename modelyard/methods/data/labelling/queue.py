"""A queue of rows for a person to label, as a data set of its own; the same whoever asks for it.

row_id     of the row in question
text       what to read: the text, or the columns of a table row as JSON; None for an image
image      encoded bytes, if the rows are images
given      the label it has, None if it has none
suggested  the label the model would give
score      0 to 1; the row is the more pressing the lower it is
confidence the model's probability of the suggested label
why        `issue` (the label is likely wrong), `disputed` (a model would give another), `next` (worth a label),
           `audit` (drawn at random)

Rows stand in the order in which to look at them. `queue.json` beside them lists the labels there are.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, write_schema, write_split

FILE = "queue.json"
VERSION = 1
COLUMNS = (
    Column(ROW_ID, "other", "string"),
    Column("text", "text", "string"),
    Column("image", "image", "binary"),
    Column("given", "other", "string"),
    Column("suggested", "other", "string"),
    Column("score", "other", "double"),
    Column("confidence", "other", "double"),
    Column("why", "other", "string"),
)
SCHEMA = pa.schema([(column.name, pa.type_for_alias(column.type)) for column in COLUMNS])


@dataclass(frozen=True)
class Item:
    """One row of a queue; see above."""

    row_id: str
    text: str | None
    image: bytes | None
    given: str | None
    suggested: str | None
    score: float
    confidence: float
    why: str


@dataclass(frozen=True)
class Queue:
    """A queue in memory: it is as long as a person's patience.

    Attributes:
        labels: every label there is, sorted.
        digest: of the artifact it was read from; answers name it. Empty if unknown.
    """

    items: tuple[Item, ...]
    labels: tuple[str, ...]
    digest: str = ""


def write(folder: Path, items: Sequence[Item], labels: Sequence[str]) -> None:
    """Write a queue as a data set folder."""
    write_schema(folder, COLUMNS)
    columns = {name: [getattr(item, name) for item in items] for name in SCHEMA.names}
    write_split(folder, "all", [pa.table(columns, SCHEMA)], SCHEMA)
    (folder / FILE).write_bytes(canonical_json({"version": VERSION, "labels": sorted(labels)}) + b"\n")


def read(folder: Path, digest: str = "") -> Queue:
    """Raises InputError if the folder holds no queue."""
    try:
        value = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            t("not a queue of rows to label"),
            where=str(folder),
            expected=t("the output `queue` of data.label_errors or data.select"),
        ) from None
    rows = Dataset.open(folder).table("all").to_pylist()
    return Queue(tuple(Item(**row) for row in rows), tuple(value["labels"]), digest)
