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
Rank = tuple[datetime.datetime, int]
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
        """When it was given, in UTC; the earliest there is if it does not say.

        Raises:
            ValueError: it is before or after all time; `parse` lets no such answer pass.
        """
        try:
            found = datetime.datetime.fromisoformat(self.time)
        except ValueError:
            return UNKNOWN
        try:
            return found.astimezone(datetime.UTC) if found.tzinfo else found.replace(tzinfo=datetime.UTC)
        except OverflowError:  # the first or last day there is, in another time zone
            raise ValueError(t("the time is out of range: {time}", time=self.time)) from None


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
    answer = Answer(row_id, value["before"], after.strip() if after is not None else None, place=place, **given)
    answer.moment()
    return answer


@dataclass(frozen=True)
class Settled:
    """What holds after all answers about one row.

    Attributes:
        answer: the last one of the author who spoke last; None if all were taken back.
        others: the last answers of other authors that say something else.
        rank: of `answer` among all answers: the higher, the later.
    """

    answer: Answer | None
    others: tuple[Answer, ...] = ()
    rank: Rank = (UNKNOWN, 0)


def settle(answers: Sequence[Answer]) -> dict[str, Settled]:
    """By row, what its authors finally said.

    An author's later line replaces the earlier one, and of several authors the last line counts. Files are appended
    to: within a file the order of the lines is the order of the answers, whatever clocks say. Times only order answers
    of different files. A line is no later than any line below it, so that a clock that ran ahead overrules nobody
    once a later answer stands below.
    """
    last: dict[str, dict[str, tuple[Rank, Answer]]] = {}
    for number, (moment, answer) in enumerate(zip(_moments(answers), answers, strict=True)):
        rank, of_row = (moment, number), last.setdefault(answer.row_id, {})
        known = of_row.get(answer.author)
        if known is None or rank > known[0]:
            of_row[answer.author] = (rank, answer)
    return {row_id: _final(found.values()) for row_id, found in last.items()}


def _moments(answers: Sequence[Answer]) -> list[datetime.datetime]:
    """When each answer was given at the latest: never falling within a file."""
    found = [answer.moment() for answer in answers]
    files = [answer.place.rpartition(":")[0] for answer in answers]
    earliest: dict[str, datetime.datetime] = {}
    for number in reversed(range(len(found))):
        if found[number] != UNKNOWN:
            found[number] = earliest[files[number]] = min(found[number], earliest.get(files[number], found[number]))
    latest: dict[str, datetime.datetime] = {}
    for number, name in enumerate(files):  # a line without a time is as late as the line above it
        found[number] = latest[name] = max(found[number], latest.get(name, UNKNOWN))
    return found


def _final(found: Iterable[tuple[Rank, Answer]]) -> Settled:
    standing = [one for one in sorted(found, key=lambda one: one[0]) if one[1].after is not None]
    if not standing:
        return Settled(None)
    rank, final = standing[-1]
    return Settled(final, tuple(answer for _, answer in standing[:-1] if answer.after != final.after), rank)
