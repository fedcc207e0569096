"""What follows from judged labels: a queue for people, and the data as it goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.labelling import queue
from modelyard.methods.data.labelling.queue import Item
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation.label_quality import confident
from modelyard.methods.evaluation.label_quality.judging import Judged
from modelyard.methods.evaluation.label_quality.rows import shown

Action = Literal["none", "remove", "weight"]
LIKELY, LESS = "likely label error", "weighted down"
AUDIT = "label audit"
WEIGHT = "weight"


def write_queue(folder: Path, data: Dataset, judged: Judged, most: int, audit: int, seed: int) -> None:
    """Rows drawn at random first, in random order, so that any beginning of them is a sample; then the flagged ones,
    then others whose label the model disputes, the likeliest errors first. A row stands in it once."""
    row_ids = judged.rows.row_ids
    drawn = ranks(seed, AUDIT, row_ids).argsort(kind="stable")[:audit].tolist()
    taken = set(drawn)
    doubtful = [(place, "issue") for place in _flagged(judged)] + [(place, "disputed") for place in _disputed(judged)]
    chosen = [(place, "audit") for place in drawn] + [one for one in doubtful if one[0] not in taken][:most]
    content = shown(data, "train", [row_ids[place] for place, _ in chosen])
    queue.write(folder, [_item(judged, place, why, content) for place, why in chosen], judged.labels)


def _item(judged: Judged, place: int, why: str, content: dict[str, tuple[str | None, bytes | None]]) -> Item:
    row_id, issues = judged.rows.row_ids[place], judged.issues
    return Item(
        row_id,
        *content[row_id],
        given=judged.rows.labels[place],
        suggested=judged.labels[int(issues.suggested[place])],
        score=float(issues.quality[place]),
        confidence=float(issues.confidence[place]),
        why=why,
    )


def write_data(data: Dataset, judged: Judged, action: Action, target: Path, removed: Path) -> Account:
    """Train as `action` says and validation as it is.

    With `weight`, the weight of a flagged row is multiplied by the probability of its label.
    """
    weight = _weight_column(data) if action == "weight" else None
    made = weight is not None and data.role("weight") is None
    columns = [*data.columns, *([Column(WEIGHT, "weight", "double")] if made else [])]
    schema, account = schema_of(columns), Account()
    write_schema(target, columns)
    acts = {} if action == "none" else {judged.rows.row_ids[place]: place for place in _flagged(judged)}
    with ChangeLog(removed, account) as log:
        for split in ("train", "validation"):
            with SplitWriter(target, split, schema) as writer:
                for batch in data.batches(split):
                    account.num_in += batch.num_rows
                    rows = pa.Table.from_batches([batch])
                    if made:
                        rows = rows.append_column(WEIGHT, pa.array([1.0] * batch.num_rows))
                    found = _places(rows, acts) if split == "train" else {}
                    if weight is not None:
                        rows = _weigh(rows, found, judged, weight, log)
                    elif found:
                        rows = _remove(rows, found, judged, log)
                    writer.write(rows)
                    log.kept(rows.num_rows, len(found) if weight is not None else 0)
    return account


def _flagged(judged: Judged) -> list[int]:
    places: list[int] = confident.order(judged.issues, judged.rows.row_ids).tolist()
    return places


def _disputed(judged: Judged) -> list[int]:
    """Places of the rows that are not flagged and whose most probable class is another one, in the queue's order."""
    places = np.flatnonzero((judged.probabilities.argmax(1) != judged.codes) & ~judged.issues.flagged).tolist()
    return sorted(places, key=lambda place: (judged.issues.quality[place], judged.rows.row_ids[place]))


def _weight_column(data: Dataset) -> str:
    """The column of weights, or the name of the one to make."""
    name = data.role("weight")
    if name is None and any(column.name == WEIGHT for column in data.columns):
        raise InputError(
            t("the data has a column `{name}` that is no weight", name=WEIGHT),
            where="data.label_errors",
            remedy=t("name it as the weight in data.read, or leave it out: `keep: [...]`"),
        )
    return name or WEIGHT


def _places(rows: pa.Table, acts: dict[str, int]) -> dict[int, int]:
    """Of the rows to act on: row of the table to place among the judged."""
    ids = rows.column(ROW_ID).to_pylist()
    return {row: acts[row_id] for row, row_id in enumerate(ids) if row_id in acts}


def _remove(rows: pa.Table, found: dict[int, int], judged: Judged, log: ChangeLog) -> pa.Table:
    for row, place in found.items():
        log.removed(judged.rows.row_ids[place], LIKELY, _detail(judged, place), rows.slice(row, 1).to_pylist()[0])
    return rows.filter(pa.array([row not in found for row in range(rows.num_rows)], pa.bool_()))


def _weigh(rows: pa.Table, found: dict[int, int], judged: Judged, name: str, log: ChangeLog) -> pa.Table:
    weights = [1.0 if value is None else float(value) for value in rows.column(name).to_pylist()]
    for row, place in found.items():
        before = weights[row]
        weights[row] = before * float(judged.probabilities[place, judged.codes[place]])
        log.changed(judged.rows.row_ids[place], LESS, name, before, weights[row], _detail(judged, place))
    return rows.set_column(rows.column_names.index(name), name, pa.array(weights, pa.float64()))


def _detail(judged: Judged, place: int) -> str:
    likely, share = judged.labels[int(judged.issues.suggested[place])], judged.issues.confidence[place]
    return f"labelled {judged.rows.labels[place]}, likely {likely} ({share:.2f})"
