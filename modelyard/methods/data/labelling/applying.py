"""Answers applied to a data set: labels corrected, rows labelled, and every answer that does not fit kept apart.

Two passes over the rows. The first looks only for what the answers speak about, so that memory grows with the answers
and not with the data; the second writes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.labelling.answers import Answer, BadLine, settle
from modelyard.methods.data.labelling.fitting import (
    Correcting,
    Outcome,
    Progress,
    bad_answer,
    check_labels,
    chosen,
    survey,
)
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.text import text_key

CORRECTED, LABELLED = "corrected", "labelled"
REJECTED = (
    Column(ROW_ID, "other", "string"),
    Column("place", "other", "string"),
    Column("reason", "other", "string"),
    Column("detail", "other", "string"),
    Column("raw", "other", "string"),
)
EXAMPLES = 5


def apply(
    data: Dataset,
    answers: Sequence[Answer],
    bad: Sequence[BadLine],
    correcting: Correcting,
    target: Path,
    removed: Path,
    rejected: Path,
    progress: Progress,
) -> Outcome:
    """Write the split `all` of `data` with the answers applied to `target`, changes to `removed`, and the answers
    that do not fit to `rejected`.

    Raises:
        InputError: too many answers do not fit, or authors differ and `adjudicate` is `refuse`.
    """
    settled = settle(answers)
    outcome = Outcome(len(settled) + len(bad), list(bad))
    seen = survey(data, settled, progress)
    by_row, by_key = chosen(settled, seen, correcting, outcome)
    check_labels(by_row, by_key, seen.labels, correcting, outcome)
    used = _write(data, by_row, by_key, correcting, target, removed, outcome, progress)
    for answer in (*by_row.values(), *(one for found in by_key.values() for one in found)):
        if id(answer) not in used:
            outcome.bad.append(bad_answer(answer, "stale", t("the row no longer has the label it was judged by")))
    outcome.bad.sort(key=lambda one: _order(one.place))
    _write_rejected(rejected, outcome.bad)
    _refuse_too_many(outcome, correcting)
    return outcome


def _order(place: str) -> tuple[str, int]:
    name, _, line = place.rpartition(":")
    return name, int(line) if line.isdigit() else 0


def _write(
    data: Dataset,
    by_row: Mapping[str, Answer],
    by_key: Mapping[str, Sequence[Answer]],
    correcting: Correcting,
    target: Path,
    removed: Path,
    outcome: Outcome,
    progress: Progress,
) -> set[int]:
    """Second pass. Returns which answers (by identity) spoke about a row as it is."""
    label, text = data.role("label"), data.role("text")
    name = label or _free(correcting.label, data)
    columns = list(data.columns) if label else [*data.columns, Column(name, "label", "string")]
    schema = schema_of(columns)
    write_schema(target, columns)
    used: set[int] = set()
    num_rows, done = data.num_rows("all"), 0
    account = outcome.account
    account.num_in = num_rows
    with ExitStack() as stack:
        good = stack.enter_context(SplitWriter(target, "all", schema))
        log = stack.enter_context(ChangeLog(removed, account))
        for batch in data.batches("all"):
            labels = batch.column(label).to_pylist() if label else [None] * batch.num_rows
            num_changed = 0
            for place, answer in _about(batch, text, labels, by_row, by_key):
                before = labels[place]
                if not _applies(before, answer, outcome, used):
                    continue
                labels[place] = answer.after
                num_changed += 1
                reason = LABELLED if before is None else CORRECTED
                log.changed(str(batch.column(ROW_ID)[place]), reason, name, before, answer.after, _detail(answer))
            table = pa.Table.from_batches([batch])
            values = pa.array(labels, pa.string())
            spot = schema.get_field_index(name)
            field_ = schema.field(spot)
            good.write(table.set_column(spot, field_, values) if label else table.append_column(field_, values))
            log.kept(batch.num_rows, num_changed)
            done += batch.num_rows
            progress(num_rows + done, 2 * num_rows)
    return used


def _about(
    batch: pa.RecordBatch,
    text: str | None,
    labels: Sequence[str | None],
    by_row: Mapping[str, Answer],
    by_key: Mapping[str, Sequence[Answer]],
) -> Iterator[tuple[int, Answer]]:
    """Places of the rows that an answer speaks about, with the answer."""
    texts = batch.column(text).to_pylist() if text and by_key else None
    for place, row_id in enumerate(batch.column(ROW_ID).to_pylist()):
        answer = by_row.get(row_id)
        if answer is None and texts is not None:
            found = by_key.get(text_key(texts[place] or "").hex(), ())
            answer = next((one for one in found if labels[place] in (one.before, one.after)), None)
        if answer is not None:
            yield place, answer


def _applies(before: str | None, answer: Answer, outcome: Outcome, used: set[int]) -> bool:
    """Whether the row's label is to be changed; an answer counts once, however many rows share its text."""
    first = id(answer) not in used
    if before not in (answer.before, answer.after):
        return False
    used.add(id(answer))
    outcome.fitting[answer.row_id] = answer
    if before != answer.after:
        return True
    if first:
        outcome.num_confirmed += answer.before == answer.after
        outcome.num_already += answer.before != answer.after
    return False


def _free(name: str, data: Dataset) -> str:
    if any(column.name == name for column in data.columns):
        raise InputError(
            t("the data has a column `{name}` that is no label", name=name),
            where="data.correct",
            remedy=t("give the new column another name: `label: …`"),
        )
    return name


def _detail(answer: Answer) -> str:
    parts = [answer.author or "?", answer.time]
    return " ".join(part for part in parts if part) + (f": {answer.note}" if answer.note else "")


def _write_rejected(folder: Path, bad: Sequence[BadLine]) -> None:
    write_schema(folder, REJECTED)
    schema = schema_of(REJECTED)
    values = [[one.row_id, one.place, one.kind, one.detail, one.raw] for one in bad]
    with SplitWriter(folder, "all", schema) as writer:
        if values:
            columns = [list(column) for column in zip(*values, strict=True)]
            writer.write(pa.table([pa.array(column, pa.string()) for column in columns], schema))


def _refuse_too_many(outcome: Outcome, correcting: Correcting) -> None:
    """A dispute that is left open is no fault of an answer, and does not count."""
    bad = [one for one in outcome.bad if one.kind != "disputed"]
    if len(bad) <= correcting.max_bad_fraction * max(1, outcome.num_answers):
        return
    head = Problem(
        "data.correct",
        t("{bad:,} of {total:,} answers cannot be applied", bad=len(bad), total=outcome.num_answers),
        t("at most {limit:.1%} (setting `max_bad_fraction`)", limit=correcting.max_bad_fraction),
        t("mend the file of answers; the first that do not fit follow"),
    )
    raise InputError.of([head, *(Problem(one.place, f"{t(one.kind)}: {one.detail}") for one in bad[:EXAMPLES])])
