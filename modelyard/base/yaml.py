"""Strict YAML 1.2: plain data with the line of every key and value, and every problem at once.

YAML here is data and nothing else: scalars follow the core schema of YAML 1.2 (10.3.2: `on` and `NO` are text, `1e-4`
is a number), keys are always text, and anchors, aliases, tags, merge keys, directives and several documents are
refused, as are duplicate keys. ruamel.yaml supplies the parser's events; values are resolved here, because its own
resolver keeps readings of YAML 1.1. Size, depth and the number of nodes have caps, so that a hostile file costs little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from modelyard.base.messages import t
from modelyard.errors import Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_NODES = 20_000
"""Keys and values together; about half a second of parsing."""
MAX_LINES = 50_000
MAX_LINE_LENGTH = 1 << 16
"""Characters. The parser's time is quadratic in the length of a tag: 13 s measured for 1 MiB of `!`."""
MAX_PROBLEMS = 1000

Event: TypeAlias = Any
"""ruamel.yaml's events; which attributes one has depends on its class, as the parser made it."""

KeyPath: TypeAlias = tuple[str | int, ...]
"""From the root: keys of mappings and positions in lists."""

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = frozenset((".nan", ".NaN", ".NAN"))
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True)
class Document:
    """What was read.

    Attributes:
        name: the file, as the user named it.
        value: dict, list, str, int, float, bool or None; None if nothing could be read.
        problems: everything that is wrong, in the order of the file. The value holds what could be read all the same.
        key_lines: where each key (or list item) stands, 1-based.
        value_lines: where each value begins, 1-based.
    """

    name: str
    value: Any
    problems: tuple[Problem, ...] = ()
    key_lines: Mapping[KeyPath, int] = field(default_factory=dict)
    value_lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def line(self, path: KeyPath, of_value: bool = False) -> int:
        """Line of a key (or of its value); of the nearest thing above it that is there; 1 if nothing is."""
        lines = self.value_lines if of_value else self.key_lines
        while path:
            if path in lines:
                return lines[path]
            path, lines = path[:-1], self.key_lines
        return 1

    def where(self, path: KeyPath, of_value: bool = False) -> str:
        return f"{self.name}:{self.line(path, of_value)}"


def read_yaml(path: Path, name: str | None = None) -> Document:
    """Read a file; it is called `name` (or its path) in problems. A file that cannot be opened is a problem too."""
    shown = name if name is not None else str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        problem = Problem(shown, t("cannot be read: {reason}", reason=error.strerror or error))
        return Document(shown, None, (problem,))
    return parse_yaml(data, shown)


def parse_yaml(data: bytes | str, name: str) -> Document:
    """Parse bytes (or text) that are called `name` in problems. Never raises for bad input."""
    problems: list[Problem] = []
    text = data if isinstance(data, str) else _decode(data, name, problems)
    if text is None or not (_printable(text, name, problems) and _of_sane_size(text, name, problems)):
        return Document(name, None, tuple(problems))
    builder = _Builder(name, problems)
    value = builder.build(text)
    return Document(name, value, tuple(problems), builder.key_lines, builder.value_lines)


def parse_scalar(text: str) -> tuple[Any, str | None]:
    """A value written on a command line (`2`, `true`, `[a, b]`): the value and, if it is no YAML, what is wrong."""
    document = parse_yaml(text, "value")
    return document.value, document.problems[0].found if document.problems else None


def resolve(text: str) -> Any:
    """A plain scalar by the core schema. Raises ValueError for a whole number of thousands of digits."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text[2:], 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITE.fullmatch(text):
        return float("-inf") if text.startswith("-") else float("inf")
    return float("nan") if text in _NAN else text


def _decode(data: bytes, name: str, problems: list[Problem]) -> str | None:
    remedy = t("save it as UTF-8 without a byte order mark")
    if len(data) > MAX_BYTES:
        problems.append(Problem(name, t("larger than {limit} bytes", limit=MAX_BYTES), t("a file a person wrote")))
        return None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        problems.append(Problem(f"{name}:1", t("written in UTF-16"), "UTF-8", remedy))
        return None
    if data.startswith(b"\xef\xbb\xbf"):
        problems.append(Problem(f"{name}:1", t("begins with a byte order mark"), "UTF-8", remedy))
        data = data[3:]
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = t("byte 0x{byte:02x} is not UTF-8", byte=data[error.start])
        problems.append(Problem(f"{name}:{line}", found, "UTF-8", remedy))
        return None


def _printable(text: str, name: str, problems: list[Problem]) -> bool:
    """Control characters, NUL above all, mean that this is no text."""
    found = _CONTROL.search(text)
    if found is None:
        return True
    line = text.count("\n", 0, found.start()) + 1
    code = f"U+{ord(found.group()):04X}"
    kind = t("a NUL byte") if code == "U+0000" else t("the control character {code}", code=code)
    problems.append(Problem(f"{name}:{line}", kind, t("text"), t("remove it; this may not be a text file")))
    return False


def _of_sane_size(text: str, name: str, problems: list[Problem]) -> bool:
    expected = t("a file a person wrote")
    lines = text.split("\n")
    if len(text) > MAX_BYTES:
        problems.append(Problem(name, t("larger than {limit} bytes", limit=MAX_BYTES), expected))
    elif len(lines) > MAX_LINES:
        problems.append(Problem(f"{name}:{MAX_LINES}", t("more than {limit} lines", limit=MAX_LINES), expected))
    else:
        long = [number for number, line in enumerate(lines, 1) if len(line) > MAX_LINE_LENGTH]
        found = t("a line of more than {limit} characters", limit=MAX_LINE_LENGTH)
        problems += [Problem(f"{name}:{number}", found, expected) for number in long]
        return not long
    return False


def _brief(text: object) -> str:
    """Names from the file as they are quoted in problems."""
    shown = str(text)
    return shown if len(shown) <= 60 else shown[:59] + "…"


class _Stop(Exception):
    """Nothing more can be read; the problem is already noted."""


class _Builder:
    """Turns the parser's events into values, noting lines and problems. One use."""

    def __init__(self, name: str, problems: list[Problem]) -> None:
        self.name = name
        self.problems = problems
        self.key_lines: dict[KeyPath, int] = {}
        self.value_lines: dict[KeyPath, int] = {}
        self.num_nodes = 0
        self.line = 1
        self.dropping = 0

    def build(self, text: str) -> Any:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError, YAMLError

        value: Any = None
        events: Iterator[Event] = iter(YAML(typ="safe", pure=True).parse(text))
        try:
            value = self._document(events)
        except _Stop:
            pass
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.line = mark.line + 1 if mark is not None else self.line
            with suppress(_Stop):
                self._syntax(error)
        except (YAMLError, ValueError, RecursionError) as error:
            with suppress(_Stop):
                self._note(t("not YAML: {reason}", reason=_brief(str(error).split("\n", 1)[0])))
        return value

    def _syntax(self, error: Any) -> None:
        reason = str(error.problem or error.context)
        context = str(error.context or "") if error.problem else ""
        begun = error.context_mark
        since = t(" (begun in line {line})", line=begun.line + 1) if context and begun is not None else ""
        found = t("not YAML: {reason}", reason=f"{context}: {reason}{since}" if context else reason)
        hint = ""
        if "\\t" in reason or "'\t'" in reason:
            hint = t("indent with spaces, not with tabs")
        elif "mapping values are not allowed" in reason:
            hint = t("check the indentation, and put text that holds `: ` in quotes")
        elif "cannot start any token" in reason:
            hint = t("put the text in quotes")
        self._note(found, remedy=hint)

    def _note(self, found: str, expected: str = "", remedy: str = "") -> None:
        self.problems.append(Problem(f"{self.name}:{self.line}", found, expected, remedy))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop

    def _next(self, events: Iterator[Event]) -> Event:
        event = next(events)
        if event.start_mark is not None:
            self.line = event.start_mark.line + 1
        return event

    def _document(self, events: Iterator[Event]) -> Any:
        value: Any = None
        num_documents = 0
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                num_documents += 1
                self.line = event.start_mark.line + 1
                if num_documents > 1:
                    self._note(t("a second document"), t("one document a file"), t("remove the line `---`"))
                    raise _Stop
                if getattr(event, "version", None) or getattr(event, "tags", None):
                    self._note(t("a directive"), t("plain YAML 1.2"), t("remove the lines that begin with `%`"))
                value = self._value(self._next(events), events, ())
        return value

    def _value(self, event: Event, events: Iterator[Event], path: KeyPath) -> Any:
        if not self.dropping:
            self.value_lines[path] = self.line
        self._count(path)
        self._refuse_features(event)
        kind = type(event).__name__
        if kind == "MappingStartEvent":
            return self._mapping(events, path)
        if kind == "SequenceStartEvent":
            return self._sequence(events, path)
        if kind == "AliasEvent":
            return None
        return self._scalar(event)

    def _count(self, path: KeyPath) -> None:
        self.num_nodes += 1
        if self.num_nodes > MAX_NODES:
            self._note(t("more than {limit} keys and values", limit=MAX_NODES), t("a file a person wrote"))
            raise _Stop
        if len(path) > MAX_DEPTH:
            self._note(t("nested deeper than {limit}", limit=MAX_DEPTH), t("a file a person wrote"))
            raise _Stop

    def _refuse_features(self, event: Event) -> None:
        remedy = t("write the value out where it is used")
        if type(event).__name__ == "AliasEvent":
            self._note(t("an alias (`*{name}`)", name=_brief(event.anchor)), t("plain data"), remedy)
            return
        if event.anchor is not None:
            self._note(t("an anchor (`&{name}`)", name=_brief(event.anchor)), t("plain data"), remedy)
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            self._note(t("a tag (`{tag}`)", tag=_brief(tag)), t("plain data"), t("remove it; put text in quotes"))

    def _scalar(self, event: Event) -> Any:
        if event.style is not None or event.tag is not None:
            return self._quoted(event.value)
        try:
            value = resolve(event.value)
        except ValueError:
            self._note(t("a number of {num} digits", num=len(event.value)), t("a number a computer can hold"))
            return None
        return value

    def _quoted(self, text: str) -> str:
        """Text in which escapes may have made what no UTF-8 file can hold. JSON's pairs of surrogates are joined."""
        if "\0" in text:
            self._note(t("a NUL character (`\\0`)"), t("text"))
            return text.replace("\0", "")
        if not _SURROGATE.search(text):
            return text
        try:
            return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
        except UnicodeDecodeError:
            self._note(t("half a character (an escape from \\ud800 to \\udfff)"), t("text"))
            return _SURROGATE.sub("\ufffd", text)

    def _sequence(self, events: Iterator[Event], path: KeyPath) -> list[Any]:
        items: list[Any] = []
        while type(event := self._next(events)).__name__ != "SequenceEndEvent":
            here = (*path, len(items))
            if not self.dropping:
                self.key_lines[here] = self.line
            items.append(self._value(event, events, here))
        return items

    def _mapping(self, events: Iterator[Event], path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        while type(event := self._next(events)).__name__ != "MappingEndEvent":
            line, key = self.line, self._key(event, events, path)
            if key is not None and key in first_lines:
                self._duplicate(key, first_lines[key])
                key = None
            if key is None:
                self._drop(self._next(events), events, path)
                continue
            first_lines[key] = line
            here = (*path, key)
            if not self.dropping:
                self.key_lines[here] = line
            event = self._next(events)
            if type(event).__name__ == "ScalarEvent" and event.value == "" and event.style is None:
                self.line = line  # a value that is not there stands, for the parser, at the next thing that is
            result[key] = self._value(event, events, here)
        return result

    def _duplicate(self, key: str, first: int) -> None:
        self._note(
            t("the key `{key}` a second time (first in line {line})", key=_brief(key), line=first),
            t("each key once"),
            t("remove one of them"),
        )

    def _key(self, event: Event, events: Iterator[Event], path: KeyPath) -> str | None:
        """The key's text, or None (and a problem) if it is none."""
        self._count(path)
        self._refuse_features(event)
        kind = type(event).__name__
        if kind == "ScalarEvent":
            if event.style is None and event.value == "<<":
                self._note(t("a merge key (`<<`)"), t("plain data"), t("write the keys out"))
                return None
            if event.value == "":
                self._note(t("an empty key"), t("a name before the `:`"))
                return None
            return self._quoted(event.value)
        if kind != "AliasEvent":
            self._note(t("a key that is a list or a mapping"), t("text as key"), t("put text that begins so in quotes"))
            self._drop(event, events, path)
        return None

    def _drop(self, event: Event, events: Iterator[Event], path: KeyPath) -> None:
        """Read a value that was refused: its problems count, its lines do not."""
        self.dropping += 1
        self._value(event, events, (*path, ""))
        self.dropping -= 1
