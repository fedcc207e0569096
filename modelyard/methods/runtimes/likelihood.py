"""How likely a text is to a causal language model: what perplexity and choices by likelihood rest on.

The logarithm of the probability of an answer's tokens given the prompt, or of a whole text's given a mark to begin
with. Texts longer than the model are read in pieces that do not overlap, each after one token of the piece before: what
lies further back is not used, so the likelihood of such texts is understated, never overstated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

SCORES = 1 << 26
"""Logits held at a time (256 MB): a vocabulary is far wider than a hidden state."""


@dataclass(frozen=True)
class Likelihood:
    """Of one record.

    Attributes:
        log_probability: natural logarithm, of the tokens that were scored.
        tokens: scored.
        bytes: of the text they spell, UTF-8.
    """

    log_probability: float
    tokens: int
    bytes: int


@dataclass(frozen=True)
class Scored:
    """Tokens of a record.

    Attributes:
        ids: all tokens; the first is never scored.
        start: place of the first token that is scored, at least 1.
        bytes: of the text that the scored tokens spell.
    """

    ids: Sequence[int]
    start: int
    bytes: int


def common(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two sequences begin with alike."""
    for place, (one, two) in enumerate(zip(first, second, strict=False)):
        if one != two:
            return place
    return min(len(first), len(second))


def scored(encode: Callable[[str], list[int]], prompt: str, answer: str, mark: int | None) -> Scored:
    """The tokens of an answer after a prompt. A token that joins both is the answer's.

    Args:
        mark: the token a text begins with where there is no prompt; None: the first token is then not scored.
    """
    before, whole = encode(prompt), encode(prompt + answer)
    if mark is not None and whole[:1] != [mark] and not before:
        before, whole = [mark], [mark, *whole]
    size = len(answer.encode("utf-8", "replace"))
    return Scored(whole, max(1, common(before, whole)), size)


def pieces(row: Scored, positions: int) -> Iterator[tuple[list[int], int]]:
    """Windows of at most `positions` tokens (at least 2) and, in each, the place of the first token that is scored."""
    ids, at = list(row.ids), row.start
    begin, end = 0, min(len(ids), positions)
    if at >= positions:  # the prompt alone fills the room: its end is kept, and half the room is for the answer
        end = min(len(ids), at + max(1, positions // 2))
        begin = end - positions
    while at < len(ids):
        yield ids[begin:end], at - begin
        begin, at = end - 1, end
        end = min(len(ids), begin + positions)


def log_probabilities(
    model: Any, rows: Sequence[Scored], positions: int, budget: int, note: Callable[[int], None] = lambda done: None
) -> list[Likelihood]:
    """Of each row; windows of like length are computed together, at most `budget` padded tokens.

    Args:
        model: a causal language model of transformers.
    """
    windows = [(row, ids, start) for row, one in enumerate(rows) for ids, start in pieces(one, positions)]
    order = sorted(range(len(windows)), key=lambda place: (len(windows[place][1]), place))
    width = int(getattr(model.config, "vocab_size", 0) or 50_000)
    budget = max(1, min(budget, SCORES // width))
    sums, counts = [0.0] * len(rows), [0] * len(rows)
    found: dict[int, float] = {}
    batch: list[int] = []
    for place in [*order, None]:
        full = place is None or (batch and (len(batch) + 1) * len(windows[place][1]) > budget)
        if full and batch:
            found |= dict(zip(batch, _scores(model, [windows[one][1:] for one in batch]), strict=True))
            note(len(found))
            batch = []
        if place is not None:
            batch.append(place)
    for place, (row, ids, start) in enumerate(windows):  # in the order of the text: sums do not depend on batches
        sums[row] += found[place]
        counts[row] += len(ids) - start
    return [Likelihood(sums[row], counts[row], one.bytes) for row, one in enumerate(rows)]


def _scores(model: Any, windows: Sequence[tuple[list[int], int]]) -> list[float]:
    """Sum of the log-probabilities of each window's tokens from its start, in double precision."""
    width = max(len(ids) for ids, _ in windows)
    padded = torch.tensor([ids + [0] * (width - len(ids)) for ids, _ in windows])
    mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in windows])
    with torch.inference_mode():
        logits = model(input_ids=padded, attention_mask=mask, use_cache=False).logits
    found = []
    for row, (ids, start) in enumerate(windows):
        own = logits[row, start - 1 : len(ids) - 1].double()
        chosen = own.gather(1, torch.tensor(ids[start:])[:, None])[:, 0]
        found.append(float((chosen - own.logsumexp(1)).sum()))
    return found
