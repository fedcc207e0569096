"""Boosted trees by LightGBM (Ke et al. 2017), with native categories and missing values and early stopping.

Trees grow in segments of a fixed number of rounds. Every segment starts from the text of the trees before it, whether
the run was killed or not, so a run that goes on from a checkpoint takes the same steps and ends with the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from modelyard.base import files
from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.errors import StageError
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings_tables import Trees

STATE = "state.json"


@dataclass(frozen=True)
class Part:
    """One split as trees read it: `table` [rows, columns] float64, targets, weights [rows]."""

    table: NDArray[np.float64]
    targets: NDArray[Any]
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Boosted:
    """Trained trees.

    Attributes:
        text: LightGBM's own format, the best rounds only.
        rounds: how many those are.
        done: rounds that were trained.
        leaves: of all trees.
    """

    text: str
    rounds: int
    done: int
    leaves: int


@dataclass
class _Progress:
    """What a segment starts from; all of a checkpoint."""

    text: str
    losses: list[float]

    @property
    def best(self) -> int:
        """Rounds at the least loss."""
        return int(np.argmin(self.losses)) + 1 if self.losses else 0


def train(
    training: Part,
    validation: Part,
    categories: Sequence[int],
    num_labels: int,
    settings: Trees,
    seed: int,
    threads: int,
    scratch: Path,
    hooks: Hooks,
    quantile: float | None = None,
) -> Boosted:
    """Grow trees until validation has not got better for `patience` rounds, or `rounds` are done.

    Args:
        categories: places of the columns whose numbers are codes.
        num_labels: 0: the targets are quantities.
        quantile: the level to learn in place of the mean (Koenker and Bassett 1978: the pinball loss).

    Raises:
        StageError: the loss is no longer a number.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    progress = _resume(scratch, hooks)
    while len(progress.losses) < settings.rounds and not _stopped(progress, settings):
        target = min(settings.rounds, len(progress.losses) + settings.segment)
        params = parameters(settings, num_labels, seed + len(progress.losses), threads) | _of_quantile(quantile)
        _segment(progress, target, params, _Sets(training, validation, categories), settings, hooks)
        _save(scratch, progress)
    best = progress.best
    booster: Any = lightgbm.Booster(model_str=progress.text)
    text = booster.model_to_string(num_iteration=best)
    if quantile is None:
        hooks.say(t("trees: best after {best} of {done} rounds", best=best, done=len(progress.losses)))
    else:
        done = len(progress.losses)
        hooks.say(t("trees of the quantile {level:g}: best after {best} of {done} rounds", level=quantile, best=best,
                    done=done))  # fmt: skip
    return Boosted(text, best, len(progress.losses), num_leaves(text))


def grow(
    training: Part, categories: Sequence[int], num_labels: int, settings: Trees, rounds: int, seed: int, threads: int
) -> str:
    """LightGBM's text of so many rounds of trees; nothing stops or chooses them."""
    params = parameters(settings, num_labels, seed, threads)
    data: Any = lightgbm.Dataset(
        training.table, training.targets, weight=training.weights, categorical_feature=list(categories), params=params
    )
    text: str = lightgbm.train(params, data, rounds).model_to_string(num_iteration=-1)
    return text


@dataclass(frozen=True)
class _Sets:
    training: Part
    validation: Part
    categories: Sequence[int]

    def of(self, part: Part, params: dict[str, Any]) -> Any:
        return lightgbm.Dataset(
            part.table, part.targets, weight=part.weights, categorical_feature=list(self.categories), params=params,
            free_raw_data=False,
        )  # fmt: skip


def _segment(
    progress: _Progress, target: int, params: dict[str, Any], sets: _Sets, settings: Trees, hooks: Hooks
) -> None:
    """More trees up to `target` rounds, or until early stopping; `progress` is moved on."""
    start = len(progress.losses)

    def after(env: Any) -> None:
        loss = float(env.evaluation_result_list[0][2])
        if not np.isfinite(loss):
            raise StageError(t("training broke down: the validation loss is {loss:g}", loss=loss))
        progress.losses.append(loss)
        done = len(progress.losses)
        hooks.progress(done, settings.rounds, "rounds")
        if done % max(1, settings.rounds // 200) == 0:
            hooks.log(done, validation_loss=loss)
        if _stopped(progress, settings):
            raise lightgbm.callback.EarlyStopException(done - 1, env.evaluation_result_list)

    training = sets.of(sets.training, params)
    before: Any = lightgbm.Booster(model_str=progress.text) if progress.text else None
    booster = lightgbm.train(
        params,
        training,
        target - start,
        valid_sets=[training.create_valid(sets.validation.table, sets.validation.targets)],
        init_model=before,
        callbacks=[after],
        keep_training_booster=True,
    )
    # All trees, not those up to what LightGBM calls the best: its counter begins anew with every segment.
    progress.text = booster.model_to_string(num_iteration=-1)


def _stopped(progress: _Progress, settings: Trees) -> bool:
    return settings.patience > 0 and len(progress.losses) - progress.best >= settings.patience


def parameters(settings: Trees, num_labels: int, seed: int, threads: int) -> dict[str, Any]:
    """LightGBM's own names. Deterministic for a fixed number of threads; row-wise histograms, so that it does not try
    out which is faster."""
    if num_labels > 2:
        task: dict[str, Any] = {"objective": "multiclass", "metric": "multi_logloss", "num_class": num_labels}
    elif num_labels == 2:
        task = {"objective": "binary", "metric": "binary_logloss"}
    else:
        task = {"objective": "regression", "metric": "l2"}
    return {
        **task,
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.leaves,
        "min_data_in_leaf": settings.min_rows,
        "feature_fraction": settings.columns_share,
        "bagging_fraction": settings.rows_share,
        "bagging_freq": 1 if settings.rows_share < 1 else 0,
        "lambda_l2": settings.l2,
        "max_bin": settings.bins,
        "seed": seed % (1 << 31),
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }


def _of_quantile(level: float | None) -> dict[str, Any]:
    return {} if level is None else {"objective": "quantile", "metric": "quantile", "alpha": level}


def num_leaves(text: str) -> int:
    return sum(int(line.removeprefix("num_leaves=")) for line in text.splitlines() if line.startswith("num_leaves="))


def _save(scratch: Path, progress: _Progress) -> None:
    value = {"text": progress.text, "losses": progress.losses}
    files.write_atomic(scratch / STATE, canonical_json(value))


def _resume(scratch: Path, hooks: Hooks) -> _Progress:
    try:
        value = json.loads((scratch / STATE).read_text(encoding="utf-8"))
        found = _Progress(str(value["text"]), [float(loss) for loss in value["losses"]])
    except FileNotFoundError:
        return _Progress("", [])
    except (OSError, ValueError, KeyError, TypeError) as error:
        hooks.say(t("the checkpoint of the trees cannot be read ({error}): they grow anew", error=str(error)[:80]))
        return _Progress("", [])
    hooks.say(t("going on from round {done}", done=len(found.losses)))
    return found
