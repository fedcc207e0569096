"""From a query's tree to a search: what the index is asked, and the part of each row that answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import UsageError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.sampling import fetch
from modelyard.methods.data.searching import tokens
from modelyard.methods.data.searching.index import Index, name_of
from modelyard.methods.data.searching.query import All, AnyOf, Node, Not, Words, parse

SNIPPET = 120
LONGEST_LOOKED_AT = 200_000


@dataclass(frozen=True)
class Hit:
    """A row that was found.

    Attributes:
        score: BM25, comparable within one search only.
        row: its columns.
        column: where the words were found; `` if only names were asked for.
        snippet: the part of that column around them.
        marks: from and to, in characters of the snippet, of what was found.
    """

    score: float
    split: str
    row: dict[str, Any]
    column: str
    snippet: str
    marks: tuple[tuple[int, int], ...]


def search(index: Index, dataset: Dataset, text: str, splits: Sequence[str], limit: int) -> tuple[int, list[Hit]]:
    """Rows of the data set that fit a query: how many there are, and the best `limit`.

    Raises:
        UsageError: the query cannot be read.
    """
    node = parse(text, [*index.words, *index.names])
    query = _query(node, index)
    if set(splits) != set(dataset.splits()):
        query = _within(query, splits, index)
    total, found = index.search(query, limit)
    rows = fetch(dataset, [place for _, place in found])
    wanted = list(_positive(node))
    return total, [_hit(score, place[0], row, wanted, index) for (score, place), row in zip(found, rows, strict=True)]


def _query(node: Node, index: Index) -> Any:
    from tantivy import Occur, Query

    if isinstance(node, Words):
        return _words(node, index)
    if isinstance(node, Not):
        return Query.boolean_query([(Occur.Must, Query.all_query()), (Occur.MustNot, _query(node.part, index))])
    if isinstance(node, AnyOf):
        return Query.boolean_query([(Occur.Should, _query(part, index)) for part in node.parts])
    parts = [
        (Occur.MustNot, _query(part.part, index)) if isinstance(part, Not) else (Occur.Must, _query(part, index))
        for part in node.parts
    ]
    if all(isinstance(part, Not) for part in node.parts):
        parts.append((Occur.Must, Query.all_query()))
    return Query.boolean_query(parts)


def _within(query: Any, splits: Sequence[str], index: Index) -> Any:
    from tantivy import Occur, Query

    inside = Query.boolean_query(
        [(Occur.Should, Query.term_query(index.schema, "split", split, "basic")) for split in splits]
    )
    return Query.boolean_query([(Occur.Must, query), (Occur.Must, Query.const_score_query(inside, 0.0))])


def _words(node: Words, index: Index) -> Any:
    from tantivy import Occur, Query

    if node.column in index.names:
        return _name(node, index.names.index(node.column), index)
    columns = [index.words.index(node.column)] if node.column else range(len(index.words))
    if not columns:
        raise UsageError(
            t("no column holds texts"), expected=t("`column:value` with one of: {names}", names=", ".join(index.names))
        )
    queries = [_in_column(node, place, index) for place in columns]
    return queries[0] if len(queries) == 1 else Query.boolean_query([(Occur.Should, query) for query in queries])


def _name(node: Words, place: int, index: Index) -> Any:
    from tantivy import Query

    value = name_of(node.text)
    if node.prefix:
        return Query.regex_query(index.schema, f"n{place}", re.escape(value) + ".*")
    return Query.term_query(index.schema, f"n{place}", value, "basic")


def _in_column(node: Words, place: int, index: Index) -> Any:
    """One column's query. Characters that stand together, such as a Chinese word, are found together."""
    from tantivy import Occur, Query

    text = tokens.normal(node.text)
    found = [term.text for term in tokens.terms(text)]
    field = f"w{place}"
    if not found:
        raise UsageError(
            t("there is no word in `{text}`", text=node.text[:60]), expected=t("letters, digits or characters")
        )
    if node.prefix:
        if len(found) > 1:
            return Query.phrase_prefix_query(index.schema, field, found)
        return Query.regex_query(index.schema, field, re.escape(found[0]) + ".*")
    if len(found) == 1:
        return Query.term_query(index.schema, field, found[0], "position")
    pairs = list(dict.fromkeys(tokens.pairs(text).split()))
    narrowed = [(Occur.Must, Query.term_query(index.schema, f"p{place}", pair, "freq")) for pair in pairs]
    if len(found) == 2 and len(pairs) == 1:
        return narrowed[0][1]
    phrase = Query.phrase_query(index.schema, field, found)
    return Query.boolean_query([(Occur.Must, phrase), *narrowed]) if narrowed else phrase


def _positive(node: Node) -> Iterator[Words]:
    """The words that rows must or may have."""
    if isinstance(node, Words):
        yield node
    elif isinstance(node, All | AnyOf):
        for part in node.parts:
            yield from _positive(part)


def _hit(score: float, split: str, row: dict[str, Any], wanted: Sequence[Words], index: Index) -> Hit:
    first = next((name for name in index.words if row.get(name)), "")
    for name in index.words:
        text = (row.get(name) or "")[:LONGEST_LOOKED_AT]
        marks = find_words(text, [word for word in wanted if word.column in (None, name)])
        if marks:
            return Hit(score, split, row, name, *cut_around(text, marks))
    return Hit(score, split, row, first, *cut_around(row.get(first) or "", []))


def find_words(text: str, wanted: Sequence[Words]) -> list[tuple[int, int]]:
    """Where words and phrases stand in a text, from and to in its own characters, in order."""
    normal, origin = _normal_with_origin(text)
    there = tokens.terms(normal)
    marks = set()
    for word in wanted:
        asked = [term.text for term in tokens.terms(tokens.normal(word.text))]
        for start in range(len(there) - len(asked) + 1) if asked else ():
            if _same([term.text for term in there[start : start + len(asked)]], asked, word.prefix):
                marks.add((origin[there[start].start], origin[there[start + len(asked) - 1].end - 1] + 1))
    return sorted(marks)


def _same(there: list[str], asked: list[str], prefix: bool) -> bool:
    if prefix:
        return there[:-1] == asked[:-1] and there[-1].startswith(asked[-1])
    return there == asked


def _normal_with_origin(text: str) -> tuple[str, list[int]]:
    """The normal text, and for each of its characters the place in the text that it came from."""
    normal = tokens.normal(text)
    if len(normal) == len(text):
        return normal, list(range(len(text)))
    parts = [tokens.normal(char) for char in text]
    return "".join(parts), [place for place, part in enumerate(parts) for _ in part]


def cut_around(text: str, marks: Sequence[tuple[int, int]]) -> tuple[str, tuple[tuple[int, int], ...]]:
    """At most about SNIPPET characters around the place with the most marks, and the marks in them."""
    if len(text) <= SNIPPET:
        return text, tuple(marks)
    fits = [sum(1 for a, b in marks if start <= a and b <= start + SNIPPET - 20) for start, _ in marks]
    best = marks[fits.index(max(fits))][0] if marks else 0
    start = max(0, min(best - 20, len(text) - SNIPPET))
    end = min(len(text), start + SNIPPET)
    before, after = "…" if start else "", "…" if end < len(text) else ""
    shift = len(before) - start
    inside = tuple((max(a, start) + shift, min(b, end) + shift) for a, b in marks if a < end and b > start)
    return before + text[start:end] + after, inside
