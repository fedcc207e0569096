"""What a model is asked from a terminal: words and files become records, each with the place it came from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError, Problem

TABLES = (".csv", ".tsv", ".parquet", ".arrow", ".feather", ".xlsx")
"""Endings of files whose rows are records by their columns; also compressed."""
PACKED = (".gz", ".zst")
TEXT, IMAGE = "text", "image"


@dataclass(frozen=True)
class Question:
    """One record that is asked.

    Attributes:
        item: a record, or a string that stands for one: see `record_of`.
        where: its place, for messages: `people.csv:3`.
        problem: why the file holds no record there; then `item` says nothing.
    """

    item: str | Mapping[str, Any]
    where: str
    problem: Problem | None = None


@dataclass(frozen=True)
class Unanswered:
    """A record that the model cannot read."""

    problem: Problem

    def to_json(self) -> dict[str, Any]:
        return {"error": self.problem.to_json()}


def from_file(path: Path, column: str | None = None) -> Iterator[Question]:
    """The records of a file, as its name says: JSON lines, a table, an image; of any other, each line is a text.

    Args:
        column: of a table, the one that holds the text; otherwise the whole row is the record.

    Raises InputError if it cannot be read. A line or row that is broken is a question with its problem.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in PACKED]
    kind = suffixes[-1] if suffixes else ""
    if kind in TABLES:
        yield from _rows(path, column)
        return
    if column is not None:
        raise InputError(
            t("only a table has columns"), where=str(path), expected=", ".join(TABLES), remedy=t("leave --column out")
        )
    if image_bytes(str(path)) is not None:
        yield Question(str(path), str(path))
        return
    lines = _lines(path)
    for number, line in lines:
        where = f"{path}:{number}"
        yield _json(line, where) if kind == ".jsonl" else Question(line.rstrip("\r"), where)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(t("cannot read the file: {error}", error=error.strerror or error), where=str(path)) from None
    except UnicodeDecodeError as error:
        raise InputError(t("cannot read the file: {error}", error=error), where=str(path), expected="UTF-8") from None
    # Lines end in a line feed only: JSON may hold U+2028 and others that `splitlines` would break it at.
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def _json(line: str, where: str) -> Question:
    try:
        return Question(json.loads(line), where)
    except (ValueError, RecursionError) as error:
        return Question("", where, Problem(where, t("not JSON: {error}", error=error)))


def _rows(path: Path, column: str | None) -> Iterator[Question]:
    """Rows of a table, read as `data.read` reads it."""
    from modelyard.methods.data.reading import Reading, open_reader
    from modelyard.methods.data.sources import resolve

    if not path.is_file():
        raise InputError(t("there is no such file"), where=str(path))
    reader, _ = open_reader(resolve(path.name, path.parent)[0], Reading())
    names = list(reader.names)
    if column is not None and column not in names:
        found = t("there is no column `{name}`", name=column)
        raise InputError(found, where=str(path), expected=", ".join(names), remedy=did_you_mean(column, names))
    for number, values, _ in reader.rows():
        where = f"{path}:{number}"
        if not isinstance(values, list):
            yield Question("", where, Problem(where, values.reason, remedy=t("mend the row, or leave it out")))
            continue
        row = {name: _value(value) for name, value in zip(names, values, strict=True)}
        yield Question(row if column is None else {TEXT: row[column]}, where)


def _value(value: Any) -> Any:
    """A cell as JSON would bring it: nothing there, a number, a word."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)


def record_of(question: Question, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record a question stands for, by what the model reads.

    A string is the text of a model that reads texts, the path of an image for one that reads images, else a record as
    JSON.

    Raises InputError if it stands for none.
    """
    if question.problem is not None:
        raise InputError.of([question.problem])
    item = question.item
    if isinstance(item, Mapping):
        return _checked(item, question, inputs)
    if not isinstance(item, str):
        raise InputError(t("a record is an object or a text"), where=question.where, expected='{"…": …}')
    if TEXT in inputs:
        return {TEXT: item}
    if IMAGE in inputs:
        encoded = image_bytes(item)
        if encoded is not None:
            return {IMAGE: encoded}
    return _parsed(item, question, IMAGE in inputs)


def _checked(item: Mapping[str, Any], question: Question, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of a table file has more columns than a model of one text reads."""
    if inputs.keys() == {TEXT} and TEXT not in item and not {"prompt", "messages"} & item.keys():
        raise InputError(
            t("the record has no column `{name}`", name=TEXT),
            where=question.where,
            expected=", ".join(str(name) for name in item),
            remedy=t("say which column holds the text: --column NAME"),
        )
    return item


def _parsed(text: str, question: Question, is_image: bool) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(
            t("there is no such image file") if is_image else t("the model reads no text"),
            where=question.where,
            expected=t("the path of an image") if is_image else t("a record as JSON: {example}", example="{…}"),
        )
    return value


def image_bytes(path: str) -> bytes | None:
    """The bytes of an image file; None if it is no file or does not begin as an image does."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(12)
            return head + stream.read() if _is_image(head) else None
    except (OSError, ValueError):
        return None


def _is_image(head: bytes) -> bool:
    """Whether a file begins as PNG, JPEG, GIF, BMP or WebP (RIFF) do."""
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"BM")):
        return True
    return head.startswith(b"RIFF") and head[8:12] == b"WEBP"
