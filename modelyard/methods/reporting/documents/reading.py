"""Reads a document of blocks. A part of another shape is left out, what is too long is cut, and both are counted.

A document is JSON that any stage may have written, so nothing in it is trusted: not its shape, its numbers, its sizes.
"""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.methods.evaluation import blocks
from modelyard.methods.evaluation.blocks import Block, Phrase, Words
from modelyard.methods.reporting.documents.values import items_of, maps, number
from modelyard.methods.reporting.marks import mark
from modelyard.methods.reporting.markup import clip
from modelyard.methods.reporting.record import Document as Raw

MAX_BLOCKS = 80
MAX_ROWS = 200
MAX_COLUMNS = 20
MAX_CHARACTERS = 300
MAX_PARAGRAPH = 3_000
MAX_SERIES = 6
MAX_LINE = 5_000
MAX_POINTS = 2_000
MAX_BARS = 60
MAX_TEXTS = 20
MAX_PIECES = 600
MAX_PICTURES = 24
MAX_PNG = 300_000
"""Bytes of one picture; with both languages a page holds each twice."""
PNG = b"\x89PNG\r\n\x1a\n"

UNREADABLE = mark("blocks that cannot be read: {count}")
MORE_BLOCKS = mark("blocks beyond the first {limit}: {count}")
MORE_ROWS = mark("rows of tables beyond the first {limit}: {count}")
MORE_COLUMNS = mark("columns of tables beyond the first {limit}: {count}")
MORE_POINTS = mark("points beyond {limit} in one drawing: {count}")
MORE_PARTS = mark("series, bars, texts or pictures beyond {limit}: {count}")
NO_NUMBERS = mark("points and bars without a finite number: {count}")
CUT = mark("texts cut to {limit} characters: {count}")
NO_PICTURES = mark("pictures that are no PNG below 300 kB: {count}")


@dataclass(frozen=True)
class Document:
    """What one evaluation shows.

    Attributes:
        step: that wrote it.
        family: of claims; part of its anchor.
        losses: what is not shown, each with how much.
        problem: why nothing can be shown.
    """

    step: str
    family: str
    title: Words
    blocks: tuple[Block, ...]
    losses: tuple[Phrase, ...]
    problem: str = ""


def read(raw: Raw) -> Document:
    """The document as blocks; never raises."""
    reader = _Reader()
    items = raw.blocks if isinstance(raw.blocks, list) else []
    if raw.blocks is not None and not isinstance(raw.blocks, list):
        reader.lose(UNREADABLE)
    found = [reader.block(item) for item in reader.first(items, MAX_BLOCKS, MORE_BLOCKS)]
    title = reader.words(raw.title) if raw.title else ""
    family = clip(raw.family if isinstance(raw.family, str) else "", 60) or raw.file.removesuffix(".json")[:60]
    kept = tuple(one for one in found if one is not None)
    return Document(raw.step, family, title or family, kept, reader.told(), raw.problem)


class _Reader:
    """Reads blocks and counts what it loses."""

    def __init__(self) -> None:
        self._lost: Counter[tuple[str, int]] = Counter()
        self._kinds: dict[str, Callable[[Mapping[str, Any]], Block | None]] = {
            blocks.Text.kind: self._text,
            blocks.Figures.kind: self._figures,
            blocks.Table.kind: self._table,
            blocks.Lines.kind: self._lines,
            blocks.Bars.kind: self._bars,
            blocks.Scatter.kind: self._scatter,
            blocks.Forces.kind: self._forces,
            blocks.Swarm.kind: self._swarm,
            blocks.Tokens.kind: self._tokens,
            blocks.Pictures.kind: self._pictures,
        }

    def told(self) -> tuple[Phrase, ...]:
        return tuple(
            Phrase(template, {"count": count, **({"limit": limit} if limit else {})})
            for (template, limit), count in self._lost.items()
        )

    def lose(self, template: str, count: int = 1, limit: int = 0) -> None:
        self._lost[template, limit] += count

    def first(self, items: Sequence[Any], limit: int, template: str) -> Sequence[Any]:
        if len(items) > limit:
            self.lose(template, len(items) - limit, limit)
        return items[:limit]

    def block(self, item: Any) -> Block | None:
        kind = item.get("kind") if isinstance(item, Mapping) else None
        read = self._kinds.get(kind) if isinstance(kind, str) else None
        found = read(item) if read else None
        if found is None:
            self.lose(UNREADABLE)
        return found

    # -- pieces ----------------------------------------------------------------------------------------------------

    def words(self, value: Any, limit: int = MAX_CHARACTERS) -> Words:
        if not isinstance(value, Mapping):
            return self._string(value, limit)
        values = value.get("values")
        pairs = values.items() if isinstance(values, Mapping) else ()
        filled = {str(name): self._value(one, limit) for name, one in pairs}
        return Phrase(self._string(value.get("template"), limit), filled)

    def _value(self, value: Any, limit: int) -> str | int | float:
        return value if number(value) is not None else self._string(value, limit)

    def _string(self, value: Any, limit: int = MAX_CHARACTERS) -> str:
        """Only texts and numbers: how an object would spell itself is nobody's text."""
        text = value if isinstance(value, str) else f"{value}" if number(value) is not None else ""
        if len(text) > limit:
            self.lose(CUT, limit=limit)
        return clip(text, limit)

    def _numbers(self, values: Any, size: int) -> list[float] | None:
        found = [number(one) for one in values] if isinstance(values, list) and len(values) == size else [None]
        kept = [one for one in found if one is not None]
        if len(kept) < len(found):
            self.lose(NO_NUMBERS)
            return None
        return kept

    # -- blocks ----------------------------------------------------------------------------------------------------

    def _text(self, item: Mapping[str, Any]) -> Block | None:
        said = self.words(item.get("text"), MAX_PARAGRAPH)
        return blocks.Text(said) if said else None

    def _figures(self, item: Mapping[str, Any]) -> Block | None:
        claims = tuple(one for one in items_of(item.get("claims")) if isinstance(one, str) and len(one) <= 200)
        if not claims:
            return None
        return blocks.Figures(self.words(item.get("title")), claims, item.get("slices") is not False)

    def _table(self, item: Mapping[str, Any]) -> Block | None:
        heads = self.first(items_of(item.get("columns")), MAX_COLUMNS, MORE_COLUMNS)
        columns = tuple(self.words(head) for head in heads)
        rows = [row for row in items_of(item.get("rows")) if isinstance(row, list)]
        cells = tuple(self._row(row, len(columns)) for row in self.first(rows, MAX_ROWS, MORE_ROWS))
        if not columns:
            return None
        return blocks.Table(self.words(item.get("title")), columns, cells, self.words(item.get("note")))

    def _row(self, row: Sequence[Any], width: int) -> tuple[blocks.Cell, ...]:
        cells = [None if one is None else self._value(one, MAX_CHARACTERS) for one in row[:width]]
        return (*cells, *([None] * (width - len(cells))))

    def _lines(self, item: Mapping[str, Any]) -> Block | None:
        found = maps(item.get("series"))
        series = tuple(self._series(one) for one in self.first(found, MAX_SERIES, MORE_PARTS))
        if not any(one.points for one in series):
            return None
        return blocks.Lines(
            self.words(item.get("title")), self.words(item.get("x")), self.words(item.get("y")), series,
            item.get("diagonal") is True, self.words(item.get("note")),
        )  # fmt: skip

    def _series(self, item: Mapping[str, Any]) -> blocks.Series:
        points = [self._numbers(one, 2) for one in self.first(items_of(item.get("points")), MAX_LINE, MORE_POINTS)]
        band = [self._numbers(one, 3) for one in self.first(items_of(item.get("band")), MAX_LINE, MORE_POINTS)]
        return blocks.Series(
            self.words(item.get("name")),
            tuple((one[0], one[1]) for one in points if one),
            tuple((one[0], one[1], one[2]) for one in band if one),
        )

    def _bars(self, item: Mapping[str, Any]) -> Block | None:
        found = maps(item.get("bars"))
        bars = [self._bar(one) for one in self.first(found, MAX_BARS, MORE_PARTS)]
        kept = tuple(one for one in bars if one)
        return blocks.Bars(self.words(item.get("title")), kept, self.words(item.get("note"))) if kept else None

    def _bar(self, item: Mapping[str, Any]) -> blocks.Bar | None:
        value, low, high = (number(item.get(name)) for name in ("value", "low", "high"))
        if value is None:
            self.lose(NO_NUMBERS)
            return None
        return blocks.Bar(self.words(item.get("name")), value, low, high)

    def _scatter(self, item: Mapping[str, Any]) -> Block | None:
        found = maps(item.get("points"))
        points = [self._point(one) for one in self._thinned(found)]
        kept = tuple(one for one in points if one)
        if not kept:
            return None
        return blocks.Scatter(
            self.words(item.get("title")), self.words(item.get("x")), self.words(item.get("y")), kept,
            self.words(item.get("note")),
        )  # fmt: skip

    def _thinned(self, items: list[Any], most: int = MAX_POINTS) -> list[Any]:
        """At most so many, evenly chosen: the first ones could all be of one group."""
        if len(items) <= most:
            return items
        self.lose(MORE_POINTS, len(items) - most, most)
        return [items[place * len(items) // most] for place in range(most)]

    def _point(self, item: Mapping[str, Any]) -> blocks.Point | None:
        at = self._numbers([item.get("x"), item.get("y")], 2)
        return (
            blocks.Point(at[0], at[1], self._string(item.get("group"), 60), self._string(item.get("name"), 120))
            if at
            else None
        )

    def _forces(self, item: Mapping[str, Any]) -> Block | None:
        base, found = number(item.get("base")), maps(item.get("pushes"))
        pushes = [(one, number(one.get("value"))) for one in self.first(found, MAX_BARS, MORE_PARTS)]
        if base is None or any(value is None for _, value in pushes):
            # Without one of its steps the others would end elsewhere.
            self.lose(NO_NUMBERS)
            return None
        kept = tuple(blocks.Push(self.words(one.get("name")), value or 0.0) for one, value in pushes)
        return blocks.Forces(self.words(item.get("title")), base, kept, self.words(item.get("note"))) if kept else None

    def _swarm(self, item: Mapping[str, Any]) -> Block | None:
        found = self.first(maps(item.get("lines")), MAX_BARS, MORE_PARTS)
        most = max(1, MAX_POINTS // max(1, len(found)))
        lines = tuple(self._line(one, most) for one in found)
        if not any(one.spots for one in lines):
            return None
        return blocks.Swarm(self.words(item.get("title")), lines, self.words(item.get("note")))

    def _line(self, item: Mapping[str, Any], most: int) -> blocks.Line:
        spots = []
        for one in self._thinned(maps(item.get("spots")), most):
            value, share = number(one.get("value")), number(one.get("share"))
            if value is None:
                self.lose(NO_NUMBERS)
            else:
                inside = None if share is None else min(max(share, 0.0), 1.0)
                spots.append(blocks.Spot(value, inside, self._string(one.get("name"), 120)))
        return blocks.Line(self.words(item.get("name")), tuple(spots))

    def _tokens(self, item: Mapping[str, Any]) -> Block | None:
        found = maps(item.get("texts"))
        texts = tuple(self._marked(one) for one in self.first(found, MAX_TEXTS, MORE_PARTS))
        return blocks.Tokens(self.words(item.get("title")), texts, self.words(item.get("note"))) if texts else None

    def _marked(self, item: Mapping[str, Any]) -> blocks.Marked:
        pieces = []
        for piece in self.first(items_of(item.get("pieces")), MAX_PIECES, MORE_PARTS):
            weight = number(piece[1]) if isinstance(piece, list) and len(piece) == 2 else None
            if weight is None:
                self.lose(NO_NUMBERS)
            else:
                pieces.append((self._string(piece[0]), weight))
        return blocks.Marked(self._string(item.get("label"), 60), tuple(pieces), self.words(item.get("note")))

    def _pictures(self, item: Mapping[str, Any]) -> Block | None:
        found = maps(item.get("pictures"))
        pictures = [self._picture(one) for one in self.first(found, MAX_PICTURES, MORE_PARTS)]
        kept = tuple(one for one in pictures if one)
        return blocks.Pictures(self.words(item.get("title")), kept, self.words(item.get("note"))) if kept else None

    def _picture(self, item: Mapping[str, Any]) -> blocks.Picture | None:
        try:
            png = base64.b64decode(str(item.get("png")), validate=True)
        except (binascii.Error, ValueError):
            png = b""
        if not png.startswith(PNG) or len(png) > MAX_PNG:
            self.lose(NO_PICTURES)
            return None
        return blocks.Picture(png, self.words(item.get("caption")))
