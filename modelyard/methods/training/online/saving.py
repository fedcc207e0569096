"""What was learned from a stream as a model folder: a linear model like any other, and the state to go on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from modelyard.methods import networks
from modelyard.methods.preprocessing.table_hashed import HashedTable
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.tasks import tabular_classification, text_classification
from modelyard.methods.training.online import state as states
from modelyard.methods.training.online.state import State


def write_model(state: State, folder: Path, provenance: Mapping[str, Any], licence: str) -> None:
    """`model.json`, weights, reader, golden answers from the first rows, and `online.safetensors`. The bytes are a
    function of the rows, not of the parts in which they came."""
    labels = tuple(state.labels)
    spec = {"kind": "linear", "num_features": state.reader.num_features, "num_labels": len(labels)}
    module = networks.build(spec)
    weights = {"weight": state.learner.weights, "bias": state.learner.bias}
    module.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in weights.items()})
    networks.save(module, folder)
    is_table = isinstance(state.reader, HashedTable)
    inputs = (
        {one.name: {"type": "float32" if one.count else "string", "shape": []} for one in state.reader.columns}
        if isinstance(state.reader, HashedTable)
        else {text_classification.FIELD: {"type": "string", "shape": []}}
    )
    card = ModelCard(
        task=tabular_classification.NAME if is_table else text_classification.NAME,
        format="modelyard",
        labels=labels,
        preprocessing=state.reader.save(folder),
        network=spec,
        inputs=inputs,
        outputs={"scores": {"type": "float32", "shape": [len(labels)]}},
        provenance=dict(provenance),
        licence=licence,
    )
    card.write(folder)
    replace(state, taken=0).save(folder / states.FILE)
    write_golden(folder, state.examples)
