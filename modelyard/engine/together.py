"""Rows that bring two things together, told by their columns: two texts, a text and its answer, a user and an item."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice

from modelyard.base.messages import t

SIDES = re.compile(r"[\W_]*(a|b|1|2|left|right)$")
ALIKE = (("premise", "hypothesis"), ("query", "passage"), ("query", "document"))
ANSWERED = (("question", "answer"), ("source", "target"), ("input", "output"), ("text", "answer"))
"""Names of two texts of which the second is made of the first; judged together where there is a label."""
USERS = frozenset(("user", "userid", "customer", "customerid", "用户", "用户id"))
ITEMS = frozenset(
    ("item", "itemid", "movie", "movieid", "film", "product", "productid", "book", "bookid", "商品", "商品id", "物品")
)
RATINGS = ("rating", "score", "stars", "评分")
CLICKS = ("click", "clicked", "label", "bought", "purchased", "点击")
TIMES = ("timestamp", "time", "date", "时间")
DIFFERENT = 0.5
"""Share of different values above which two columns of such names are texts."""
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Seen:
    """What is known of a column: its name, the rows that are filled, how many values differ, whether all are numbers;
    `texts`: whether its values look like texts."""

    name: str
    num_rows: int
    num_values: int
    numeric: bool


@dataclass(frozen=True)
class Together:
    """Two columns that belong together.

    Attributes:
        label, target: what came of it: a class (or 1 and 0), or a quantity; None: nothing is said.
        time: when it was.
        why: in words.
    """

    first: str
    second: str
    label: str | None = None
    target: str | None = None
    time: str | None = None
    why: str = ""


def texts(columns: Sequence[Seen]) -> tuple[str, str] | None:
    """The two columns of texts that belong together, or None."""
    return _named(columns, ALIKE + ANSWERED) or _sided(columns)


def alike(columns: Sequence[Seen], score: Seen | None) -> Together | None:
    """Two texts whose label is a number or which have none; None if there are no two, or classes are to be told."""
    both = _named(columns, ALIKE) or _sided(columns) or (_named(columns, ANSWERED) if score else None)
    if both is None or (score and not score.numeric):
        return None
    found = Together(*both, why=t("two columns of texts; their names say that they belong together"))
    if score is None:
        return found
    few = score.num_values <= 2
    return replace(found, label=score.name) if few else replace(found, target=score.name)


def answered(columns: Sequence[Seen]) -> Together | None:
    """A text and its answer."""
    both = _named(columns, ANSWERED)
    return Together(*both, why=t("a column of texts and one of answers, by their names")) if both else None


def chosen(columns: Sequence[Seen]) -> Together | None:
    """A user, an item and a rating or a click."""
    plain = {_NO_LETTERS.sub("", one.name.lower()): one for one in columns}
    user, item = (next((plain[name] for name in plain if name in names), None) for names in (USERS, ITEMS))
    rating, click = (next((plain[name] for name in names if name in plain), None) for names in (RATINGS, CLICKS))
    goal = rating or click
    if user is None or item is None or goal is None or user.num_values >= user.num_rows:
        return None
    when = next((plain[name].name for name in TIMES if name in plain), None)
    found = Together(user.name, item.name, time=when, why=t("users who come again, items, and what came of it"))
    return replace(found, target=goal.name) if rating and rating.numeric else replace(found, label=goal.name)


def objects(values: Counter[str]) -> bool:
    """Whether a column's values are JSON objects."""
    shown = list(islice(values, 50))
    return bool(shown) and all(value.startswith("{") and value.endswith("}") for value in shown)


def _texts(columns: Sequence[Seen]) -> list[str]:
    return [
        one.name
        for one in columns
        if one.num_rows and not one.numeric and one.num_values >= min(one.num_rows, 1000) * DIFFERENT
    ]


def _named(columns: Sequence[Seen], names: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    lower = {name.lower(): name for name in _texts(columns)}
    return next(((lower[first], lower[second]) for first, second in names if first in lower and second in lower), None)


def _sided(columns: Sequence[Seen]) -> tuple[str, str] | None:
    """Two columns of texts whose names differ in their last letter or number."""
    stems = [(SIDES.sub("", name.lower()), name) for name in _texts(columns) if SIDES.search(name.lower())]
    counts = Counter(stem for stem, _ in stems)
    both = [name for stem, name in stems if stem and counts[stem] == 2]
    return (both[0], both[1]) if len(both) == 2 else None
