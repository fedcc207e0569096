"""What a data file seems to be: the words for it, and what is known of each of its columns."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice

MAX_ROWS = 20_000
"""Rows looked at: files are often sorted by class, so the first hundred may hold only one."""
MAX_VALUES = 1_000
MAX_CLASSES = 20
"""More different numbers than this are quantities, not names of classes."""
TEXT_NAMES = frozenset(
    ("text", "review", "content", "sentence", "message", "comment", "body", "正文", "评论", "文本", "内容", "句子")
)
LABEL_NAMES = frozenset(
    (
        "label",
        "class",
        "classification",
        "category",
        "target",
        "sentiment",
        "intent",
        "y",
        "标签",
        "类别",
        "分类",
        "情感",
        "意图",
    )
)


TARGET_NAMES = frozenset(("target", "y", "price", "value", "score", "rating", "价格", "目标", "评分", "数值"))
PAIRS, REWRITES, RECOMMENDATION = "sentence-embedding", "text-to-text", "recommendation"
SPANS = "spans"
SPAN_EXAMPLE = '{"start": 0, "end": 2, "label": "name"}'
TEXTS, TEXT_GENERATION, SPAN_TEXTS = "text-classification", "text-generation", "token-classification"
TABLE_CLASSES, TABLE_NUMBERS, IMAGES = "tabular-classification", "tabular-regression", "image-classification"
LONG = 20
"""Characters on average past which values are texts rather than names, whatever the column is called."""
SENTENCE = 3
"""Words on average that make values texts, however short."""
PARTS = re.compile(r"[\W_]+")
IMAGE_ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"))


@dataclass(frozen=True)
class Guess:
    """One thing guessed: `what` it is, the value, and why."""

    what: str
    value: str
    why: str

    def __str__(self) -> str:
        return f"{self.what}: {self.value} ({self.why})"


@dataclass
class ColumnStatistics:
    """Of one column over the rows looked at."""

    name: str
    num_rows: int = 0
    num_characters: int = 0
    values: Counter[str] = field(default_factory=Counter)
    many: bool = False

    def add(self, value: str) -> None:
        self.num_rows += 1
        self.num_characters += len(value)
        if value in self.values or len(self.values) < MAX_VALUES:
            self.values[value] += 1
        else:
            self.many = True

    @property
    def mean_length(self) -> float:
        return self.num_characters / max(1, self.num_rows)

    @property
    def num_values(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Guessed:
    """What a data file seems to be.

    Attributes:
        text, label: columns, None if none looks like it.
        columns: names to give when the first line is data already, else None.
        num_rows: rows looked at; `whole` if these are all.
        majority: share of the most frequent label, None without a label.
        guesses: all of it in words.
        task: what a model of it would be for: a template's name.
        target: the column of numbers to predict, None if there is none.
        other: the text that goes with `text`, of pairs of texts, and of texts and their answers.
        user, item, time: columns of who chose what, and when.
    """

    text: str | None
    label: str | None
    columns: tuple[str, ...] | None
    num_rows: int
    whole: bool
    majority: float | None
    guesses: tuple[Guess, ...]
    task: str = TEXTS
    target: str | None = None
    other: str | None = None
    user: str | None = None
    item: str | None = None
    time: str | None = None


def numeric(column: ColumnStatistics) -> bool:
    """Whether all values looked at are numbers."""
    return all(value.replace(".", "", 1).lstrip("+-").isdigit() for value in islice(column.values, 50))
