"""What an evaluation shows, in pieces that every page can draw: `NAME.json` beside the evidence.

A block is one of a closed list (`Text`, `Table`, `Lines`, `Bars`, `Scatter`, `Forces`, `Swarm`, `Tokens`, `Pictures`,
`Figures`). Texts are English templates of the message catalogue with their values, so that a page shows them in its own
language. A number that decides something is not written here but measured as evidence: `Figures` names claims, and the
page takes value, interval and n from the ledger.

The document depends on rows, answers and settings alone: no times, no words in the user's language.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

from modelyard.base.canonical import canonical_json

VERSION = 1


@dataclass(frozen=True)
class Phrase:
    """A template of the message catalogue and what stands in its braces."""

    template: str
    values: Mapping[str, str | int | float] = field(default_factory=dict)


Words: TypeAlias = str | Phrase
Cell: TypeAlias = str | int | float | None
"""Of a table; a name of the user's own (a class, a column) is shown as it is."""


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: Words


@dataclass(frozen=True)
class Figures:
    """Evidence to show here: claims by name or by prefix (`fairness.`), with all their slices if `slices`."""

    kind: ClassVar[str] = "figures"
    title: Words
    claims: tuple[str, ...]
    slices: bool = True


@dataclass(frozen=True)
class Table:
    """Rows under heads; numbers are right-aligned. What decides belongs into `Figures`."""

    kind: ClassVar[str] = "table"
    title: Words
    columns: tuple[Words, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: Words = ""


@dataclass(frozen=True)
class Series:
    """One line: (x, y) points, and the band (x, low, high) around it, if it has one."""

    name: Words
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Lines:
    """Curves over one pair of axes; `diagonal` draws y = x."""

    kind: ClassVar[str] = "lines"
    title: Words
    x: Words
    y: Words
    series: tuple[Series, ...]
    diagonal: bool = False
    note: Words = ""


@dataclass(frozen=True)
class Bar:
    """A value and the ends of its interval."""

    name: Words
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Bars:
    """Values side by side."""

    kind: ClassVar[str] = "bars"
    title: Words
    bars: tuple[Bar, ...]
    note: Words = ""


@dataclass(frozen=True)
class Point:
    """A row on a map. `group` colours it; `name` is shown when pointed at."""

    x: float
    y: float
    group: str
    name: str = ""


@dataclass(frozen=True)
class Scatter:
    """A map of rows: an embedding in two dimensions, residuals over answers."""

    kind: ClassVar[str] = "scatter"
    title: Words
    x: Words
    y: Words
    points: tuple[Point, ...]
    note: Words = ""


@dataclass(frozen=True)
class Push:
    """What one part of a row adds to the answer."""

    name: Words
    value: float


@dataclass(frozen=True)
class Forces:
    """How one answer came to be: from `base`, push by push, to the answer."""

    kind: ClassVar[str] = "forces"
    title: Words
    base: float
    pushes: tuple[Push, ...]
    note: Words = ""


@dataclass(frozen=True)
class Spot:
    """A row's value in one line of a swarm.

    Attributes:
        share: where the row's own number stands among all rows, 0 to 1; None for what is no number.
        name: shown when pointed at.
    """

    value: float
    share: float | None = None
    name: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a swarm."""

    name: Words
    spots: tuple[Spot, ...]


@dataclass(frozen=True)
class Swarm:
    """Values of many rows, a line a column: SHAP's summary."""

    kind: ClassVar[str] = "swarm"
    title: Words
    lines: tuple[Line, ...]
    note: Words = ""


@dataclass(frozen=True)
class Marked:
    """A text in pieces with a weight each; positive weights speak for `label`, negative against it."""

    label: str
    pieces: tuple[tuple[str, float], ...]
    note: Words = ""


@dataclass(frozen=True)
class Tokens:
    """Texts with highlighted pieces."""

    kind: ClassVar[str] = "tokens"
    title: Words
    texts: tuple[Marked, ...]
    note: Words = ""


@dataclass(frozen=True)
class Picture:
    """A PNG with its caption."""

    png: bytes
    caption: Words = ""


@dataclass(frozen=True)
class Pictures:
    """Pictures side by side (attributions over pixels)."""

    kind: ClassVar[str] = "pictures"
    title: Words
    pictures: tuple[Picture, ...]
    note: Words = ""


Block: TypeAlias = Text | Figures | Table | Lines | Bars | Scatter | Forces | Swarm | Tokens | Pictures


def write(
    folder: Path, name: str, title: Words, blocks: Sequence[Block], data: Mapping[str, Any] | None = None
) -> None:
    """`NAME.json`: title, blocks, and under `data` whatever a program may want beside them. Equal content, equal bytes.

    Args:
        name: of the family of claims, `fairness`.
    """
    value = {
        "version": VERSION,
        "family": name,
        "title": to_json(title),
        "blocks": [to_json(block) for block in blocks],
        "data": dict(data or {}),
    }
    (folder / f"{name}.json").write_bytes(canonical_json(value) + b"\n")


def to_json(value: Any) -> Any:
    """A block as plain JSON; a block's `kind` is among its fields."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple | list):
        return [to_json(one) for one in value]
    if isinstance(value, Mapping):
        return {key: to_json(one) for key, one in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        fields = {name: to_json(getattr(value, name)) for name in value.__dataclass_fields__}
        return {"kind": value.kind, **fields} if hasattr(value, "kind") else fields
    return value
