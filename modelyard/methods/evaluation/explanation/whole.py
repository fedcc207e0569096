"""The model as a whole: importance of columns, dependence on them, rules that nearly say the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.blocks import Block
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.explanation import decisions, dependence, showing
from modelyard.methods.evaluation.explanation.cases import columns_of, examples_of, sample
from modelyard.methods.evaluation.explanation.game import Floats, Oracle
from modelyard.methods.evaluation.explanation.permutation import Importance, absolute_error, permutation, wrongness
from modelyard.methods.evaluation.explanation.surrogate import Surrogate, number_or_none, surrogate
from modelyard.methods.evaluation.means import ratio_interval
from modelyard.methods.evaluation.measuring.examples import fields, some_records
from modelyard.methods.evaluation.opening import opened
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.statistics.wilson import wilson

MOST_VALUES = 12
"""Values of a category that are asked about, the commonest."""


@dataclass(frozen=True)
class Whole:
    """What was found: to show, and as evidence.

    Attributes:
        tree: that answers nearly like the model; None for pictures, or without training rows.
    """

    blocks: list[Block]
    estimates: list[Estimate]
    tree: Surrogate | None = None


def explain(folder: Path, data: Dataset, settings: Mapping[str, Any]) -> Whole:
    """By the settings of evaluate.explanation; pictures have neither columns nor rules."""
    card, seed = ModelCard.read(folder), int(settings["seed"])
    found = Whole([], [])
    if card.task.startswith("image-"):
        return found
    columns = columns_of(folder, card, data)
    train = some_records(data, "train", fields(data, card.task), settings["train_rows"], seed)
    examples = examples_of(data, "test", card)
    places = sample(examples.row_ids, settings["test_rows"], seed, "explanation/whole")
    records, truths = examples.pick(places), [examples.truths[place] for place in places]
    with opened(folder, settings["threads"]) as predictor:
        oracle = Oracle(predictor)
        if columns:
            _of_columns(found, oracle, records, truths, columns, settings)
        tree = _rules(found, oracle, train, records, columns or ("text",), settings["leaves"], seed)
    return replace(found, tree=tree)


def _of_columns(
    found: Whole,
    oracle: Oracle,
    records: Sequence[Record],
    truths: Sequence[Any],
    columns: Sequence[str],
    settings: Mapping[str, Any],
) -> None:
    loss = wrongness(truths, oracle.labels) if oracle.labels else absolute_error(truths)
    ranked = permutation(oracle, records, columns, loss, settings["repeats"], settings["seed"])
    found.blocks.append(showing.importances(ranked))
    found.estimates.extend(
        Estimate("permutation_importance", one.value, one.interval, one.n, {"column": one.column}) for one in ranked
    )
    outputs = oracle.outputs(records)
    # Of two classes the second; of more the one answered most often.
    output = 1 if len(oracle.labels) == 2 else int(np.bincount(outputs.argmax(1)).argmax()) if oracle.labels else 0
    for one in ranked[: settings["columns"]]:
        found.blocks.append(_dependence(oracle, records, one, output, settings["points"]))


def _dependence(oracle: Oracle, records: Sequence[Record], one: Importance, output: int, points: int) -> Block:
    cells = [record[one.column] for record in records]
    numbers = [number_or_none(cell) for cell in cells]
    there = [place for place, number in enumerate(numbers) if number is not None and np.isfinite(number)]
    is_number = all(number is not None for number in numbers) and len(there) > 1
    if not is_number:
        values = sorted({str(cell) for cell in cells}, key=lambda value: -sum(str(cell) == value for cell in cells))
        by_name = {str(cell): cell for cell in cells}
        at = [by_name[value] for value in values[:MOST_VALUES]]
        partial = dependence.partial_dependence(oracle, records, one.column, at)
        return showing.dependence(one.column, partial, None, oracle.labels, output, 0.0)
    some = [float(numbers[place] or 0.0) for place in there]
    grid = dependence.quantile_grid(some, points)
    partial = dependence.partial_dependence(oracle, records, one.column, grid)
    rows = [records[place] for place in there]
    accumulated = dependence.accumulated_effects(oracle, rows, one.column, some, points)
    mean = float(oracle.outputs(rows)[:, output].mean())
    return showing.dependence(one.column, partial, accumulated, oracle.labels, output, mean)


def _rules(
    found: Whole, oracle: Oracle, train: Sequence[Record], records: Sequence[Record], columns: Sequence[str],
    leaves: int, seed: int,
) -> Surrogate | None:  # fmt: skip
    if len(train) < 2:
        return None
    tree = surrogate(train, oracle.outputs(train), oracle.labels, columns, leaves)
    outputs, said = oracle.outputs(records), tree.answers(records)
    if oracle.labels:
        same = int((outputs.argmax(1) == said).sum())
        estimate = Estimate("surrogate_fidelity", same / len(records), wilson(same, len(records)), len(records))
    else:
        estimate = _explained_variance(outputs[:, 0], said, seed)
    found.estimates.append(estimate)
    found.blocks.append(decisions.rules(tree, records, outputs))
    return tree


def _explained_variance(values: Floats, said: Floats, seed: int) -> Estimate:
    """1 - squared error by variance; the interval is that of the ratio of their sums."""
    errors, spread = (values - said) ** 2, (values - values.mean()) ** 2
    ratio = float(errors.sum() / spread.sum()) if spread.sum() > 0 else 1.0
    ends = ratio_interval(errors, spread, seed)
    return Estimate("surrogate_fidelity", 1 - ratio, (1 - ends[1], 1 - ends[0]) if ends else None, len(values))
