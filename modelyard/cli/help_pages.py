"""Help pages whose columns line up and whose lines break where they should, in Chinese too.

Click counts characters and breaks lines at spaces. A Chinese character takes two columns, and Chinese has no spaces.
"""

from __future__ import annotations

import re
from typing import Any

import click
import click.formatting

from modelyard.base.messages import language, t
from modelyard.cli.output import width

_PIECES = re.compile(r"\s+|(?:[!-~]+|.)[，。；：、！？）》」』】”’…]*", re.DOTALL)
"""What stays on one line: white space, a Latin word, a Chinese character; with the signs that may not begin a line."""
_PLACEHOLDERS = ("[OPTIONS]", "[COMMAND]", "COMMAND", "[ARGS]...")

_click_wraps = click.formatting.wrap_text


class Formatter(click.HelpFormatter):
    """Click's, with the placeholders of the usage line in the user's language."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        words = [t(word) if word in _PLACEHOLDERS else word for word in args.split(" ")]
        super().write_usage(prog, " ".join(words), prefix)


def install() -> None:
    """Let click's formatter measure and wrap as is done here."""
    click.Context.formatter_class = Formatter
    vars(click.formatting).update(term_len=width, wrap_text=wrap)


def wrap(
    text: str,
    width: int = 78,
    initial_indent: str = "",
    subsequent_indent: str = "",
    preserve_paragraphs: bool = False,
) -> str:
    """As click's `wrap_text`, which is asked where the language is English.

    Args:
        text: paragraphs with an empty line between them, if they are to be preserved.
        width: columns of a line, its indent included.
        initial_indent: of the first line of each paragraph.
        subsequent_indent: of its other lines.
        preserve_paragraphs: else all of it is one paragraph.
    """
    given: dict[str, Any] = {"initial_indent": initial_indent, "subsequent_indent": subsequent_indent}
    if language() == "en":
        return _click_wraps(text, width, preserve_paragraphs=preserve_paragraphs, **given)
    paragraphs = re.split(r"\n\s*\n", text) if preserve_paragraphs else [text]
    return "\n\n".join(_fill(re.sub(r"\s*\n\s*", " ", part.strip()), width, **given) for part in paragraphs)


def _fill(text: str, columns: int, initial_indent: str, subsequent_indent: str) -> str:
    lines = [initial_indent]
    fresh = True
    for piece in _PIECES.findall(text):
        if not fresh and width(lines[-1] + piece.rstrip()) > columns:
            lines.append(subsequent_indent)
            fresh = True
        if not (fresh and piece.isspace()):
            lines[-1] += piece
            fresh = False
    return "\n".join(line.rstrip() if line.strip() else line for line in lines)
