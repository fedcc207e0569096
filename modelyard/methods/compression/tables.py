"""Look-up tables in int8: embeddings, and the weights of linear n-gram models.

A row is looked up first and scaled after (`Gather` on int8, then `DequantizeLinear`), so only the rows a text uses are
ever widened. Symmetric, one scale a column: a column is one embedding dimension or one class, so a class with large
weights costs the others nothing. Weight-only: nothing is calibrated, and an answer does not depend on its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

MIN_ROWS = 16
"""Smaller tables (token types) stay as they are: nothing to save."""


@dataclass(frozen=True)
class Table:
    """A quantised table: int8 values [rows, columns] with one float scale a column, value ≈ int8 · scale."""

    values: NDArray[np.int8]
    scales: NDArray[np.float32]


def quantise_columns(weight: NDArray[np.float32], bits: int = 8) -> Table:
    """Round to nearest, largest magnitude of a column to ±(2^(bits-1) - 1). An empty column gets scale 1."""
    limit = 2 ** (bits - 1) - 1
    peaks = np.abs(weight).max(axis=0)
    scales = np.where(peaks > 0, peaks / limit, 1.0).astype(np.float32)
    values = np.clip(np.rint(weight / scales), -limit, limit).astype(np.int8)
    return Table(values, scales)


def quantise_tables(model: Any, exclude: Sequence[str] = ()) -> list[str]:
    """Replace, in place, every float table that is only looked up by row; returns the names of the tables.

    Args:
        model: an ONNX ModelProto.
        exclude: names of nodes that stay as they are.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    done: list[str] = []
    for name in [node.input[0] for node in graph.node if node.op_type == "Gather"]:
        users = [node for node in graph.node if name in node.input]
        if name in weights and name not in done and all(_looks_up(node, name, exclude) for node in users):
            weight = numpy_helper.to_array(weights[name])
            if weight.dtype == np.float32 and weight.ndim == 2 and len(weight) >= MIN_ROWS:
                _replace(graph, weights[name], quantise_columns(weight), users)
                done.append(name)
    return done


def _looks_up(node: Any, name: str, exclude: Sequence[str]) -> bool:
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    return node.op_type == "Gather" and node.input[0] == name and axis == 0 and node.name not in exclude


def _replace(graph: Any, tensor: Any, table: Table, users: Sequence[Any]) -> None:
    """`Gather(table)` becomes `DequantizeLinear(Gather(int8), scales)` along the last axis.

    The last axis is that of the indices plus one; indices are [rows, positions] here, so it is 2, except for
    position tables, whose indices the exporter gives any rank: DequantizeLinear takes a negative axis.
    """
    name = tensor.name
    tensor.CopyFrom(numpy_helper.from_array(table.values, name))
    graph.initializer.append(numpy_helper.from_array(table.scales, f"{name}_scale"))
    graph.initializer.append(numpy_helper.from_array(np.zeros(table.scales.shape, np.int8), f"{name}_zero"))
    for node in users:
        wanted, narrow = node.output[0], f"{node.output[0]}_int8"
        node.output[0] = narrow
        inputs = [narrow, f"{name}_scale", f"{name}_zero"]
        widen = helper.make_node("DequantizeLinear", inputs, [wanted], name=f"{node.name}_dequantize", axis=-1)
        graph.node.insert(list(graph.node).index(node) + 1, widen)


def count(model: Any) -> dict[str, int]:
    """How many nodes of each operator a model has, by name."""
    kinds = sorted({node.op_type for node in model.graph.node})
    return {kind: sum(node.op_type == kind for node in model.graph.node) for kind in kinds}


def save(model: Any, path: Any) -> None:
    onnx.save_model(model, path)
