"""Spans of texts as rows of tokens with tags, and what of them is not learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.marked_spans import Marked, Span, parse_spans
from modelyard.methods.preprocessing.windows import Placed, Windows
from modelyard.methods.tasks import tags
from modelyard.methods.training import batching, classification
from modelyard.methods.training.axes import Batch
from modelyard.methods.training.hooks import Say
from modelyard.methods.training.text_tasks.texts import Texts

IGNORED = -100
"""The tag of what is no token of a text: special tokens, padding."""
SHOWN = 5


def read(cell: Any, text: str) -> Marked | None:
    """The spans of a cell; None if it is empty. Raises InputError if it holds something else than a list."""
    marked = parse_spans(cell, text)
    if marked is None and str(cell or "").strip() not in ("", "null"):
        raise InputError(t("`{value}` is no list of spans", value=str(cell)[:40]))
    return marked


def labels_of(training: Texts[Marked], validation: Texts[Marked]) -> list[str]:
    """Labels of train, sorted. Raises InputError if there is none, or validation has one that train has not."""
    labels, others = (
        {span.label for marked in split.values for span in marked.spans} for split in (training, validation)
    )
    if not labels:
        raise InputError(
            t("no training text has any span"),
            where="data/train",
            expected=t("texts with marked spans"),
            remedy=t("check the column of the spans"),
        )
    strange = sorted(others - labels)
    if strange:
        some = ", ".join(strange[:SHOWN])
        found = t("{count} labels of validation are not in train: {labels}", count=len(strange), labels=some)
        remedy = t("merge or drop labels of a row or two")
        raise InputError.of([Problem("data/validation", found, t("labels that train has too"), remedy)])
    return sorted(labels)


def tell_left_out(split: str, rows: Texts[Marked], say: Say) -> None:
    """Say which spans of a split are not learned, and why."""
    total: Counter[str] = Counter()
    for marked in rows.values:
        total += marked.left_out
    if total:
        first = next(name for name, marked in zip(rows.names, rows.values, strict=True) if marked.left_out)
        reasons = ", ".join(f"{t(reason)} {count}" for reason, count in sorted(total.items()))
        say(
            t(
                "{count:,} spans of {split} were left out: {reasons}; first in row {row}",
                count=sum(total.values()),
                split=split,
                reasons=reasons,
                row=first,
            )
        )


@dataclass(frozen=True)
class Tagged:
    """A split as tokens with tags.

    Attributes:
        spans: of each text, as the data have them.
        placed: tokens of each text.
        paths: tags of each text's tokens.
    """

    texts: Sequence[str]
    spans: Sequence[tuple[Span, ...]]
    placed: Sequence[Placed]
    paths: Sequence[list[int]]


def tagged(split: str, rows: Texts[Marked], windows: Windows, names: Sequence[str], say: Say) -> Tagged:
    """Spans to tags; what does not fit the tokens is counted and said."""
    placed = windows.read(rows.texts)
    found = [tags.tag(marked.spans, one.offsets, names) for marked, one in zip(rows.values, placed, strict=True)]
    blurred, lost = sum(one.blurred for one in found), sum(one.lost for one in found)
    long = sum(len(one.ids) > windows.content for one in placed)
    if blurred:
        line = t("{count:,} spans of {split} begin or end inside a token: their tags reach to its end",
                 count=blurred, split=split)  # fmt: skip
        say(line)
    if lost:
        say(t("{count:,} spans of {split} hold no token the network reads", count=lost, split=split))
    if long:
        line = t("{count:,} texts of {split} are longer than {length} tokens: they are read in overlapping windows",
                 count=long, split=split, length=windows.content)  # fmt: skip
        say(line)
    return Tagged(rows.texts, [marked.spans for marked in rows.values], placed, [one.tags for one in found])


def token_rows(part: Tagged, rows: Texts[Marked], windows: Windows, pad_id: int) -> batching.Rows:
    """Every window of every text as a row of `input_ids` and `tags`."""
    ids, paths, places = [], [], []
    for text, (placed, path) in enumerate(zip(part.placed, part.paths, strict=True)):
        for start, stop in windows.cuts(len(path)):
            ids.append(windows.row(placed.ids[start:stop]))
            paths.append([*[IGNORED] * len(windows.prefix), *path[start:stop], *[IGNORED] * len(windows.suffix)])
            places.append(text)
    names, weights = [rows.names[text] for text in places], rows.weights[places]
    found = batching.token_rows(ids, pad_id, np.zeros(len(ids), np.int64), names, weights)
    flat = torch.from_numpy(np.fromiter((tag for path in paths for tag in path), np.int64, int(found.starts[-1])))
    return replace(found, columns={**found.columns, "tags": (flat, IGNORED)})


class TagFeed(classification.RowFeed):
    """Windows with a tag for each token; a batch weighs as much as its tokens do."""

    def batch(self, rows: NDArray[np.int64], epoch: int = 0) -> Batch:
        found = super().batch(rows, epoch)
        inputs = dict(found.inputs)
        goal, weights = inputs.pop("tags"), found.targets["weights"]
        weight = float((weights.double() * (goal != IGNORED).sum(1)).sum())
        return replace(found, inputs=inputs, targets={"tags": goal, "weights": weights}, weight=weight)
