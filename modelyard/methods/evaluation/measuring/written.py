"""What written answers and likelihoods come to: perplexity, choices, overlap with what was wanted, pass@k."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelyard.methods.evaluation import overlap, translation
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.means import ratio_interval, share_interval
from modelyard.methods.statistics.wilson import wilson


@dataclass(frozen=True)
class Wanted:
    """What a row asks for.

    Attributes:
        answer: the text that is wanted; None: the text itself is what is judged.
        choices: of which `answer` is one; empty if the model writes freely.
        tests: Python that a written program must pass; None: the answer is compared.
    """

    answer: str | None
    choices: tuple[str, ...] = ()
    tests: str | None = None

    @property
    def place(self) -> int:
        return self.choices.index(self.answer or "")


@dataclass(frozen=True)
class Written:
    """What the model said [n].

    Attributes:
        texts: for each row the answers drawn (one if it wrote without chance); empty if it was not asked to write.
        likelihoods: of the wanted answer or the text; for choices one for each; None if the runtime tells none.
        num_cut: rows whose prompt the model could not read whole.
        passed: for each row, which of its programs passed its tests; empty if none were run.
    """

    wanted: tuple[Wanted, ...]
    texts: tuple[tuple[str, ...], ...]
    likelihoods: tuple[tuple[Any, ...], ...] | None
    num_cut: int = 0
    passed: tuple[tuple[bool, ...], ...] = ()


def perplexity(told: Sequence[Any], missing: dict[str, str], seed: int) -> list[Estimate]:
    """exp of -Σ log p / Σ tokens (or bytes), documents independent."""
    losses = -np.array([one.log_probability for one in told])
    n = losses.size
    found = []
    for name, sizes in (
        ("perplexity_token", np.array([float(one.tokens) for one in told])),
        ("perplexity_byte", np.array([float(one.bytes) for one in told])),
    ):
        if not sizes.sum() > 0:
            missing[name] = "no token was scored"
            continue
        mean, ends = float(losses.sum() / sizes.sum()), ratio_interval(losses, sizes, seed)
        found.append(Estimate(name, _exp(mean), (_exp(ends[0]), _exp(ends[1])) if ends else None, n))
        if name == "perplexity_byte":
            bits = (ends[0] / math.log(2), ends[1] / math.log(2)) if ends else None
            found.append(Estimate("bits_per_byte", mean / math.log(2), bits, n))
    return found


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))


def choices(answers: Written) -> list[Estimate]:
    told, n = answers.likelihoods or (), len(answers.wanted)
    found = []
    for name, by_byte in (("choice_accuracy", False), ("choice_accuracy_normalised", True)):
        hits = sum(best(each, by_byte) == one.place for each, one in zip(told, answers.wanted, strict=True))
        found.append(Estimate(name, hits / n, wilson(hits, n), n))
    return found


def best(told: Sequence[Any], by_byte: bool) -> int:
    """Place of the likeliest choice; the first of equals."""
    values = [one.log_probability / max(1, one.bytes if by_byte else 1) for one in told]
    return max(range(len(values)), key=lambda place: (values[place], -place))


def overlaps(answers: Written, missing: dict[str, str], seed: int) -> list[Estimate]:
    """Of the first answer drawn."""
    said, wanted = [one[0] for one in answers.texts], [str(one.answer) for one in answers.wanted]
    pairs, n = list(zip(said, wanted, strict=True)), len(said)
    hits = sum(overlap.exact_match(*pair) for pair in pairs)
    found = [Estimate("exact_match", hits / n, wilson(hits, n), n)]
    shares = {"token_f1": np.array([overlap.token_f1(*pair) for pair in pairs])}
    rouges = np.array([overlap.rouge(*pair) for pair in pairs])
    shares |= {"rouge_1": rouges[:, 0], "rouge_2": rouges[:, 1], "rouge_l": rouges[:, 2]}
    found += [Estimate(name, float(each.mean()), share_interval(each, seed), n) for name, each in shares.items()]
    for name, measure in (("bleu", translation.bleu), ("chrf", translation.chrf)):
        value, ends = measure(said, wanted)
        found.append(Estimate(name, value, ends, n))
        if ends is None:
            missing[f"interval of {name}"] = "too few rows, or nothing in common"
    return found


def passes(answers: Written, cutoffs: Sequence[int], seed: int) -> list[Estimate]:
    """pass@k (Chen et al. 2021): programs that passed their tests; without tests, answers that are the wanted text."""
    drawn = len(answers.texts[0])
    if answers.passed:
        right = [sum(each) for each in answers.passed]
    elif drawn > 1:
        right = [
            sum(overlap.exact_match(said, str(one.answer)) for said in texts)
            for texts, one in zip(answers.texts, answers.wanted, strict=True)
        ]
    else:
        return []
    found = []
    for k in sorted({k for k in cutoffs if k <= drawn}):
        values = np.array([overlap.pass_at_k(drawn, each, k) for each in right])
        found.append(
            Estimate("pass_at_k", float(values.mean()), share_interval(values, seed), values.size, {"k": str(k)})
        )
    return found
