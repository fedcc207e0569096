"""From rows of users and items to a trained recommender: the columns are learned, then one kind of network or all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods import networks
from modelyard.methods.preprocessing import table_fitting
from modelyard.methods.preprocessing.table import UNKNOWN, Table
from modelyard.methods.training import classification, devices, evaluation, fixed, loop, optimizers
from modelyard.methods.training.axes import Batch, Objective, Validator
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.microbatches import ByRow
from modelyard.methods.training.random import generator, seed_torch
from modelyard.methods.training.recommender import columns
from modelyard.methods.training.recommender.settings import Crosses, Deep, Embedding, Kind
from modelyard.methods.training.tables.learned import Learned, shape_of
from modelyard.methods.training.tables.rows import Splits

KINDS: tuple[Kind, ...] = ("factorization", "wide_deep", "dcn")
Arrays = Mapping[str, NDArray[Any]]
EVALUATION_ROWS = 8192


@dataclass(frozen=True)
class Usual:
    """A kind's settings where the user has none: chosen on validation rows of MovieLens 100k, for `wide_deep` and `dcn`
    with what is known of user and film beside them."""

    width: int
    penalty: float
    learning_rate: float
    batch_size: int
    epochs: int
    dropout: float


USUAL: Mapping[Kind, Usual] = {
    "factorization": Usual(64, 0.1, 1e-2, 1024, 40, 0.0),
    "wide_deep": Usual(32, 0.005, 2e-3, 512, 30, 0.2),
    "dcn": Usual(32, 0.05, 2e-3, 512, 30, 0.2),
}


@dataclass(frozen=True)
class Settings:
    """What a user may choose; see the stage's Config for the words. None: the kind's usual value."""

    user: str = "user"
    item: str = "item"
    categories: frozenset[str] = frozenset()
    min_rows: int = 5
    embedding: Embedding = field(default_factory=Embedding)
    crosses: Crosses = field(default_factory=Crosses)
    deep: Deep = field(default_factory=Deep)
    epochs: int | None = None
    batch_size: int | None = None


@dataclass(frozen=True)
class _Data:
    """What every kind learns from."""

    table: Table
    arrays: tuple[Arrays, Arrays]
    splits: Splits

    @property
    def num_labels(self) -> int:
        return len(self.splits.labels)


def train(
    splits: Splits,
    kinds: Sequence[Kind],
    settings: Settings,
    plan: loop.Plan,
    device: torch.device,
    scratch: Path,
    hooks: Hooks,
) -> tuple[Learned, list[Learned]]:
    """Train each kind; the one of the least validation loss is kept.

    Args:
        plan: its `epochs`, `batch_size` and, if the settings name none, `learning_rate` are each kind's own.

    Returns:
        what is kept, and all that was tried.
    """
    data = _read(splits, settings, hooks)
    tried = [_train(kind, data, settings, plan, device, scratch / kind, hooks) for kind in kinds]
    losses = [scores(one, splits.validation.targets, data.num_labels)["loss"] for one in tried]
    for one, loss in zip(tried, losses, strict=True):
        if len(tried) > 1:
            hooks.say(t("{kind}: validation loss {loss:.4f}", kind=one.kind, loss=loss))
    return tried[int(np.argmin(losses))], tried


def _read(splits: Splits, settings: Settings, hooks: Hooks) -> _Data:
    training, validation = splits.training.features, splits.validation.features
    fitted = columns.fit(
        training, settings.user, settings.item, settings.categories, settings.min_rows, settings.embedding.min_rows
    )
    for note in fitted.notes:
        hooks.say(note)
    table = fitted.table
    arrays = (
        table.arrays(table_fitting.encode(table, training)),
        table.arrays(table_fitting.encode(table, validation)),
    )
    users, items = (len(column.words) for column in table.columns[: columns.NUM_IDS])
    hooks.say(
        t(
            "{users} users, {items} items, {more} further columns",
            users=users,
            items=items,
            more=len(table.columns) - columns.NUM_IDS,
        )
    )
    for place, column in enumerate(table.columns[: columns.NUM_IDS]):
        share = float((arrays[1]["categories"][:, place] <= UNKNOWN).mean())
        if share:
            hooks.say(t("`{name}` is unknown in {share:.1%} of the validation rows", name=column.name, share=share))
    return _Data(table, arrays, splits)


def _train(
    kind: Kind, data: _Data, settings: Settings, plan: loop.Plan, device: torch.device, scratch: Path, hooks: Hooks
) -> Learned:
    usual = USUAL[kind]
    spec = _spec(kind, data, settings, plan)
    plan = replace(
        plan,
        epochs=settings.epochs or usual.epochs,
        batch_size=settings.batch_size or usual.batch_size,
        learning_rate=optimizers.default_rate(plan.optimizer, usual.learning_rate),
    )
    penalty = usual.penalty if settings.embedding.penalty is None else settings.embedding.penalty
    training, validation = data.splits.training, data.splits.validation
    with devices.reproducible(torch.device("cpu"), plan.threads):
        seed_torch(plan.seed, "weights", 0)
        module = networks.build(spec)
    read = _reader(data.arrays[1])
    hide = _Hiding(data.arrays[0], settings.embedding.unknown_share, plan.seed)
    goals, objective, validator = _aims(module, data, plan, penalty, read, device)
    if not data.num_labels:
        plan = replace(plan, early_stopping=plan.early_stopping.model_copy(update={"metric": "loss"}))
    feed = fixed.FixedFeed(hide, goals, training.weights, training.names, plan, device)
    outcome = loop.train(module, feed, objective, validator, plan, device, scratch, hooks)
    module = module.cpu().eval()
    outputs = fixed.outputs_of(module, read, len(validation), torch.device("cpu"), EVALUATION_ROWS)
    details = {
        "steps": outcome.steps,
        "best_step": outcome.best_step,
        "penalty": penalty,
        "unknown_share": settings.embedding.unknown_share,
        **{name: getattr(plan, name) for name in ("learning_rate", "batch_size", "epochs", "precision", "threads")},
    }
    num = sum(parameter.numel() for parameter in module.parameters())
    return Learned(kind, data.table, outputs, num, details, module=module, network=spec)


def _aims(
    module: Any, data: _Data, plan: loop.Plan, penalty: float, read: fixed.Read, device: torch.device
) -> tuple[dict[str, torch.Tensor], Objective, Validator]:
    """Targets by name, what is minimised, and how it is judged: for classes or for a quantity."""
    training, validation = data.splits.training, data.splits.validation
    if data.num_labels:
        goals = {"labels": torch.from_numpy(training.targets)}
        scores = fixed.ClassScores(read, validation.targets, device, EVALUATION_ROWS)
        return goals, Penalised(classification.objective_of(plan), penalty), scores
    mean, deviation = float(training.targets.mean()), float(training.targets.std()) or 1.0
    module.answer.measure(mean, deviation, float(training.targets.min()), float(training.targets.max()))
    goals = {"values": torch.from_numpy(training.targets.astype(np.float32))}
    # In units of the variance, so that the penalty means the same for stars and for seconds.
    objective = Penalised(fixed.SquaredError(), penalty, 1 / deviation**2)
    return goals, objective, fixed.NumberScores(read, validation.targets, device, EVALUATION_ROWS)


@dataclass(frozen=True)
class Penalised(ByRow):
    """A loss, times `factor`, and `penalty` times the squares of what each row looks up, by the rows' weights."""

    objective: Objective
    penalty: float
    factor: float = 1.0

    def __call__(self, module: torch.nn.Module, batch: Batch) -> torch.Tensor:
        network: Any = module
        loss = self.factor * self.objective(module, batch)
        if self.penalty:
            squares = network.squares(batch.inputs["numbers"], batch.inputs["categories"])
            loss = loss + self.penalty * (batch.targets["weights"] * squares).sum()
        return loss


class _Hiding:
    """Training rows of which some hide the user and some the item; which, seed and epoch decide for each row."""

    def __init__(self, arrays: Arrays, share: float, seed: int) -> None:
        self._numbers = torch.from_numpy(arrays["numbers"])
        self._categories = torch.from_numpy(arrays["categories"])
        self._share, self._seed = share, seed
        self._hidden: tuple[int | None, torch.Tensor] = (None, torch.zeros(0))

    def __call__(self, rows: NDArray[np.int64], epoch: int | None) -> Mapping[str, torch.Tensor]:
        if self._hidden[0] != epoch or epoch is None:
            draw = generator(self._seed, "hidden", epoch or 0).random((len(self._categories), columns.NUM_IDS))
            self._hidden = (epoch, torch.from_numpy(draw < self._share))
        chosen = torch.from_numpy(rows)
        categories = self._categories[chosen]
        categories[:, : columns.NUM_IDS].masked_fill_(self._hidden[1][chosen], UNKNOWN)
        return {"numbers": self._numbers[chosen], "categories": categories}


def _reader(arrays: Arrays) -> fixed.Read:
    tensors = {name: torch.from_numpy(arrays[name]) for name in ("numbers", "categories")}

    def read(rows: NDArray[np.int64], epoch: int | None) -> Mapping[str, torch.Tensor]:
        chosen = torch.from_numpy(rows)
        return {name: values[chosen] for name, values in tensors.items()}

    return read


def _spec(kind: Kind, data: _Data, settings: Settings, plan: loop.Plan) -> dict[str, Any]:
    usual, dropout = USUAL[kind], plan.regularization.dropout
    spec = {
        "kind": kind,
        **shape_of(data.table, data.num_labels or 1),
        "num_ids": columns.NUM_IDS,
        "width": settings.embedding.width or usual.width,
        "dropout": usual.dropout if dropout is None else dropout,
    }
    if kind != "factorization":
        spec["hidden"] = list(settings.deep.hidden)
    if kind == "dcn":
        spec |= {"crosses": settings.crosses.layers, "rank": settings.crosses.rank}
    return spec


def scores(learned: Learned, targets: NDArray[Any], num_labels: int) -> dict[str, float]:
    """Of validation: `accuracy`, `f1_macro`, `loss`, and `auc` for two classes; or `loss`, `rmse`, `r2`."""
    if not num_labels:
        return fixed.number_scores(learned.outputs[:, 0], targets)
    found = evaluation.scores(learned.outputs, targets)
    return {**found, "auc": auc(learned.outputs[:, 1], targets == 1)} if num_labels == 2 else found


def auc(answers: NDArray[Any], positive: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the share of pairs in the right order, ties half (Mann & Whitney 1947); 0.5 if there
    is one class only."""
    from scipy.stats import rankdata

    num, others = int(positive.sum()), int((~positive).sum())
    if not num or not others:
        return 0.5
    ranks = rankdata(answers)[positive].sum()
    return float((ranks - num * (num + 1) / 2) / (num * others))


def auc_interval(answers: NDArray[Any], positive: NDArray[np.bool_], seed: int) -> tuple[float, float]:
    """95 % percentile interval over 200 bootstrap samples of the rows (Efron 1979)."""
    draw = generator(seed, "bootstrap", len(answers))
    found = []
    for _ in range(200):
        rows = draw.integers(len(answers), size=len(answers))
        found.append(auc(answers[rows], positive[rows]))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
