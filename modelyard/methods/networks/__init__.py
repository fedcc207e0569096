"""Networks of our own: a closed table from `model.json`'s `network` to a torch module.

A kind is one file: `linear`, `cnn`, `encoder`, `blend`; on tables `table_linear`, `ft_transformer`;
for recommending `factorization`, `wide_deep`, `dcn`; on images `image_residual` and the older `image_cnn`; over tokens
`tagger`. Every network takes the arrays of its preprocessor by name and returns logits [rows, classes], or
[rows, tokens, tags], in float32. Padding is masked: an answer does not depend on the batch it is in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.networks import (
    blend,
    cnn,
    dcn,
    encoder,
    factorization,
    ft_transformer,
    image_cnn,
    image_residual,
    linear,
    many_heads,
    table_linear,
    tagger,
    wide_deep,
)

WEIGHTS = "model.safetensors"

_BUILDERS: Mapping[str, Callable[[Mapping[str, Any]], torch.nn.Module]] = {
    "linear": linear.build,
    "cnn": cnn.build,
    "encoder": encoder.build,
    "image_cnn": image_cnn.build,
    "image_residual": image_residual.build,
    "tagger": tagger.build,
    "many_heads": many_heads.build,
    "table_linear": table_linear.build,
    "ft_transformer": ft_transformer.build,
    "factorization": factorization.build,
    "wide_deep": wide_deep.build,
    "dcn": dcn.build,
    "blend": lambda spec: blend.Blend([build(child) for child in spec["children"]], spec["weights"]),
}
KINDS = tuple(_BUILDERS)


def build(spec: Mapping[str, Any]) -> torch.nn.Module:
    """The network a spec names, with fresh weights. It carries `input_names`, in the order `forward` takes them.

    Raises:
        InputError: the kind is unknown or a setting is missing.
    """
    kind = str(spec.get("kind"))
    if kind not in _BUILDERS:
        raise InputError(
            t("unknown network `{kind}`", kind=kind), expected=", ".join(KINDS), remedy=did_you_mean(kind, list(KINDS))
        )
    try:
        return _BUILDERS[kind](spec)
    except KeyError as error:
        raise InputError(t("network `{kind}` lacks the setting {name}", kind=kind, name=str(error))) from None


def load(folder: Path, spec: Mapping[str, Any]) -> torch.nn.Module:
    """The network with the weights of `model.safetensors`, ready to answer (evaluation mode).

    Raises:
        InputError: the weights are missing, unreadable or not this network's.
    """
    path = folder / WEIGHTS
    module = build(spec)
    try:
        module.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise InputError(t("the weights cannot be loaded: {error}", error=error), where=str(path)) from None
    return module.eval()


def save(module: torch.nn.Module, folder: Path) -> None:
    """Write `model.safetensors`: every parameter and buffer, in name order, so that equal weights are equal bytes."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(module.state_dict().items())}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
