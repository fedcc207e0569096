"""Which answers fit a data set: their rows are there, by id or by text, and their labels are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.account import Account
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.labelling.answers import Adjudicate, Answer, BadLine, Settled
from modelyard.methods.data.text import text_key

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Correcting:
    """How answers are applied; the settings of data.correct.

    Attributes:
        adjudicate: where authors differ: the last answer holds, the row is left as it is, or nothing is done at all.
        new_labels: labels that no row has yet may be given.
        rematch: an answer whose row id is gone finds rows by the key of their text.
        label: name of the label column to make where the data has none.
        max_bad_fraction: more answers that do not fit than this share are an error.
    """

    adjudicate: Adjudicate = "last"
    new_labels: bool = False
    rematch: bool = True
    label: str = "label"
    max_bad_fraction: float = 0.05


@dataclass
class Outcome:
    """What became of the answers.

    Attributes:
        num_answers: rows answered for, and lines that are no answer.
        bad: answers that could not be applied.
        num_confirmed: labels that stay because their answer says so.
        num_already: rows that already had the label of their answer.
        num_rematched: answers that found their rows by text.
        num_disputed: rows whose authors differ.
        fitting: by the row id they name, the answers that spoke about a row as it is.
    """

    num_answers: int = 0
    bad: list[BadLine] = field(default_factory=list)
    num_confirmed: int = 0
    num_already: int = 0
    num_rematched: int = 0
    num_disputed: int = 0
    fitting: dict[str, Answer] = field(default_factory=dict)
    account: Account = field(default_factory=Account)


@dataclass
class Seen:
    """What the first pass found: labels there are, and which row ids and text keys that answers name do exist."""

    labels: set[str] = field(default_factory=set)
    row_ids: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)


def survey(data: Dataset, settled: Mapping[str, Settled], progress: Progress) -> Seen:
    seen, wanted = Seen(), {one.answer.key for one in settled.values() if one.answer and one.answer.key}
    label, text = data.role("label"), data.role("text")
    total, done = 2 * data.num_rows("all"), 0
    for batch in data.batches("all", [name for name in (ROW_ID, label, text) if name]):
        seen.row_ids.update(row_id for row_id in batch.column(ROW_ID).to_pylist() if row_id in settled)
        if label:
            seen.labels.update(str(value) for value in batch.column(label).unique().to_pylist() if value is not None)
        if text and wanted:
            keys = (text_key(value or "").hex() for value in batch.column(text).to_pylist())
            seen.keys.update(key for key in keys if key in wanted)
        done += batch.num_rows
        progress(done, total)
    return seen


def chosen(
    settled: Mapping[str, Settled], seen: Seen, correcting: Correcting, outcome: Outcome
) -> tuple[dict[str, Answer], dict[str, list[Answer]]]:
    """The answer for each row id, and for each text key the answers (one for each label judged) whose row id is gone.

    Raises:
        InputError: authors differ and `adjudicate` is `refuse`.
    """
    by_row: dict[str, Answer] = {}
    of_text: dict[str, list[Settled]] = {}
    disputes: list[Problem] = []
    for row_id, one in settled.items():
        if one.answer is None:
            continue
        if one.others:
            outcome.num_disputed += 1
            disputes.append(_dispute(row_id, one))
            if correcting.adjudicate == "leave":
                outcome.bad.append(bad_answer(one.answer, "disputed", disputes[-1].found))
                continue
        if row_id in seen.row_ids:
            by_row[row_id] = one.answer
        elif correcting.rematch and one.answer.key in seen.keys:
            of_text.setdefault(one.answer.key, []).append(one)
        else:
            outcome.bad.append(bad_answer(one.answer, "unknown row", t("no row has this id")))
    by_key = {key: _of_one_text(found, correcting, outcome, disputes) for key, found in of_text.items()}
    if disputes and correcting.adjudicate == "refuse":
        raise InputError.of(disputes)
    return by_row, by_key


def _of_one_text(
    found: Sequence[Settled], correcting: Correcting, outcome: Outcome, disputes: list[Problem]
) -> list[Answer]:
    """The answers that hold for a text, of rows that are gone; those that say something else are kept as bad ones."""
    ranked = sorted(found, key=lambda one: one.rank)
    answers = [one.answer for one in ranked if one.answer]
    final = answers[-1]
    others = tuple(answer for answer in answers if answer.after != final.after)
    if others:
        outcome.num_disputed += 1
        disputes.append(_dispute(final.row_id, Settled(final, others)))
    left = answers if others and correcting.adjudicate == "leave" else others
    outcome.bad += [bad_answer(answer, "disputed", disputes[-1].found) for answer in left]
    standing = [answer for answer in answers if answer not in left]
    outcome.num_rematched += len(standing)
    return list({answer.before: answer for answer in standing}.values())


def _dispute(row_id: str, one: Settled) -> Problem:
    assert one.answer is not None
    said = [f"{answer.author or '?'}: {answer.after}" for answer in (*one.others, one.answer)]
    return Problem(
        one.answer.place,
        t("the authors differ about row {row}: {said}", row=row_id, said=", ".join(said)),
        t("one label"),
        t("let them agree, or set `adjudicate: last`"),
    )


def check_labels(
    by_row: dict[str, Answer],
    by_key: dict[str, list[Answer]],
    labels: set[str],
    correcting: Correcting,
    outcome: Outcome,
) -> None:
    """Take out answers that give a label no row has, unless that is allowed or there are no labels at all."""
    if correcting.new_labels or not labels:
        return
    known = sorted(labels)
    for row_id in [row_id for row_id, answer in by_row.items() if answer.after not in labels]:
        _refuse_label(by_row.pop(row_id), known, outcome)
    for key in [key for key, answers in by_key.items() if answers and answers[0].after not in labels]:
        for answer in by_key.pop(key):  # all answers for a text give the same label
            _refuse_label(answer, known, outcome)


def _refuse_label(answer: Answer, known: list[str], outcome: Outcome) -> None:
    hint = did_you_mean(str(answer.after), known[:20])
    found = t("no row has the label `{label}`", label=answer.after)
    outcome.bad.append(bad_answer(answer, "unknown label", f"{found}; {hint}" if hint else found))


def bad_answer(answer: Answer, kind: str, detail: str) -> BadLine:
    return BadLine(answer.place, answer.row_id, kind, detail, answer.to_line())
