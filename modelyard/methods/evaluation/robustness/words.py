"""Words replaced where the gradient says it hurts most (HotFlip, Ebrahimi et al. 2018), by synonyms only.

Each word that the table has synonyms for is scored by the gradient of the loss at its tokens times the change of their
vectors' mean; the best-scored replacements are tried on the model itself, one after the other, and the one that raises
the loss most is kept, until the answer turns or the budget is spent. A replacement is a word of the same group, so the
text still says the same as far as the table knows; who gives his own table answers for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from modelyard.methods.data.augmentation.lexicon import Lexicon
from modelyard.methods.data.augmentation.text import replaceable
from modelyard.methods.evaluation.robustness.gradients import loss_and_gradient
from modelyard.methods.runtimes.differentiable import Differentiable


@dataclass(frozen=True)
class Turned:
    """What replacing words came to.

    Attributes:
        text: the worst found; the row's own if nothing could be replaced.
        right: whether the answer is still the right one.
        replaced: words that were replaced.
    """

    text: str
    right: bool
    replaced: int


def turn(model: Differentiable, text: str, label: int, lexicon: Lexicon, budget: int, tries: int = 8) -> Turned:
    """Replace at most `budget` words of a text.

    Args:
        tries: candidates tried for each replacement, the best by the gradient first.
    """
    logits, now = _judge(model, [text], label)
    right, replaced = bool(logits[0]), 0
    taken: set[int] = set()
    while right and replaced < budget:
        found = _candidates(model, text, label, lexicon, taken)[:tries]
        if not found:
            break
        kept, losses = _judge(model, [candidate for _, candidate in found], label)
        best = int(np.argmax(losses))
        if losses[best] <= now[0]:
            break
        place, text = found[best]
        taken.add(place)
        right, now = bool(kept[best]), losses[best : best + 1]
        replaced += 1
    return Turned(text, right, replaced)


def _judge(model: Differentiable, texts: Sequence[str], label: int) -> tuple[np.ndarray, np.ndarray]:
    """Whether each text is answered with the label [n], and the loss [n]."""
    with torch.no_grad():
        logits = model.logits(model.encode([{"text": text} for text in texts]))
        wanted = torch.full((len(texts),), label)
        losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
    return (logits.argmax(1) == label).numpy(), losses.double().numpy()


def _candidates(
    model: Differentiable, text: str, label: int, lexicon: Lexicon, taken: set[int]
) -> list[tuple[int, str]]:
    """(which word, the text with it replaced), the largest first-order rise of the loss first."""
    options = [(place, word, before, after) for place, (before, word, after) in enumerate(replaceable(text, lexicon))]
    made = [
        (place, before + other + after)
        for place, word, before, after in options
        if place not in taken
        for other in lexicon.synonyms[word.lower()]
    ]
    if not made:
        return []
    arrays = model.encode([{"text": text}])
    leaves = dict(model.embed(arrays))
    name = "tokens" if "tokens" in leaves else sorted(leaves)[0]
    _, _, gradient = loss_and_gradient(model, arrays, leaves, torch.tensor([label]), name)
    rises = [_rise(model, gradient[0], leaves[name][0].detach(), name, candidate) for _, candidate in made]
    return [made[place] for place in np.argsort(-np.array(rises), kind="stable").tolist()]


def _rise(model: Differentiable, gradient: torch.Tensor, own: torch.Tensor, name: str, candidate: str) -> float:
    """⟨gradient, vectors of the candidate - own vectors⟩ over the places that both have and that differ."""
    with torch.no_grad():
        other = dict(model.embed(model.encode([{"text": candidate}])))[name][0].detach()
    if own.ndim == 1:
        return 0.0  # n-grams: places mean other n-grams, so the gradient does not order candidates
    length = min(len(own), len(other))
    return float((gradient[:length] * (other[:length] - own[:length])).sum())
