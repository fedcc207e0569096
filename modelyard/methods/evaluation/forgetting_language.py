"""What an update of a language model forgot and gained: both models' likelihood of the same rows, paired.

On old test rows the ratio of perplexities, exp of the mean rise of the loss of a token, is what was forgotten; on new
ones it is what was gained. Rows (documents, answers) are independent, not tokens: the interval is that of a ratio of
sums over rows (`means.ratio_interval`), of the rows' own differences, so that what both models find hard cancels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation import measuring
from modelyard.methods.evaluation.intervals import Interval
from modelyard.methods.evaluation.means import ratio_interval
from modelyard.methods.evaluation.measuring.examples import Examples, batched
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.tasks.text_generation import NAME

Floats = NDArray[np.float64]
Note = Callable[[int, int], None]


@dataclass(frozen=True)
class Told:
    """Rows under two models that cut texts alike.

    Attributes:
        before, after: [rows] negative log-likelihood of each row, nats.
        tokens: [rows] that were scored.
        left_out: rows without a text.
    """

    before: Floats
    after: Floats
    tokens: Floats
    left_out: int
    seed: int

    @property
    def n(self) -> int:
        return self.tokens.size

    def perplexity(self, losses: Floats) -> tuple[float, Interval | None]:
        """Per token."""
        return _exponential(losses, self.tokens, self.seed)

    def ratio(self) -> tuple[float, Interval | None]:
        """Perplexity of the new model over that of the old."""
        return _exponential(self.after - self.before, self.tokens, self.seed)

    def to_json(self) -> dict[str, Any]:
        parts = {"before": self.perplexity(self.before), "after": self.perplexity(self.after), "ratio": self.ratio()}
        shown = {name: {"value": one, "interval": list(ends) if ends else None} for name, (one, ends) in parts.items()}
        return {"n": self.n, "tokens": int(self.tokens.sum()), "left_out": self.left_out, **shown}


def _exponential(tops: Floats, tokens: Floats, seed: int) -> tuple[float, Interval | None]:
    ends = ratio_interval(tops, tokens, seed)
    low, high = (math.exp(min(one, 700.0)) for one in ends) if ends else (0.0, 0.0)
    return math.exp(min(float(tops.sum() / tokens.sum()), 700.0)), (low, high) if ends else None


def judge(data: Dataset, before: Predictor, after: Predictor, batch_rows: int, seed: int, note: Note) -> Told:
    """The likelihood of every test row under both models: of its answer if it has one, else of its text.

    Raises:
        InputError: one model does not write, or tells no likelihoods; they cut texts into other tokens; no rows.
    """
    if before.task != NAME or after.task != NAME:
        raise InputError(
            t("the old model is for {before}, the new one for {after}", before=before.task, after=after.task),
            expected=t("two models of one task: {tasks}", tasks=NAME),
            remedy=t("bind the model that was updated to `before`"),
        )
    examples = Examples.read(data, "test", measuring.find(NAME).reader(data, NAME, Measuring()))
    found: list[list[Any]] = [[], []]
    for records in batched(examples.records(), batch_rows):
        wanted = examples.truths[len(found[0]) : len(found[0]) + len(records)]
        asked = [
            record if one.answer is None else {**record, "answer": one.answer}
            for record, one in zip(records, wanted, strict=True)
        ]
        for told, model in zip(found, (before, after), strict=True):
            told += _likelihoods(model, asked)
        note(len(found[0]), len(examples))
    tokens, others = (np.array([one.tokens for one in told], np.float64) for told in found)
    if not tokens.sum() > 0:
        raise InputError(t("the split has no row with a text"), where="test", expected=t("rows with a text"))
    if not np.array_equal(tokens, others):
        raise InputError(
            t("the two models cut the same texts into other tokens"),
            expected=t("a model and the one it was updated from"),
            remedy=t("compare models of different tokens by evaluate.comparison, or by bits per byte"),
        )
    losses = [-np.array([one.log_probability for one in told], np.float64) for told in found]
    return Told(losses[0], losses[1], tokens, len(examples.left_out), seed)


def _likelihoods(model: Any, records: list[Any]) -> list[Any]:
    likelihood = getattr(model, "log_likelihood", None)
    if likelihood is None:
        raise InputError(
            t("the model's runtime tells no likelihoods"),
            where="model",
            expected=t("a language model in the format `hf`"),
        )
    return list(likelihood(records))
