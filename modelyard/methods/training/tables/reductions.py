"""Exponentiated gradient: fair classification as a sequence of weighted ones (Agarwal, Beygelzimer, Dudík, Langford and
Wallach 2018, "A reductions approach to fair classification"), fairlearn's algorithm over our own models.

It ends in a mixture: models with a weight each, of which one is drawn for every answer; the mixture's rates differ by
no more than was allowed on the training rows. What is shipped draws nothing: it answers with the mean score of the
mixture, its members' probabilities by weight; or one member alone, the most accurate on validation of those within the
gap there. So what the theory promises of the drawn answer holds of neither to the letter, and is measured.

Every model is trained on all rows with labels and weights of the algorithm's choosing. How strong a model may be is
settled once, on the rows as they are (rounds of trees; penalty of a linear model), for validation has no such labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import evaluation
from modelyard.methods.training.fair import judging
from modelyard.methods.training.fair.arranging import Fair
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.tables.learned import Learned

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
FLOOR = 1e-6
"""Weights below it are no members."""
CALLS = 6
"""Models a round trains, about; for the bar of progress."""
Make = Callable[[Ints, NDArray[np.float32]], Learned]
"""A model from targets and weights of the rows learned from."""
Ask = Callable[[Learned], Ints]
"""What it answers to the rows learned from."""


@dataclass(frozen=True)
class Maker:
    """How a model is made and asked; `rows` are the places in train of what is learned from."""

    make: Make
    ask: Ask
    rows: Ints


class _Oracle:
    """One model, as fairlearn wants it: its X holds places of rows, nothing else. All clones count together."""

    def __init__(self, maker: Maker, count: list[int], positive: int, tell: Callable[[int], None]) -> None:
        self.maker, self.count, self.positive, self.tell = maker, count, positive, tell
        self.model: Learned | None = None
        self.answers: Ints = np.empty(0, np.int64)

    def __sklearn_clone__(self) -> _Oracle:
        return _Oracle(self.maker, self.count, self.positive, self.tell)

    def fit(self, places: Any, wanted: Any, sample_weight: Any) -> _Oracle:
        chosen = np.asarray(wanted).astype(np.int64)
        targets = np.where(chosen == 1, self.positive, 1 - self.positive)
        self.model = self.maker.make(targets, np.asarray(sample_weight, np.float32))
        self.answers = (self.maker.ask(self.model) == self.positive).astype(np.int64)
        self.count[0] += 1
        self.tell(self.count[0])
        return self

    def predict(self, places: Any) -> Ints:
        found: Ints = self.answers[np.asarray(places)[:, 0]]
        return found


@dataclass(frozen=True)
class Mixture:
    """What the algorithm found.

    Attributes:
        members: models of a weight above 0, and their weights, which sum to 1.
        error, gap: of the drawn answer in train: share of wrong answers, largest violation against the mean of all.
        trained: models in all.
    """

    members: tuple[Learned, ...]
    weights: tuple[float, ...]
    error: float
    gap: float
    trained: int


def train(maker: Maker, plain: Learned, targets: Ints, validation: Ints, fair: Fair, hooks: Hooks) -> Learned:
    """A model whose rates differ little between groups.

    Args:
        plain: learned from the rows as they are.
        targets, validation: places of the labels of the rows learned from, and of validation.

    Raises:
        InputError: there are not two classes.
    """
    if len(fair.labels) != 2:
        raise InputError(
            t("`exponentiated_gradient` is for two classes, there are {count}", count=len(fair.labels)),
            where="fairness.kind",
            expected=t("two classes"),
        )
    positive = fair.positives()[0]
    found = mixture(maker, (targets == positive).astype(np.int64), fair, positive, hooks)
    judged = [_judged(one.outputs, validation, fair, positive) for one in (plain, *found.members)]
    together = mixed(found.members, found.weights)
    with_all = _judged(together, validation, fair, positive)
    hooks.say(
        t(
            "exponentiated gradient: {trained} models trained, {kept} in the mixture; drawn answers in train: error "
            "{error:.4f}, largest violation {gap:.4f}",
            trained=found.trained, kept=len(found.members), error=found.error, gap=found.gap,
        )
    )  # fmt: skip
    _say(hooks, t("as it would be without"), judged[0])
    _say(hooks, t("mean score of the mixture"), with_all)
    details = {
        "fairness": fair.settings.model_dump(mode="json"),
        "groups": list(fair.groups.names),
        "trained": found.trained,
        "train_error": found.error,
        "train_violation": found.gap,
    }
    if fair.settings.answer == "single" or len(found.members) == 1:
        place = chosen(judged[1:], fair.settings.gap)
        _say(hooks, t("the one model that is kept"), judged[1 + place])
        one = found.members[place]
        return replace(one, details={**one.details, **details})
    return replace(
        plain,
        outputs=together,
        num_parameters=sum(one.num_parameters for one in found.members),
        details={**plain.details, **details, "weights": [round(one, 6) for one in found.weights]},
        members=found.members,
        shares=found.weights,
    )


def mixture(maker: Maker, labels: Ints, fair: Fair, positive: int, hooks: Hooks) -> Mixture:
    """The algorithm itself.

    Args:
        labels: [rows learned from] 1 for the positive class.
    """
    from fairlearn import reductions

    kinds: dict[str, Any] = {
        "demographic_parity": reductions.DemographicParity,
        "equal_opportunity": reductions.TruePositiveRateParity,
        "equalized_odds": reductions.EqualizedOdds,
    }
    settings = fair.settings
    total = settings.rounds * CALLS
    # fairlearn bounds each group against all rows: two groups then differ by twice that at most.
    constraint = kinds[settings.constraint](difference_bound=settings.gap / 2)
    oracle = _Oracle(maker, [0], positive, lambda done: hooks.progress(min(done, total), total, "models"))
    algorithm = reductions.ExponentiatedGradient(oracle, constraint, max_iter=settings.rounds)
    places = np.arange(len(labels)).reshape(-1, 1)
    algorithm.fit(places, labels, sensitive_features=fair.groups.training[maker.rows])
    weights = {int(place): float(weight) for place, weight in algorithm.weights_.items() if weight > FLOOR}
    predictors = [algorithm.predictors_[place] for place in weights]
    shares = np.array(list(weights.values())) / sum(weights.values())
    drawn = sum(share * np.asarray(one.predict(places)) for share, one in zip(shares, predictors, strict=True))
    answers = algorithm.constraints_.gamma(lambda _: drawn)
    error = float(np.abs(labels - drawn).mean())
    members = tuple(_model(one, maker, labels, positive) for one in predictors)
    return Mixture(members, tuple(shares.tolist()), error, float(answers.max()), oracle.count[0])


def _model(predictor: Any, maker: Maker, labels: Ints, positive: int) -> Learned:
    """The model of a predictor; one that gives every row the same answer is made as such."""
    if isinstance(predictor, _Oracle):
        assert predictor.model is not None
        return predictor.model
    always = positive if int(predictor.predict(np.zeros((1, 1)))[0]) == 1 else 1 - positive
    return maker.make(np.full(len(labels), always), np.ones(len(labels), np.float32))


def mixed(members: Sequence[Learned], weights: Sequence[float]) -> NDArray[np.float32]:
    """[rows, classes] logarithms of the members' mean probabilities."""
    parts = [weight * np.exp(evaluation.log_softmax(one.outputs))
             for one, weight in zip(members, weights, strict=True)]  # fmt: skip
    result: NDArray[np.float32] = np.log(np.maximum(np.sum(parts, axis=0), 1e-7)).astype(np.float32)
    return result


def _judged(outputs: NDArray[np.float32], labels: Ints, fair: Fair, positive: int) -> tuple[float, float]:
    """(accuracy, gap) on validation."""
    answers = outputs.argmax(1)
    gap = judging.gap(answers, labels, fair.groups.validation, [positive], fair.settings.constraint)
    return float((answers == labels).mean()), gap


def chosen(judged: Sequence[tuple[float, float]], allowed: float) -> int:
    """Place of the most accurate within the gap; the one of the smallest gap if none is."""
    within = [place for place, (_, gap) in enumerate(judged) if gap <= allowed]
    if within:
        return max(within, key=lambda place: judged[place][0])
    return min(range(len(judged)), key=lambda place: judged[place][1])


def _say(hooks: Hooks, what: str, judged: tuple[float, float]) -> None:
    hooks.say(t("{what}: validation accuracy {accuracy:.4f}, gap {gap:.4f}", what=what, accuracy=judged[0],
                gap=judged[1]))  # fmt: skip
