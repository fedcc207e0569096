"""Rows of instructions and of preferences as chats; those that cannot be read are counted by reason and left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language.chats import ANSWERS, Turn, turns_of

SHOWN = 3
CHATS = ("messages", "conversations")
"""Columns taken for chats if none is named."""
Row = Mapping[str, Any]
Made = TypeVar("Made")


@dataclass(frozen=True)
class InstructionColumns:
    """Where the parts of a row are; None: the usual name, if there is such a column."""

    messages: str | None = None
    instruction: str | None = None
    input: str | None = None
    output: str | None = None
    system: str | None = None


@dataclass(frozen=True)
class Chat:
    """A chat with at least one answer.

    Attributes:
        name: row id.
    """

    turns: list[Turn]
    name: str


@dataclass(frozen=True)
class Pair:
    """One question with an answer that was preferred and one that was not."""

    prompt: list[Turn]
    chosen: str
    rejected: str
    name: str


class Unusable(Exception):
    """A row that cannot be learned from, and why."""


def chats(data: Dataset, split: str, columns: InstructionColumns, hooks: Hooks) -> list[Chat]:
    """The rows of a split as chats.

    Raises:
        InputError: there are no such columns, or no row can be used.
    """
    there = {column.name for column in data.columns}
    chat = _column(there, columns.messages, CHATS)
    if chat is not None and columns.instruction is None and columns.output is None:
        return _collect(data, split, [chat], lambda row: _from_messages(row, chat), hooks)
    names = {
        "instruction": _column(there, columns.instruction, ("instruction", "prompt", "question")),
        "input": _column(there, columns.input, ("input",)),
        "output": _column(there, columns.output, ("output", "response", "answer")),
        "system": _column(there, columns.system, ("system",)),
    }
    if names["instruction"] is None or names["output"] is None:
        raise _no_columns(data, t("`messages`, or `instruction` and `output`"))
    wanted = [name for name in names.values() if name is not None]
    return _collect(data, split, wanted, lambda row: _from_instruction(row, names), hooks)


def pairs(
    data: Dataset, split: str, prompt: str | None, chosen: str | None, rejected: str | None, hooks: Hooks
) -> list[Pair]:
    """The rows of a split as pairs of answers.

    Raises:
        InputError: there are no such columns, or no row can be used.
    """
    there = {column.name for column in data.columns}
    asked = _column(there, prompt, ("prompt", "instruction", "question", *CHATS))
    better, worse = _column(there, chosen, ("chosen",)), _column(there, rejected, ("rejected",))
    if asked is None or better is None or worse is None:
        raise _no_columns(data, t("`prompt`, `chosen` and `rejected`"))
    names = (asked, better, worse)
    return _collect(data, split, names, lambda row: _pair(row, names), hooks)


def asked(data: Dataset, *named: str | None) -> str | None:
    """The column of what a model is asked, as `chats` and `pairs` find it; None if there is none."""
    there = {column.name for column in data.columns}
    wanted = (*(name for name in named if name), "instruction", "prompt", "question", *CHATS)
    return next((name for name in wanted if name in there), None)


def _column(there: set[str], named: str | None, usual: Sequence[str]) -> str | None:
    """The column that is named, else the first of the usual ones. Raises InputError if the named one is missing."""
    if named is not None and named not in there:
        raise InputError(t("no column `{name}`", name=named), where="data", expected=", ".join(sorted(there)))
    return named or next((name for name in usual if name in there), None)


def _no_columns(data: Dataset, expected: str) -> InputError:
    there = ", ".join(column.name for column in data.columns)
    return InputError(
        t("the columns to learn from are not there; there are: {names}", names=there),
        where="data",
        expected=expected,
        remedy=t("name the columns in the step's settings"),
    )


def _collect(
    data: Dataset, split: str, columns: Sequence[str], make: Callable[[Row], Made], hooks: Hooks
) -> list[Made]:
    found: list[Made] = []
    reasons: Counter[str] = Counter()
    examples: list[str] = []
    for row in _rows(data, split, columns):
        try:
            found.append(make(row))
        except Unusable as error:
            reasons[str(error)] += 1
            examples.append(str(row[ROW_ID]))
    for reason, count in sorted(reasons.items()):
        hooks.say(t("{count:,} {split} rows were left out: {reason}", count=count, split=split, reason=reason))
    if reasons:
        hooks.say(t("left out, for instance: {rows}", rows=", ".join(examples[:SHOWN])))
    if not found:
        raise InputError(
            t("no {split} row can be learned from", split=split),
            where=f"data/{split}",
            expected=t("rows with a question and an answer"),
            remedy=t("check the columns, data.read and data.split"),
        )
    return found


def _rows(data: Dataset, split: str, columns: Sequence[str]) -> Iterator[Row]:
    for batch in data.batches(split, [*dict.fromkeys(columns), ROW_ID]):
        yield from batch.to_pylist()


def _from_messages(row: Row, column: str) -> Chat:
    if row[column] is None:
        raise Unusable(t("no chat"))
    try:
        turns = turns_of(row[column], column)
    except InputError as error:
        raise Unusable(error.problems[0].found) from None
    while turns and turns[-1]["role"] != ANSWERS:
        turns.pop()
    if not turns:
        raise Unusable(t("no answer in the chat"))
    return Chat(turns, str(row[ROW_ID]))


def _from_instruction(row: Row, names: Mapping[str, str | None]) -> Chat:
    parts = {part: _text(row.get(name)) if name else "" for part, name in names.items()}
    if not parts["instruction"]:
        raise Unusable(t("no instruction"))
    if not parts["output"]:
        raise Unusable(t("no answer"))
    question = parts["instruction"] + (f"\n{parts['input']}" if parts["input"] else "")
    turns = [{"role": "system", "content": parts["system"]}] if parts["system"] else []
    turns += [{"role": "user", "content": question}, {"role": ANSWERS, "content": parts["output"]}]
    return Chat(turns, str(row[ROW_ID]))


def _pair(row: Row, names: tuple[str, str, str]) -> Pair:
    asked, better, worse = (row[name] for name in names)
    if not asked or not better or not worse:
        raise Unusable(t("no question or no answer"))
    prompt = _chat_or_text(asked)
    while prompt and prompt[-1]["role"] == ANSWERS:
        prompt.pop()
    answers = [_answer(value) for value in (better, worse)]
    if not prompt or not all(answers):
        raise Unusable(t("no question or no answer"))
    if answers[0] == answers[1]:
        raise Unusable(t("both answers are the same"))
    return Pair(prompt, answers[0], answers[1], str(row[ROW_ID]))


def _chat_or_text(value: Any) -> list[Turn]:
    """A prompt as turns: a chat if it is one, else one turn of a user."""
    if isinstance(value, str) and not _looks("[", value):
        return [{"role": "user", "content": value}]
    try:
        return turns_of(value, "prompt")
    except InputError:
        return [{"role": "user", "content": value}] if isinstance(value, str) else []


def _answer(value: Any) -> str:
    """The last turn of a chat, or the text itself."""
    if isinstance(value, str) and not (_looks("[", value) or _looks("{", value)):
        return value
    try:
        return turns_of(value, "answer")[-1]["content"]
    except InputError:
        return value if isinstance(value, str) else ""


def _looks(start: Literal["[", "{"], value: str) -> bool:
    """Whether a text is JSON of turns, and no text that begins with a bracket."""
    if not value.lstrip().startswith(start):
        return False
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return False
    first = parsed[0] if isinstance(parsed, list) and parsed else parsed
    return isinstance(first, dict) and bool({"role", "from"} & first.keys())


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.strip() else ""
