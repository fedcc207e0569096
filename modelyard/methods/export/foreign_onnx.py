"""An ONNX classifier that somebody else exported, with the input and output names our runtime speaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.runtimes.onnx import OUTPUT
from modelyard.methods.runtimes.validation import external_data_problems, refuse

TYPES = "token_type_ids"
"""BERT's second sequence; a text alone has zeros there."""


def adapt(path: Path, found: Path, notes: list[str]) -> None:
    """Check and, where needed, rewrite the copy at `path` in place.

    Raises:
        InputError: weights are in other files, or inputs or output are not those of a text classifier.
    """
    refuse(external_data_problems(path))
    model = onnx.load(path)
    changed = _zero_types(model.graph)
    if changed:
        notes.append(t("`{name}` is filled with zeros", name=TYPES))
    names = [value.name for value in model.graph.input]
    wrong = [value.name for value in model.graph.input if not _is_ids(value)]
    if wrong or not set(names) <= {"input_ids", "attention_mask"} or "input_ids" not in names:
        raise InputError(
            t("the network reads {names}", names=", ".join(names)),
            where=str(found),
            expected=t("input_ids and attention_mask, int64 [rows, tokens], both axes dynamic"),
            remedy=t("export it with these names, and with dynamic axes"),
        )
    changed |= _name_output(model.graph, found, notes)
    if changed:
        onnx.save_model(model, path)


def _is_ids(value: Any) -> bool:
    kind = value.type.tensor_type
    dims = kind.shape.dim
    return kind.elem_type == onnx.TensorProto.INT64 and len(dims) == 2 and not any(dim.dim_value for dim in dims)


def _zero_types(graph: Any) -> bool:
    """Compute `token_type_ids` inside the network: input_ids - input_ids."""
    given = next((value for value in graph.input if value.name == TYPES), None)
    if given is None:
        return False
    graph.input.remove(given)
    graph.node.insert(0, helper.make_node("Sub", ["input_ids", "input_ids"], [TYPES], name="zero_types"))
    return True


def _name_output(graph: Any, found: Path, notes: list[str]) -> bool:
    """Call the only output `logits`."""
    names = [value.name for value in graph.output]
    if OUTPUT in names:
        return False
    if len(names) != 1:
        raise InputError(
            t("the outputs are {names}", names=", ".join(names)),
            where=str(found),
            expected=f"`{OUTPUT}` [rows, classes]",
        )
    graph.node.append(helper.make_node("Identity", [names[0]], [OUTPUT], name="name_output"))
    graph.output[0].name = OUTPUT
    notes.append(t("the output `{name}` is read as logits", name=names[0]))
    return True


def precision(path: Path) -> str:
    """`int8` if the file holds quantised weights, else `fp32`."""
    model = onnx.load(path)
    return "int8" if any(tensor.data_type == onnx.TensorProto.INT8 for tensor in model.graph.initializer) else "fp32"
