"""Exponentiated gradient: fair classification as a sequence of weighted ones (Agarwal, Beygelzimer, Dudík, Langford and
Wallach 2018, "A reductions approach to fair classification"), fairlearn's algorithm over our own models.

It ends in a mixture: models with a weight each, of which one is drawn for every answer; the mixture's rates differ by
no more than was allowed on the training rows. What is shipped draws nothing: it answers with the mean score of the
mixture, its members' probabilities by weight; or it is one of the models trained on the way. `best` is the most
accurate of them all on validation whose gap is small enough there and in train, or the one of the smallest: with one
of the two alone, the smallest of many gaps would be the luckiest. So what the theory promises of
the drawn answer holds of neither to the letter, and is measured.

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
Ask = Callable[[Learned], NDArray[np.float32]]
"""Its logits [rows, 2] of the rows learned from."""


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
        self.answers = (self.maker.ask(self.model).argmax(1) == self.positive).astype(np.int64)
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
        models: all that some multiplier called for, members among them.
        error, gap: of the drawn answer in train: share of wrong answers, largest violation against the mean of all.
        trained: models in all.
    """

    members: tuple[Learned, ...]
    weights: tuple[float, ...]
    models: tuple[Learned, ...]
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
    details = {
        "fairness": fair.settings.model_dump(mode="json"),
        "groups": list(fair.groups.names),
        "trained": found.trained,
        "train_error": found.error,
        "train_violation": found.gap,
    }
    hooks.say(
        t(
            "exponentiated gradient: {trained} models trained, {kept} in the mixture; drawn answers in train: error "
            "{error:.4f}, largest violation {gap:.4f}",
            trained=found.trained, kept=len(found.members), error=found.error, gap=found.gap,
        )
    )  # fmt: skip
    candidates = _candidates(plain, found, fair.settings.answer)
    judge = _Judge(maker, targets, validation, fair, positive)
    judged = [judge(one) for one in (plain, *candidates)]
    place = chosen(judged[1:], fair.settings.gap)
    kept = candidates[place]
    _say(hooks, t("as it would be without"), judged[0])
    _say(hooks, t("mean score of the mixture") if kept.members else t("the one model that is kept"), judged[1 + place])
    return replace(kept, details={**kept.details, **details})


def _candidates(plain: Learned, found: Mixture, answer: str) -> list[Learned]:
    """What may be shipped; the mixture first."""
    if answer == "single" or len(found.members) == 1:
        return list(found.models)
    together = replace(
        plain,
        outputs=mixed([one.outputs for one in found.members], found.weights),
        num_parameters=sum(one.num_parameters for one in found.members),
        details={**plain.details, "weights": [round(one, 6) for one in found.weights]},
        members=found.members,
        shares=found.weights,
    )
    return [together] if answer == "mixture" else [together, *found.models]


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
    models = {place: _model(one, maker, labels, positive) for place, one in algorithm.predictors_.items()}
    members = tuple(models[place] for place in weights)
    shares_of = tuple(shares.tolist())
    return Mixture(members, shares_of, tuple(models.values()), error, float(answers.max()), oracle.count[0])


def _model(predictor: Any, maker: Maker, labels: Ints, positive: int) -> Learned:
    """The model of a predictor; one that gives every row the same answer is made as such."""
    if isinstance(predictor, _Oracle):
        assert predictor.model is not None
        return predictor.model
    always = positive if int(predictor.predict(np.zeros((1, 1)))[0]) == 1 else 1 - positive
    return maker.make(np.full(len(labels), always), np.ones(len(labels), np.float32))


def mixed(outputs: Sequence[NDArray[np.float32]], weights: Sequence[float]) -> NDArray[np.float32]:
    """[rows, classes] logarithms of the members' mean probabilities, from the logits of each."""
    parts = [weight * np.exp(evaluation.log_softmax(one)) for one, weight in zip(outputs, weights, strict=True)]
    result: NDArray[np.float32] = np.log(np.maximum(np.sum(parts, axis=0), 1e-7)).astype(np.float32)
    return result


@dataclass(frozen=True)
class _Judge:
    """(accuracy on validation, larger of the gaps there and in train) of a model or mixture."""

    maker: Maker
    targets: Ints
    validation: Ints
    fair: Fair
    positive: int

    def __call__(self, one: Learned) -> tuple[float, float]:
        parts = one.members or (one,)
        trained = [self.maker.ask(part) for part in parts]
        before = mixed(trained, one.shares or (1.0,)).argmax(1)
        answers, groups = one.outputs.argmax(1), self.fair.groups
        gaps = (
            self._gap(answers, self.validation, groups.validation),
            self._gap(before, self.targets, groups.training[self.maker.rows]),
        )
        return float((answers == self.validation).mean()), max(gaps)

    def _gap(self, answers: Ints, labels: Ints, groups: Ints) -> float:
        return judging.gap(answers, labels, groups, [self.positive], self.fair.settings.constraint)


def chosen(judged: Sequence[tuple[float, float]], allowed: float) -> int:
    """Place of the most accurate within the gap; the one of the smallest gap if none is."""
    within = [place for place, (_, gap) in enumerate(judged) if gap <= allowed]
    if within:
        return max(within, key=lambda place: judged[place][0])
    return min(range(len(judged)), key=lambda place: judged[place][1])


def _say(hooks: Hooks, what: str, judged: tuple[float, float]) -> None:
    accuracy, gap = judged
    hooks.say(
        t("{what}: validation accuracy {accuracy:.4f}, gap there or in train {gap:.4f}",
          what=what, accuracy=accuracy, gap=gap)
    )  # fmt: skip
