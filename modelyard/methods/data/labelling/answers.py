"""What people said about labels: one JSON object a line, appended and never rewritten.

    {"row_id": "1f3a…-12", "before": "ham", "after": "spam", "author": "li", "time": "2026-03-01T09:30:00+00:00",
     "note": "", "from": "sha256:…", "why": "issue", "key": "9c0e…"}

`after` equal to `before` confirms a label; `after: null` takes the author's earlier answer back; `before: null` is a
row without a label. `from` is the queue's digest, `why` the queue's reason. `key` is that of the text, by which a row
is found again when the file it came from was written anew and its row id is gone.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from modelyard.base.messages import t
from modelyard.methods.data.rows import SURROGATE

Adjudicate = Literal["last", "leave", "refuse"]
STRINGS = ("author", "time", "note", "from", "why", "key")
UNKNOWN = datetime.datetime.min.replace(tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Answer:
    """One line; `place` is its file and line, `source` the line's `from`."""

    row_id: str
    before: str | None
    after: str | None
    author: str = ""
    time: str = ""
    note: str = ""
    source: str = ""
    why: str = ""
    key: str = ""
    place: str = ""

    def to_line(self) -> str:
        """The JSON line, without its end."""
        value = {
            "row_id": self.row_id,
            "before": self.before,
            "after": self.after,
            "author": self.author,
            "time": self.time,
            "note": self.note,
            "from": self.source,
            "why": self.why,
            "key": self.key,
        }
        return json.dumps(value, ensure_ascii=False)

    def moment(self) -> datetime.datetime:
        """When it was given, in UTC; the earliest there is if it does not say."""
        try:
            found = datetime.datetime.fromisoformat(self.time)
        except ValueError:
            return UNKNOWN
        return found.astimezone(datetime.UTC) if found.tzinfo else found.replace(tzinfo=datetime.UTC)


@dataclass(frozen=True)
class BadLine:
    """A line that is no answer, or an answer that cannot be applied."""

    place: str
    row_id: str
    kind: str
    detail: str
    raw: str


def parse(data: bytes, name: str) -> tuple[list[Answer], list[BadLine]]:
    """The answers of a file, in its order, and the lines that are none. Empty lines are nothing."""
    answers, bad = [], []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"{name}:{number}"
        raw = line.decode("utf-8", "backslashreplace")
        try:
            answers.append(_answer(json.loads(line.decode("utf-8-sig")), place))
        except (ValueError, RecursionError) as error:
            bad.append(BadLine(place, "", "no answer", str(error), raw))
    return answers, bad


def _answer(value: Any, place: str) -> Answer:
    """Raises ValueError saying what is wrong."""
    if not isinstance(value, dict):
        raise ValueError(t("not an object"))
    row_id = value.get("row_id")
    if not isinstance(row_id, str) or not row_id:
        raise ValueError(t("`{name}` is not a string", name="row_id"))
    for name in ("before", "after"):
        if name not in value:
            raise ValueError(t("`{name}` is missing", name=name))
        if value[name] is not None and (not isinstance(value[name], str) or not value[name].strip()):
            raise ValueError(t("`{name}` is neither a label nor null", name=name))
    given = {name: value.get(name) or "" for name in STRINGS}
    wrong = [name for name, text in given.items() if not isinstance(text, str)]
    if wrong:
        raise ValueError(t("`{name}` is not a string", name=wrong[0]))
    if any(SURROGATE.search(text) for text in (row_id, value["before"] or "", value["after"] or "", *given.values())):
        raise ValueError(t("half a character, which no text may hold"))
    given["source"] = given.pop("from")
    after = value["after"]
    return Answer(row_id, value["before"], after.strip() if after is not None else None, place=place, **given)


@dataclass(frozen=True)
class Settled:
    """What holds after all answers about one row.

    Attributes:
        answer: the last one of the author who spoke last; None if all were taken back.
        others: the last answers of other authors that say something else.
    """

    answer: Answer | None
    others: tuple[Answer, ...] = ()


def settle(answers: Sequence[Answer]) -> dict[str, Settled]:
    """By row, what its authors finally said.

    An author's later line replaces the earlier one. Authors are ordered by time; within one author and file the order
    of the lines counts, whatever a clock that was set back says.
    """
    last: dict[str, dict[str, tuple[datetime.datetime, int, Answer]]] = {}
    so_far: dict[tuple[str, str], datetime.datetime] = {}
    for number, answer in enumerate(answers):
        stream = (answer.place.rpartition(":")[0], answer.author)
        moment = max(answer.moment(), so_far.get(stream, UNKNOWN))
        so_far[stream] = moment
        of_row = last.setdefault(answer.row_id, {})
        known = of_row.get(answer.author)
        if known is None or (moment, number) > known[:2]:
            of_row[answer.author] = (moment, number, answer)
    return {row_id: _final(found.values()) for row_id, found in last.items()}


def _final(found: Iterable[tuple[datetime.datetime, int, Answer]]) -> Settled:
    standing = [answer for _, _, answer in sorted(found, key=lambda one: one[:2]) if answer.after is not None]
    if not standing:
        return Settled(None)
    final = standing[-1]
    return Settled(final, tuple(answer for answer in standing[:-1] if answer.after != final.after))
