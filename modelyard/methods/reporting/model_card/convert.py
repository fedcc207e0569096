"""HTML of our own page as Markdown: a closed set of tags, every text escaped.

One source for both forms: what the page says, the Markdown says. Drawings are left to the page; values that stand in
them as text come as a list.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from modelyard.methods.reporting.markup import Markup, escape

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!@])")
_LINKS = re.compile(r"(?i)(://|www(?=\.))")
_LIST = re.compile(r"^(\d+)([.)])(?=\s|$)")
_DASH = re.compile(r"^([-+=:])")
_HEADS = {"h1": "# ", "h2": "## ", "h3": "### ", "h4": "#### ", "summary": "#### ", "figcaption": "#### "}
_BLOCKS = frozenset([*_HEADS, "p", "li", "dt", "dd", "div", "figure", "table", "ul", "dl", "details", "section"])
_SKIPPED = frozenset(["nav", "style", "title"])
_SPACED = frozenset(["code", "small", "b", "span", "strong"])
_VOID = frozenset(["img", "br", "hr", "input", "meta", "wbr"])


def to_markdown(html: str) -> str:
    """Paragraphs apart by empty lines. A plain text is escaped first."""
    reader = _Reader()
    reader.feed(html if isinstance(html, Markup) else escape(html))
    reader.close()
    reader.flush()
    return "\n\n".join(_joined(reader.lines))


def plain(text: str) -> str:
    """A text that Markdown shows as it stands: no tag, link, emphasis or heading comes of it."""
    spaced = re.sub(r"\s+", " ", text)
    return _LINKS.sub(lambda match: match[0].replace(":", "\\:") if ":" in match[0] else match[0] + "\\",
                      _SPECIAL.sub(r"\\\1", spaced))  # fmt: skip


def code(text: str) -> str:
    """A code span; a bar is escaped, since it may stand in a table."""
    text = re.sub(r"\s+", " ", text).strip()
    if not text:
        return ""
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if "`" in (text[0], text[-1]) else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def _joined(lines: list[str]) -> list[str]:
    """Items of a list stand together, everything else apart."""
    found: list[str] = []
    for line in lines:
        if found and line.lstrip().startswith("- ") and found[-1].lstrip().startswith("- "):
            found[-1] += "\n" + line
        else:
            found.append(line)
    return found


class _Reader(HTMLParser):
    """Collects Markdown lines; a table is gathered row by row."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = []
        self._stack: list[str] = []
        self._text = ""
        self._code = ""
        self._term = ""
        self._depth = 0
        self._skip = 0
        self._rows: list[list[str]] | None = None
        self._numeric: list[bool] = []

    # -- tags ------------------------------------------------------------------------------------------------------

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in _VOID:
            return
        if self._skip or tag in _SKIPPED:
            self._skip += 1
            return
        self._stack.append(tag)
        if tag == "table":
            self.flush()
            self._rows, self._numeric = [], []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th"):
            self._text = ""
            if tag == "th" and found.get("scope") != "row":
                self._numeric.append(found.get("class") == "n")
        elif tag in ("ul", "dl"):
            self.flush()
            self._depth += 1
        elif tag in _BLOCKS and not self._in_table:
            self.flush()
        elif tag == "text" or (tag in _SPACED and "bdi" not in self._stack):  # a user's text keeps its own spaces
            self._space()

    def handle_endtag(self, tag: str) -> None:
        if self._skip:
            self._skip -= 1
            return
        if self._stack and self._stack[-1] == tag:
            self._stack.pop()
        if tag in _SPACED and tag != "code" and "bdi" not in self._stack:
            self._space()
        if tag == "code":
            self._text += code(self._code)
            self._code = ""
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append(re.sub(" +", " ", self._text).strip())
            self._text = ""
        elif tag == "table":
            self._table()
        elif tag == "dt":
            self._term, self._text = self._text.strip(), ""
        elif tag == "dd":
            self._text = f"**{self._term}**: {self._text.strip()}" if self._text.strip() else ""
            self.flush("- ")
        elif tag == "g" and "svg" in self._stack:
            self.flush("- ")
        elif tag in ("ul", "dl"):
            self.flush()
            self._depth -= 1
        elif tag in _BLOCKS and not self._in_table:
            self.flush(_HEADS.get(tag, "- " if tag == "li" else ""))

    def handle_data(self, data: str) -> None:
        if self._skip:
            return
        if "svg" in self._stack:
            if self._stack[-1] == "text" and "g" in self._stack:
                self._text += plain(data)
        elif self._stack and self._stack[-1] == "code":
            self._code += data
        else:
            self._text += plain(data)

    # -- lines -----------------------------------------------------------------------------------------------------

    @property
    def _in_table(self) -> bool:
        return self._rows is not None

    def _space(self) -> None:
        self._text += " " if self._text and not self._text.endswith(" ") else ""

    def flush(self, before: str = "") -> None:
        """The text so far becomes a line."""
        text, self._text = re.sub(" +", " ", self._text).strip(), ""
        if not text:
            return
        if not before:
            before = "- " if "li" in self._stack and self._depth else ""
        if before.startswith("#"):
            self.lines.append(before + text)
            return
        text = _LIST.sub(r"\1\\\2", _DASH.sub(r"\\\1", text))
        indent = "  " * (self._depth - 1) if before == "- " and self._depth > 1 else ""
        self.lines.append(indent + before + text)

    def _table(self) -> None:
        rows, self._rows = self._rows or [], None
        width = max((len(row) for row in rows), default=0)
        if not width:
            return
        whole = [[*row, *[""] * (width - len(row))] for row in rows]
        numeric = (self._numeric + [False] * width)[:width]
        rule = ["---:" if number else "---" for number in numeric]
        lines = [whole[0], rule, *whole[1:]]
        self.lines.append("\n".join("| " + " | ".join(row) + " |" for row in lines))
