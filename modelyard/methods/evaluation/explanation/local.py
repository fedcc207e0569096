"""Every method on every chosen row, and how faithful each is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.methods.evaluation.estimates import Estimate, Interval
from modelyard.methods.evaluation.explanation import owen, shapley
from modelyard.methods.evaluation.explanation.budgets import Budget
from modelyard.methods.evaluation.explanation.cases import Case
from modelyard.methods.evaluation.explanation.faithfulness import Faith, faith, random_areas, rank_correlation
from modelyard.methods.evaluation.explanation.game import Attribution, Floats, Game, Oracle
from modelyard.methods.evaluation.explanation.lime import lime
from modelyard.methods.evaluation.explanation.occlusion import occlusion
from modelyard.methods.evaluation.explanation.players import TextPlayers
from modelyard.methods.evaluation.means import ratio_interval, share_interval
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Predictor

Explain = Callable[[Case, Game], Attribution]
ANY = ("shap", "lime", "occlusion")
BY_GRADIENT = ("integrated_gradients", "gradient_input", "attention_rollout", "grad_cam")
FROM_INSIDE = ("tree_shap",)
METHODS = (*ANY, *FROM_INSIDE, *BY_GRADIENT)


def explainers(
    folder: Path, card: ModelCard, wanted: Sequence[str], budget: Budget
) -> tuple[dict[str, Explain], dict[str, str]]:
    """The wanted methods that suit a model, and why the others do not."""
    found: dict[str, Explain] = {}
    missing: dict[str, str] = {}
    if "shap" in wanted:
        found["shap"] = lambda case, game: _shap(case, game, budget)
    if "lime" in wanted:
        found["lime"] = lambda case, game: lime(game, budget.of(case), budget.generator(case, "lime"))
    if "occlusion" in wanted:
        found["occlusion"] = lambda case, game: occlusion(game)
    if "tree_shap" in wanted:
        if card.format == "gbdt":
            found["tree_shap"] = _tree_shap(folder)
        else:
            missing["tree_shap"] = "the model is not boosted trees"
    by_gradient = [name for name in wanted if name in BY_GRADIENT]
    if by_gradient:
        more, why = _by_gradient(folder, card, by_gradient, budget)
        found, missing = found | more, missing | why
    return found, missing


def _shap(case: Case, game: Game, budget: Budget) -> Attribution:
    """Owen values of texts too long for all coalitions, whose neighbours act together; else Shapley values."""
    questions, generator = budget.of(case), budget.generator(case, "shap")
    if isinstance(case.players, TextPlayers) and 2**game.size > questions:
        return owen.owen(game, questions, generator)
    return shapley.shapley(game, questions, generator)


def _tree_shap(folder: Path) -> Explain:
    from modelyard.methods.evaluation.explanation.trees import Trees

    trees = Trees(folder)
    two = len(trees.card.labels) == 2

    def explain(case: Case, game: Game) -> Attribution:
        every = trees.contributions([case.record])[0]
        one = (every[0] if case.target else -every[0]) if two else every[case.target]
        places = [trees.names.index(name) for name in game.players.names]
        return Attribution(one[places], float(one[-1]), float(one.sum()))

    return explain


def _by_gradient(
    folder: Path, card: ModelCard, wanted: Sequence[str], budget: Budget
) -> tuple[dict[str, Explain], dict[str, str]]:
    from modelyard.methods.runtimes.gradients import gradients_problem

    problem = gradients_problem(card)
    if problem:
        return {}, dict.fromkeys(wanted, problem)
    from modelyard.methods.evaluation.explanation import gradcam, gradients, rollout
    from modelyard.methods.runtimes.differentiable import open_differentiable

    model = open_differentiable(folder, attention="eager" if "attention_rollout" in wanted else None)
    problem = gradients.explained(model)
    if problem:
        return {}, dict.fromkeys(wanted, problem)
    using, found, missing = gradients.Gradients(model), {}, {}
    for name in wanted:
        if name == "integrated_gradients":
            found[name] = lambda case, game: using.integrated(case.record, case.target, case.players, budget.steps)
        elif name == "gradient_input":
            found[name] = lambda case, game: using.times_input(case.record, case.target, case.players)
        elif name == "attention_rollout":
            if rollout.rolls(model):
                found[name] = lambda case, game: rollout.rollout(using, case.record, case.players)
            else:
                missing[name] = "the network says no attention weights"
        else:
            maps = gradcam.last_maps(model) if card.task.startswith("image-") else None
            if maps is None:
                missing[name] = "the network has no feature maps"
            else:
                found[name] = _gradcam(using, maps)
    return found, missing


def _gradcam(using: Any, maps: Any) -> Explain:
    from modelyard.methods.evaluation.explanation.gradcam import gradcam

    return lambda case, game: gradcam(using, maps, case.record, case.target, case.players)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Explained:
    """A row with what each method says of it.

    Attributes:
        by_class: what one method says for each output, where that was asked.
    """

    case: Case
    by_method: dict[str, Attribution]
    faiths: dict[str, Faith]
    by_class: tuple[Attribution, ...] = ()


def explain_all(
    predictor: Predictor, cases: Sequence[Case], methods: dict[str, Explain], orders: int, budget: Budget,
    note: Callable[[int, int], None], every: str | None = None,
) -> list[Explained]:  # fmt: skip
    """All methods on all cases; how faithful they are on the sampled ones, where there are players to order.

    Args:
        every: the method that explains all outputs of the sampled ones; it asks nothing new for them.
    """
    oracle, found = Oracle(predictor), []
    for place, case in enumerate(cases):
        game = case.game(oracle)
        by_method = {name: explain(case, game) for name, explain in methods.items()}
        faiths: dict[str, Faith] = {}
        if case.sampled and game.size > 1:
            drawn = random_areas(game, orders, budget.generator(case, "orders"))
            faiths = {name: faith(game, one.values, drawn) for name, one in by_method.items()}
        by_class: tuple[Attribution, ...] = ()
        if every and case.sampled:
            explain = methods[every]
            places = range(len(oracle.labels))
            by_class = tuple(explain(replace(case, target=place), game.of(place)) for place in places)
        found.append(Explained(case, by_method, faiths, by_class))
        note(place + 1, len(cases))
    return found


def measured(found: Sequence[Explained], bounded: bool, seed: int) -> list[Estimate]:
    """Deletion and insertion areas, and gain over random orders, by method: means over rows.

    Args:
        bounded: the answers are probabilities.
    """
    estimates = []
    methods = list(dict.fromkeys(name for one in found for name in one.faiths))
    for name in methods:
        faiths = [one.faiths[name] for one in found if name in one.faiths]
        part = {"method": name}
        for claim in ("deletion", "insertion"):
            areas = np.array([getattr(one, claim) for one in faiths])
            interval = share_interval(np.clip(areas, 0, 1), seed) if bounded else mean_interval(areas, seed)
            estimates.append(Estimate(f"{claim}_auc", float(areas.mean()), interval, len(areas), part))
        gains = np.array([one.gain for one in faiths])
        interval = mean_interval(gains, seed)
        estimates.append(Estimate("faithfulness_gain", float(gains.mean()), interval, len(gains), part))
    return estimates


def sanity(
    one: Sequence[Explained], other: Sequence[Explained], seed: int
) -> tuple[list[Estimate], dict[str, list[float]]]:
    """Mean rank correlation, by method, of the sizes of explanations of a model and of its shuffled twin."""
    estimates, every = [], {}
    there = {explained.case.row_id: explained for explained in other}
    for name in dict.fromkeys(name for explained in one for name in explained.by_method):
        pairs = [
            (explained.by_method[name].values, there[explained.case.row_id].by_method[name].values)
            for explained in one
            if explained.case.row_id in there and name in there[explained.case.row_id].by_method
        ]
        found = np.array([rank_correlation(*pair) for pair in pairs if len(pair[0]) > 2])
        if not found.size:
            continue
        raised = share_interval((found + 1) / 2, seed)
        interval = (2 * raised[0] - 1, 2 * raised[1] - 1) if raised else None
        estimates.append(Estimate("sanity_correlation", float(found.mean()), interval, len(found), {"method": name}))
        every[name] = found.tolist()
    return estimates, every


def mean_interval(values: Floats, seed: int) -> Interval | None:
    """95 % of a mean over rows, bootstrap-t; None for fewer than five."""
    return ratio_interval(values, np.ones(len(values)), seed)
