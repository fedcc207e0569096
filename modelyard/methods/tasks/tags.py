"""Tags of tokens and the spans they mean: `B-name` begins a span, `I-name` goes on with it, `O` is outside all
(IOB2: Tjong Kim Sang & Veenstra 1999).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods.data.marked_spans import Span

OUTSIDE, BEGIN, INSIDE = "O", "B-", "I-"
Offsets = Sequence[tuple[int, int]]
"""Characters [start, end) of each token."""


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """`O`, then `B-` and `I-` of each label."""
    return (OUTSIDE, *(prefix + label for label in labels for prefix in (BEGIN, INSIDE)))


def labels_of(tags: Sequence[str]) -> tuple[str, ...]:
    """The labels of spans that tags can mean, in their order."""
    return tuple(dict.fromkeys(tag[len(BEGIN) :] for tag in tags if tag != OUTSIDE))


def tags_problem(tags: Sequence[str]) -> str:
    """What is wrong with a model's tags; empty if nothing."""
    strange = [tag for tag in tags if tag != OUTSIDE and tag[:2] not in (BEGIN, INSIDE)]
    if strange:
        return t("`{tag}` is none of O, B-… and I-…", tag=strange[0])
    whole = set(tags) >= set(tag_names(labels_of(tags)))
    if len(tags) < 3 or len(set(tags)) != len(tags) or not whole:
        return t("the tags are not `O` and, once each, `B-` and `I-` of every label")
    return ""


def allowed(tags: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(tags [T] a text may begin with, tags [T, T] that may follow: from row to column)."""
    begins = np.array([not tag.startswith(INSIDE) for tag in tags])
    follows = np.tile(begins, (len(tags), 1))
    for place, tag in enumerate(tags):
        for after, next_tag in enumerate(tags):
            if next_tag.startswith(INSIDE) and tag != OUTSIDE and tag[2:] == next_tag[2:]:
                follows[place, after] = True
    return begins, follows


@dataclass(frozen=True)
class Tagged:
    """A text's tokens with their tags.

    Attributes:
        tags: [tokens] positions in the list of tags.
        blurred: spans that begin or end inside a token: their tags reach further than they do.
        lost: spans that no token touches.
    """

    tags: list[int]
    blurred: int = 0
    lost: int = 0


def tag(spans: Sequence[Span], offsets: Offsets, tags: Sequence[str]) -> Tagged:
    """Tags of tokens from spans in order that do not overlap. A token that touches a span belongs to it."""
    places = {name: position for position, name in enumerate(tags)}
    found = [places[OUTSIDE]] * len(offsets)
    blurred = lost = first = 0
    for span in spans:
        while first < len(offsets) and _end(offsets[first]) <= span.start:
            first += 1
        last = first
        while last < len(offsets) and offsets[last][0] < span.end:
            found[last] = places[(INSIDE if last > first else BEGIN) + span.label]
            last += 1
        if last == first:
            lost += 1
            continue
        blurred += (offsets[first][0], offsets[last - 1][1]) != (span.start, span.end)
        first = last
    return Tagged(found, blurred, lost)


def _end(offset: tuple[int, int]) -> int:
    """Tokens without characters stand where they stand."""
    return max(offset[1], offset[0] + 1)


def runs(path: Sequence[int], tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(first token, one past the last, label) of each span that a valid path of tags means."""
    start = None
    for place, name in enumerate([*(tags[one] for one in path), OUTSIDE]):
        if start is not None and not name.startswith(INSIDE):
            yield start, place, tags[path[start]][len(BEGIN) :]
            start = None
        if name.startswith(BEGIN):
            start = place
