"""HTML and Markdown to plain text, where a text really is marked up: `a < b`, `<红楼>` and `List<String>` stay.

Tags are found one by one and no tree is built: parsers take quadratic time on deep nesting (one was measured at 92 s
for 100,000 nested elements), and drop what only looks like a tag. Markdown is read by CommonMark's rules with tables
and strike-through; code keeps its fences and ticks, formulas their dollars, and list items their marks, so that
stripping the result again changes nothing in them.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

_BLOCKS = (
    "address article aside blockquote body br caption center dd details dialog dir div dl dt fieldset figcaption "
    "figure footer form frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li main menu nav ol optgroup "
    "option p pre section summary table tbody td tfoot th thead title tr ul"
)
_INLINE = (
    "a abbr acronym area audio b base basefont bdi bdo big button canvas cite code col colgroup data datalist del "
    "dfn em embed font i iframe img input ins kbd label link map mark meta meter noscript object output param "
    "picture progress q rp rt ruby s samp script select small source span strike strong style sub sup svg template "
    "textarea time track tt u var video wbr"
)
_DROPPED = ("script", "style")
_FLAGS = (
    "allowfullscreen|async|autofocus|autoplay|checked|compact|controls|defer|disabled|hidden|ismap|itemscope|loop|"
    "multiple|muted|nofollow|noshade|novalidate|nowrap|open|readonly|required|reversed|selected"
)
_NAMES = f"{_BLOCKS} {_INLINE}".replace(" ", "|")
# A tag has a known name and then nothing, a slash, something with `=`, or flags: `x <b and y> z` is none.
_TAG = re.compile(
    rf"<(?P<close>/?)(?P<name>{_NAMES})(?:\s*/?|\s+(?:{_FLAGS})(?:\s+(?:{_FLAGS}))*\s*/?|\s[^<>=]*=[^<>]*)>"
    r"|<!--|<!doctype[^<>]*>|<!\[CDATA\[|\]\]>|<\?xml[^<>]*>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_BLOCK_NAMES = frozenset(_BLOCKS.split())

_OPEN = ("bullet_list_open", "ordered_list_open", "table_open")
_CLOSE = ("bullet_list_close", "ordered_list_close", "table_close")

Code = Literal["keep", "drop"]


def strip_html(text: str) -> str:
    """Tags and comments out, entities decoded, scripts and styles dropped; block elements become line ends.

    A text without tags or entities comes back as it is. Linear in the text's length.
    """
    if "<" not in text and "&" not in text:
        return text
    kept = "".join(_between_tags(text))
    return _ENTITY.sub(lambda found: html.unescape(found[0]), kept)


def _between_tags(text: str) -> Iterator[str]:
    place = 0
    while (tag := _TAG.search(text, place)) is not None:
        yield text[place : tag.start()]
        place = tag.end()
        name = (tag["name"] or "").lower()
        if name in _BLOCK_NAMES:
            yield "\n"
        elif name in _DROPPED and not tag["close"]:
            place = _after(f"</{name}", text, place)
        elif tag[0] == "<!--":
            place = _after("-->", text, place)
    yield text[place:]


def _after(end: str, text: str, place: int) -> int:
    """Behind the next `end`; the text's end if there is none."""
    found = _closing(end).search(text, place)
    return found.end() if found else len(text)


@cache
def _closing(end: str) -> re.Pattern[str]:
    return re.compile(re.escape(end) if end == "-->" else re.escape(end) + r"\s*>", re.IGNORECASE)


def strip_markdown(text: str, code: Code = "keep", html_too: bool = False) -> str:
    """Plain text of a Markdown text: marks of headings, emphasis, quotes, links and tables out.

    Args:
        code: `keep` leaves code with its fences and ticks, `drop` takes it out.
        html_too: strip HTML as well, but not inside code.

    A text nested too deep to be read (hundreds of quotes in quotes) comes back as it is.
    """
    try:
        tokens = _reader().parse(text)
    except RecursionError:
        return text
    return _Plain(code, html_too).blocks(tokens)


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": True, "maxNesting": 1_000_000}).enable(["table", "strikethrough"])
    reader.disable("code")  # four spaces before a line are no code in texts that people write
    reader.inline.ruler.before("escape", "math", _formula)
    return reader


def _formula(state: StateInline, silent: bool) -> bool:
    r"""`$…$` and `$$…$$` as they stand: a `\_` or `*` in them is no Markdown."""
    if state.src[state.pos] != "$":
        return False
    mark = "$$" if state.src.startswith("$$", state.pos) else "$"
    start = state.pos + len(mark)
    end = state.src.find(mark, start, state.posMax)
    if end <= start or (mark == "$" and not _is_formula(state.src[start:end])):
        return False
    if not silent:
        token = state.push("math", "", 0)
        token.content = state.src[state.pos : end + len(mark)]
    state.pos = end + len(mark)
    return True


def _is_formula(inside: str) -> bool:
    """No space at its ends, so that `$5 and $6` is none."""
    return inside == inside.strip() and "\n" not in inside


@dataclass(frozen=True)
class _Plain:
    """Writes tokens as plain text."""

    code: Code
    html_too: bool

    def blocks(self, tokens: Sequence[Token]) -> str:
        parts: list[str] = []
        marks, depth, before = "", 0, ""
        for token in tokens:
            kind = token.type
            if kind in _OPEN:
                depth += 1
            elif kind in _CLOSE:
                depth, marks = depth - 1, ""
                parts.append("" if depth else "\n")
            elif kind == "list_item_open":
                marks += f"{token.info}{token.markup} "
            elif kind == "tr_close":
                parts.append("\n")
            elif kind in ("th_open", "td_open"):
                parts.append("" if before == "tr_open" else "\t")
            elif before in ("th_open", "td_open"):
                parts.append(self._block(token))
            elif written := self._block(token):
                parts.append((marks if kind == "inline" else "") + written + ("\n" if depth else "\n\n"))
                marks = ""
            before = kind
        return "".join(parts).strip("\n")

    def _block(self, token: Token) -> str:
        if token.type == "inline":
            return "".join(self._inline(child) for child in token.children or ())
        if token.type == "fence" and self.code == "keep":
            return f"{token.markup}{token.info}\n{token.content}{token.markup}"
        if token.type == "html_block":
            return self._text(token.content.rstrip("\n"))
        return ""

    def _inline(self, token: Token) -> str:
        if token.type == "code_inline":
            return _ticked(token) if self.code == "keep" else ""
        if token.type in ("softbreak", "hardbreak"):
            return "\n"
        if token.type == "image":
            return "".join(self._inline(child) for child in token.children or ())
        if token.type == "math":
            return token.content
        return self._text(token.content)

    def _text(self, text: str) -> str:
        return strip_html(text) if self.html_too else text


def _ticked(token: Token) -> str:
    edge = " " if "`" in (token.content[:1], token.content[-1:]) else ""
    return f"{token.markup}{edge}{token.content}{edge}{token.markup}"
