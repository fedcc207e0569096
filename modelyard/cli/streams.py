"""Standard output and error that hold in any place: an ASCII terminal, a closed descriptor, a reader that left."""

from __future__ import annotations

import codecs
import io
import os
import sys

PLAIN = {"✓": "+", "✗": "x", "─": "-", "…": "...", "–": "-", "→": "->", "←": "<-", "±": "+-", "≥": ">=", "≤": "<="}
READER_LEFT = 141
"""Exit code when whoever read the output left before its end: 128 + SIGPIPE, as shells have it. Not 0: the rest of the
output, a refusal perhaps, was not seen."""


def prepare() -> None:
    """Make printing safe. What an encoding lacks is written plainly (✓ as +) or escaped (质 as \\u8d28)."""
    _fill_descriptors()
    codecs.register_error("modelyard.plain", _plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="modelyard.plain")


def finish() -> OSError | None:
    """Write out what is buffered. Returns the error if that cannot be done; a reader that left is none."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        forget()
    except OSError as error:
        forget()
        return error
    return None


def forget() -> None:
    """Send the rest of standard output nowhere, so that the interpreter does not fail on it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _fill_descriptors() -> None:
    """Occupy 0 to 2 if they are closed: else the next file opened, a ledger perhaps, would receive what is printed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in text), error.end
