"""How results look in a terminal: tables whose columns line up with Chinese text too, JSON, errors."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import ModelyardError

_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def is_json(arguments: Sequence[str]) -> bool:
    return "--json" in arguments


def print_json(value: Any) -> None:
    """As JSON, whatever the encoding: what standard output cannot write is escaped as JSON has it."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    print(text)


def print_error(error: ModelyardError, as_json: bool) -> None:
    """To standard error as text, or to standard output as JSON when the user asked for JSON."""
    if as_json:
        print_json(error.to_json())
        return
    for problem in error.problems:
        head = f"{problem.where}: " if problem.where else ""
        print(visible(f"{t('error')}: {head}{problem.found}"), file=sys.stderr)
        if problem.expected:
            print(visible(f"  {t('expected')}: {problem.expected}"), file=sys.stderr)
        if problem.remedy:
            print(visible(f"  {t('to do')}: {problem.remedy}"), file=sys.stderr)
    if len(error.problems) > 1:
        print(t("{count} problems", count=len(error.problems)), file=sys.stderr)


def visible(text: str) -> str:
    """Control characters but the line feed as escapes: texts from data must not steer a terminal."""
    return _CONTROLS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def width(text: str) -> int:
    """Columns a text takes in a terminal: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def cut(text: str, columns: int) -> str:
    """`text` in at most `columns` columns, with … where it was cut."""
    if width(text) <= columns:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > columns - 1:
            break
        kept += char
    return kept + "…"


def table(head: Sequence[str], rows: Sequence[Sequence[object]], indent: str = "") -> str:
    """Left-aligned columns; numbers right-aligned."""
    cells = [[_cell(value) for value in row] for row in rows]
    texts = [list(head), *cells]
    widths = [max((width(row[i]) for row in texts), default=0) for i in range(len(head))]
    right = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(head))]
    lines = [indent + _line(list(head), widths, right), indent + "  ".join("─" * w for w in widths)]
    lines += [indent + _line(row, widths, right) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return t("yes") if value else t("no")
    if isinstance(value, float):
        return f"{value:.4g}"
    return visible(str(value))


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    parts = []
    for text, columns, at_right in zip(row, widths, right, strict=True):
        space = " " * (columns - width(text))
        parts.append(space + text if at_right else text + space)
    return "  ".join(parts)


def size(num_bytes: float) -> str:
    """Bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000 or unit == "GB":
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return ""


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 60:
        return t("{seconds:.1f} s", seconds=seconds)
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return t("{hours} h {minutes:02d} min", hours=hours, minutes=minutes)
    return t("{minutes} min {seconds:02d} s", minutes=minutes, seconds=rest)
