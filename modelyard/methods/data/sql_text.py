"""What can be said of a query by looking at it: that it is one SELECT, and whether it says in which order.

This is courtesy, so that a slip is found before anything is sent. What protects the database is a read-only
transaction and a user who may only read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from modelyard.base.messages import t

TOKEN = re.compile(
    r"""
    (?P<skip> --[^\n]* | /\*.*?(?:\*/|\Z) | \s+ )
  | (?P<quoted> '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) | `(?:[^`]|``)*(?:`|\Z) | \[[A-Za-z_][^\]\n]*\]
              | \$(?P<tag>[A-Za-z_]*)\$.*?(?:\$(?P=tag)\$|\Z) )
  | (?P<word> [A-Za-z_][A-Za-z_0-9$]* )
  | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)
READS = ("select", "with", "values")
WRITES = frozenset({"insert", "update", "delete", "merge", "into"})


def query_problem(query: str) -> str:
    """Why a query is not one SELECT, in words; `` if it is one."""
    tokens = list(_tokens(query.strip().rstrip(";")))
    words = [token for token in tokens if token[0].isalpha()]
    first = next((token for token in tokens if token != "("), "")
    if first not in READS:
        return t("one SELECT (this begins with `{word}`)", word=first or " ")
    if ";" in tokens:
        return t("one SELECT (here are several statements)")
    writes = next((word for word in words if word in WRITES), None)
    if writes is not None:
        return t("one SELECT that only reads (`{word}` writes or locks)", word=writes)
    return ""


def is_ordered(query: str) -> bool:
    """Whether the outermost SELECT has an ORDER BY."""
    depth, before = 0, ""
    for token in _tokens(query):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0 and before == "order" and token == "by":
            return True
        before = token
    return False


def _tokens(query: str) -> Iterator[str]:
    """Words in lower case and marks; comments left out, what is quoted as `?`."""
    for match in TOKEN.finditer(query):
        if match.lastgroup == "word" or match.group("word"):
            yield match.group("word").lower()
        elif match.group("quoted"):
            yield "?"
        elif match.group("mark"):
            yield match.group("mark")
