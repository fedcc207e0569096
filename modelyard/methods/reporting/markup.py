"""HTML and SVG as values: whatever is not `Markup` is escaped, so a text from somebody's data cannot become a tag."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_VOID = frozenset({"meta", "input", "br", "hr", "img", "wbr"})


class Markup(str):
    """Text that is already HTML."""

    __slots__ = ()


Node: TypeAlias = "str | int | Markup | Iterable[Node] | None"


def escape(text: object) -> Markup:
    """`text` for element content and attributes; control characters and lone surrogates show as U+FFFD."""
    return Markup(html.escape(printable(str(text)), quote=True))


def printable(text: str) -> str:
    """Control characters and lone surrogates, which no file of text may hold, as U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text)


def join(*nodes: Node) -> Markup:
    """Nodes one after the other; None is nothing; lists are flattened."""
    parts: list[str] = []
    for node in nodes:
        if node is None:
            continue
        if isinstance(node, Markup):
            parts.append(node)
        elif isinstance(node, str | int | float):
            parts.append(escape(node))
        else:
            parts.append(join(*node))
    return Markup("".join(parts))


def el(tag: str, *children: Node, **attributes: Any) -> Markup:
    """An element. `class_` is `class`, `_` in a name is `-`; None and False leave an attribute out, True is bare."""
    shown = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{shown}>")
    return Markup(f"<{tag}{shown}>{join(*children)}</{tag}>")


def _attribute(name: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    if isinstance(value, float):
        value = f"{value:.6g}"
    return f' {name}="{escape(value)}"'


def isolated(text: object, limit: int = 0) -> Markup:
    """A text from the user's data, cut to `limit` characters; it cannot turn the direction of what stands beside it."""
    return el("bdi", clip(str(text), limit) if limit else str(text))


def clip(text: str, limit: int) -> str:
    """At most `limit` characters, an ellipsis included."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
