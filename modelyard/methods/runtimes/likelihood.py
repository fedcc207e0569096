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
        greedy: whether every scored token was the likeliest one.
    """

    log_probability: float
    tokens: int
    bytes: int
    greedy: bool = False


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
    """Windows of at most `positions` tokens and the one that follows, and in each the first place that is scored."""
    ids, at = list(row.ids), row.start
    # An answer that does not fit beside one token of its prompt begins after as much of it as half the room holds.
    before = min(at, max(1, positions // 2)) if len(ids) - at > positions else 1
    while at < len(ids):
        end = min(len(ids), at + positions + 1 - before)
        begin = max(0, end - positions - 1)
        yield ids[begin:end], at - begin
        at, before = end, 1


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
    sums, counts, greedy = [0.0] * len(rows), [0] * len(rows), [True] * len(rows)
    found: dict[int, tuple[float, bool]] = {}
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
        sums[row] += found[place][0]
        greedy[row] &= found[place][1]
        counts[row] += len(ids) - start
    return [Likelihood(sums[row], counts[row], one.bytes, greedy[row]) for row, one in enumerate(rows)]


def _scores(model: Any, windows: Sequence[tuple[list[int], int]]) -> list[tuple[float, bool]]:
    """Of each window's tokens from its start: the sum of their log-probabilities, in double precision, and whether
    each was the likeliest. The last token of a window is not read: nothing is asked of what follows it."""
    width = max(len(ids) for ids, _ in windows) - 1
    padded = torch.tensor([ids[:-1] + [0] * (width + 1 - len(ids)) for ids, _ in windows])
    mask = torch.tensor([[1] * (len(ids) - 1) + [0] * (width + 1 - len(ids)) for ids, _ in windows])
    with torch.inference_mode():
        logits = model(input_ids=padded, attention_mask=mask, use_cache=False).logits
    found = []
    for row, (ids, start) in enumerate(windows):
        own, wanted = logits[row, start - 1 : len(ids) - 1].double(), torch.tensor(ids[start:])
        chosen = own.gather(1, wanted[:, None])[:, 0]
        found.append((float((chosen - own.logsumexp(1)).sum()), bool((own.argmax(1) == wanted).all())))
    return found
