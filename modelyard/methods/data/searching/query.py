"""The query language: `refund "free prize" label:spam -test (cash OR money) win*`.

Words stand together: all must be there. OR (in capitals) lets either do, - or NOT takes rows out, "…" is a phrase,
`column:` asks one column, `*` at the end of a word stands for any rest. Everything else is punctuation between words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import UsageError

LONGEST_QUERY = 1_000
MOST_TERMS = 64
DEEPEST = 16


@dataclass(frozen=True)
class Words:
    """A word or a phrase, in one column or (None) in every text column."""

    text: str
    column: str | None = None
    phrase: bool = False
    prefix: bool = False


@dataclass(frozen=True)
class Not:
    part: Node


@dataclass(frozen=True)
class All:
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class AnyOf:
    parts: tuple[Node, ...]


Node = Words | Not | All | AnyOf

_PIECE = re.compile(
    r'\s*(?:(?P<open>\()|(?P<close>\))|(?P<minus>-(?=[^\s-]))|"(?P<phrase>[^"]*)(?P<end>"?)|(?P<word>[^\s()"]+))'
)


def parse(text: str, columns: Sequence[str]) -> Node:
    """The query as a tree. Raises UsageError, saying where, for what cannot be read."""
    if len(text) > LONGEST_QUERY:
        raise UsageError(t("the query has {n:,} characters", n=len(text)), expected=t("at most {n:,}", n=LONGEST_QUERY))
    pieces = list(_pieces(text))
    if not pieces:
        raise UsageError(t("nothing to search for"), expected='modelyard data search STEP "words"')
    if len(pieces) > 4 * MOST_TERMS:
        raise UsageError(t("the query has {n:,} parts", n=len(pieces)), expected=t("at most {n:,}", n=MOST_TERMS))
    reader = _Reader(pieces, columns)
    node = reader.any_of(0)
    if reader.place < len(pieces):
        raise UsageError(t("a closing bracket without an opening one"), remedy=_simpler())
    return node


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(text.rstrip()):
        match = _PIECE.match(text, place)
        if match is None:  # a lone minus
            place += 1
            continue
        place = match.end()
        if match["phrase"] is not None and not match["end"]:
            raise UsageError(t("a quotation mark is not closed"), remedy=_simpler())
        kind = match.lastgroup if match["phrase"] is None else "phrase"
        yield str(kind), match["phrase"] if kind == "phrase" else match.group().strip()


def _simpler() -> str:
    return t("leave out what is punctuation: words are found without it")


class _Reader:
    """Recursive descent over the pieces."""

    def __init__(self, pieces: Sequence[tuple[str, str]], columns: Sequence[str]) -> None:
        self._pieces, self._columns, self.place = pieces, columns, 0

    def _peek(self) -> tuple[str, str]:
        return self._pieces[self.place] if self.place < len(self._pieces) else ("end", "")

    def any_of(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise UsageError(t("brackets are nested more than {n} deep", n=DEEPEST), remedy=_simpler())
        parts = [self._all(depth)]
        while self._peek() == ("word", "OR"):
            self.place += 1
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all(self, depth: int) -> Node:
        parts: list[Node] = []
        while True:
            kind, text = self._peek()
            if kind in ("end", "close") or (kind, text) == ("word", "OR"):
                break
            if (kind, text) == ("word", "AND"):
                self.place += 1
                continue
            parts.append(self._one(depth))
        if not parts:
            raise UsageError(t("a word is missing beside OR, - or a bracket"), remedy=_simpler())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self, depth: int) -> Node:
        kind, text = self._peek()
        self.place += 1
        if kind == "minus" or (kind, text) == ("word", "NOT"):
            if self._peek()[0] in ("end", "close") or depth > DEEPEST:
                raise UsageError(t("a word is missing beside OR, - or a bracket"), remedy=_simpler())
            return Not(self._one(depth + 1))
        if kind == "open":
            node = self.any_of(depth + 1)
            if self._peek()[0] != "close":
                raise UsageError(t("a bracket is not closed"), remedy=_simpler())
            self.place += 1
            return node
        if kind == "phrase":
            return Words(text, phrase=True)
        return self._word(text)

    def _word(self, text: str) -> Node:
        name, colon, rest = text.partition(":")
        if colon and name in self._columns:
            if not rest and self._peek()[0] == "phrase":
                rest = self._peek()[1]
                self.place += 1
                return Words(rest, name, phrase=True)
            return _plain(rest, name)
        if colon and rest and name.isidentifier() and not rest.startswith("//"):
            near = did_you_mean(name, list(self._columns))
            raise UsageError(
                t("there is no column `{name}` to search in", name=name[:60]),
                remedy="; ".join(filter(None, (near, t('in quotes it is a text: "{text}"', text=text[:60])))),
            )
        return _plain(text, None)


def _plain(text: str, column: str | None) -> Words:
    if len(text) > 1 and text.endswith("*"):
        return Words(text[:-1], column, prefix=True)
    return Words(text, column)
