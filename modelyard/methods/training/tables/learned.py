"""What every way of learning from a table gives: a model that is not saved yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from modelyard.methods.preprocessing.table import Table


@dataclass(frozen=True)
class Learned:
    """A trained model.

    Attributes:
        kind: `boosted_trees`, `linear`, `ft_transformer`.
        table: how it reads records.
        outputs: [validation rows, classes] scores, or [rows, 1 + quantiles] values.
        num_parameters: weights, or leaves of trees.
        details: choices made on the way; no times.
        trees: LightGBM's text; empty for networks.
        module, network: the network in evaluation mode and its spec; None for trees.
        levels: of the quantiles it gives beside the value.
        quantile_trees: LightGBM's text for each level.
        unit: mean and deviation of the quantities that the network learned with 0 and 1; its snapshots still do.
        members, shares: models that answer together, and how much each counts; none: this one alone.
    """

    kind: str
    table: Table
    outputs: NDArray[np.float32]
    num_parameters: int
    details: Mapping[str, Any] = field(default_factory=dict)
    trees: str = ""
    module: torch.nn.Module | None = None
    network: Mapping[str, Any] = field(default_factory=dict)
    unit: tuple[float, float] = (0.0, 1.0)
    levels: tuple[float, ...] = ()
    quantile_trees: tuple[str, ...] = ()
    members: tuple[Learned, ...] = ()
    shares: tuple[float, ...] = ()


def shape_of(table: Table, num_outputs: int) -> dict[str, Any]:
    """The part of a network's spec that follows from its table."""
    numbers = [table.columns[place] for place in table.numbers]
    return {
        "num_numbers": len(numbers) + sum(column.flagged for column in numbers),
        # Missing and unknown have codes of their own.
        "sizes": [len(table.columns[place].words) + 2 for place in table.categories],
        "num_outputs": num_outputs,
    }
