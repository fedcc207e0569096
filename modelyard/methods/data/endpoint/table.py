"""The rows with their labels written, and those that got none beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.endpoint.answering import Answer
from modelyard.methods.data.roles import schema_of

LABEL, BY, SAID = "label", "label_by", "endpoint_label"
PEOPLE, ENDPOINT = "people", "endpoint"
NOT_ASKED = "not asked: the budget is spent"
LABELLED = "labelled by the endpoint"


def columns_of(data: Dataset, people: str | None) -> list[Column]:
    """The columns that go out: LABEL with the role, who gave it, and what the endpoint said.

    Raises:
        InputError: one of the new names is taken by a column that is not the people's labels.
    """
    taken = [column.name for column in data.columns if column.name in (BY, SAID)]
    taken += [LABEL for column in data.columns if column.name == LABEL and column.name != people]
    if taken:
        raise InputError(
            t("the rows have a column `{name}` already", name=taken[0]),
            where="data.label_by_endpoint",
            remedy=t("leave it out where the rows are read: `keep: [...]`"),
        )
    kept = [
        replace(column, role="other" if column.role == "label" else column.role)
        for column in data.columns
        if column.name != LABEL
    ]
    return [*kept, Column(LABEL, "label", "string"), Column(BY, "other", "string"), Column(SAID, "other", "string")]


def write(
    data: Dataset,
    people: Sequence[str | None],
    answers: Mapping[int, Answer | None],
    columns: Sequence[Column],
    out: Path,
    log: ChangeLog,
) -> None:
    """Write rows that have a label; a label of people stays, whatever the endpoint said.

    Args:
        people: label of each row by its place, or None.
        answers: of the rows that were asked about, by place; None where the budget was spent before.
    """
    schema, start = schema_of(columns), 0
    write_schema(out, columns)
    with SplitWriter(out, "all", schema) as writer:
        for batch in data.batches("all"):
            kept, changed = [], 0
            for place, row in enumerate(batch.to_pylist(), start=start):
                log.account.num_in += 1
                answer = answers.get(place)
                said = answer.label if answer else None
                label = people[place] or said
                if label is None:
                    reason, detail = (answer.reason, answer.said) if answer else (NOT_ASKED, "")
                    log.removed(str(row[ROW_ID]), reason, detail, row)
                    continue
                if not people[place]:
                    log.changed(str(row[ROW_ID]), LABELLED, LABEL, None, label)
                    changed += 1
                kept.append(_row(row, label, ENDPOINT if not people[place] else PEOPLE, said))
            start += batch.num_rows
            log.kept(len(kept), changed)
            if kept:
                writer.write(pa.Table.from_pylist(kept, schema=schema))


def _row(row: Mapping[str, Any], label: str, by: str, said: str | None) -> dict[str, Any]:
    return {**row, LABEL: label, BY: by, SAID: said}
