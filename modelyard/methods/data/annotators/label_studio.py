"""Exports of Label Studio, and any JSON array of objects, made into rows of one vote each.

Read are the full JSON export (a task with its `annotations`, each by one person) and JSON-MIN (one flat object an
annotation). Predictions and drafts are nobody's vote. Field names: Label Studio's documentation, "Task format" and
"Export annotations".
"""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.rows import SURROGATE
from modelyard.methods.data.sources import Source, open_bytes

ITEM, ANNOTATOR, LABEL, STATUS = "annotation.item", "annotation.annotator", "annotation.label", "annotation.status"
"""Columns of what `convert` writes, beside the task's own data; no key of a task's data is likely to be called so."""
CHUNK_CHARACTERS = 1 << 20
MOST_CHARACTERS = 64 << 20
NOT_READABLE = "the result is no list"
SINGLE = {"choices": "choices", "rating": "rating", "number": "number", "taxonomy": "taxonomy"}


def is_json_array(head: bytes) -> bool:
    """Whether a file begins like a JSON array of objects."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    return text.startswith(b"[") and text[1:].lstrip(b" \t\r\n")[:1] in (b"{", b"]")


def convert(source: Source, target: Path, question: str | None) -> tuple[int, bool]:
    """Write a JSON export as JSON lines, one vote a line.

    Args:
        question: `from_name` of the control whose answers count; None takes the only one there is.

    Returns:
        Lines written, and whether they are tasks with annotations (columns ITEM, ANNOTATOR, LABEL, STATUS) rather
        than flat objects, which are written as they are.

    Raises:
        InputError: it is not JSON, or several questions were asked and none is chosen.
    """
    num, tasks = 0, False
    asked: Counter[str] = Counter()
    with open_bytes(source) as (stream, _), target.open("w", encoding="utf-8") as out:
        for value in objects(stream, source.name):
            if isinstance(value.get("annotations"), list):
                tasks = True
                rows = list(votes(value, question, asked))
            else:
                rows = [value]
            for row in rows:
                out.write(_line(row) + "\n")
            num += len(rows)
    if question is None and len(asked) > 1:
        raise InputError(
            t("several questions were answered: {names}", names=", ".join(sorted(asked))),
            where=source.name,
            remedy=t("choose one: `question: {name}`", name=sorted(asked)[0]),
        )
    if question is not None and tasks and question not in asked:
        raise InputError(
            t("no answer to the question `{name}`", name=question),
            where=source.name,
            expected=t("one of: {names}", names=", ".join(sorted(asked)) or "-"),
        )
    return num, tasks


def _line(row: dict[str, Any]) -> str:
    """As JSON. Half a character, which no file holds, stays an escape: the reader of the lines then rejects the row."""
    text = json.dumps(row, ensure_ascii=False)
    return json.dumps(row) if SURROGATE.search(text) else text


def objects(stream: BinaryIO, where: str) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array, or of JSON lines, one at a time; a part of the file in memory.

    Raises:
        InputError: what stands there is no JSON object, or one is larger than MOST_CHARACTERS.
    """
    decoder, scan = codecs.getincrementaldecoder("utf-8-sig")(), json.JSONDecoder(parse_constant=_no_constant)
    buffer, place, ended, num = "", 0, False, 0
    while True:
        place = _skip(buffer, place)
        try:
            if place >= len(buffer):
                raise ValueError("the file ends")
            value, place = scan.raw_decode(buffer, place)
        except RecursionError:
            raise _not_json(where, num + 1, t("nested too deeply")) from None
        except ValueError as error:
            if ended or len(buffer) - place > MOST_CHARACTERS:
                if place >= len(buffer):
                    return
                raise _not_json(where, num + 1, str(error)) from None
            wanted = max(CHUNK_CHARACTERS, len(buffer) - place)
            buffer, ended = _more(stream, decoder, buffer[place:], wanted, where)
            place = 0
            continue
        num += 1
        if not isinstance(value, dict):
            raise _not_json(where, num, t("{kind} instead of an object", kind=type(value).__name__))
        yield value


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n,[]":
        place += 1
    return place


def _more(stream: BinaryIO, decoder: codecs.IncrementalDecoder, rest: str, wanted: int, where: str) -> tuple[str, bool]:
    raw = stream.read(wanted)
    try:
        return rest + decoder.decode(raw, not raw), not raw
    except UnicodeDecodeError as error:
        raise InputError(t("not UTF-8: {reason}", reason=error.reason), where=where) from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _not_json(where: str, num: int, reason: str) -> InputError:
    return InputError(
        t("object {n:,} cannot be read: {reason}", n=num, reason=reason),
        where=where,
        expected=t("a JSON array of objects, such as Label Studio's JSON export"),
    )


def votes(task: dict[str, Any], question: str | None, asked: Counter[str]) -> Iterator[dict[str, Any]]:
    """One row for each annotation of a task; a task without any gives one row without annotator.

    Args:
        asked: counts the questions that were answered.
    """
    data = task["data"] if isinstance(task.get("data"), dict) else {}
    base = {**data, ITEM: _name(task.get("id"))}
    given = [annotation for annotation in task["annotations"] if isinstance(annotation, dict)]
    for annotation in given:
        label, status = _answer(annotation, question, asked)
        yield {**base, ANNOTATOR: annotator_of(annotation), LABEL: label, STATUS: status}
    if not given:
        yield {**base, ANNOTATOR: None, LABEL: None, STATUS: "no annotation"}


def _answer(annotation: dict[str, Any], question: str | None, asked: Counter[str]) -> tuple[str | None, str]:
    """The class an annotation gives, or None and why not."""
    found: list[str] = []
    result = annotation.get("result")
    if result is not None and not isinstance(result, list):
        return None, NOT_READABLE
    for region in result or []:
        if not isinstance(region, dict) or not isinstance(region.get("type"), str) or region["type"] not in SINGLE:
            continue
        name = str(region.get("from_name"))
        asked[name] += 1
        if question is None or name == question:
            value = region.get("value")
            found += _labels(value.get(SINGLE[region["type"]]) if isinstance(value, dict) else None)
    if annotation.get("was_cancelled"):
        return None, "skipped"
    if not found:
        return None, "no label"
    if len(set(found)) > 1:
        return " | ".join(found), "several classes"
    return found[0], ""


def _labels(value: Any) -> list[str]:
    """Choices are a list; a rating or number stands alone; a taxonomy's choice is a path, whose end is the class."""
    if not isinstance(value, list):
        return [] if value is None or isinstance(value, dict) else [_name(value) or ""]
    return [str(item[-1] if isinstance(item, list) and item else item) for item in value]


def annotator_of(annotation: dict[str, Any]) -> str | None:
    """The person's number where there is one, else the address or name the export gives."""
    person = annotation.get("completed_by")
    if isinstance(person, dict):
        person = next((person[key] for key in ("id", "email", "username") if person.get(key) is not None), None)
    return _name(annotation.get("created_username") if person is None else person)


def _name(value: Any) -> str | None:
    if value is None or isinstance(value, list | dict):
        return None
    return str(value).strip() or None
