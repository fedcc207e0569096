"""Tensor parallel layers (Shoeybi et al. 2019, Megatron-LM): the first matrix of a pair is cut by columns, the second
by rows, and one sum joins them; each process computes some of the heads and of the hidden units.
"""

from __future__ import annotations

import re

from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.training import parameters

COLUMNS = re.compile(
    r"(^|.*\.)(q_proj|k_proj|v_proj|gate_proj|up_proj|attention\.self\.(query|key|value)|intermediate\.dense)"
)
ROWS = re.compile(r"(^|.*\.)(o_proj|down_proj|attention\.output\.dense|output\.dense)")
INSIDE = re.compile(r"(.*\.)?(q_norm|k_norm)\..*")
"""Whole weights between the two: each process has the gradient of its heads alone."""
FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "bert", "roberta", "xlm-roberta", "camembert", "electra")


def cut(module: nn.Module, mesh: DeviceMesh) -> None:
    """Share the matrices of every layer over the mesh, in place.

    Raises:
        InputError: the network is of another family, or its heads or hidden units cannot be shared evenly.
    """
    config = configuration(module)
    family = getattr(config, "model_type", "?")
    if config is None or family not in FAMILIES:
        raise InputError(
            t("tensor parallel layers are not known for a network of kind {family}", family=family),
            where="parallel.tensor",
            expected=", ".join(FAMILIES),
            remedy=t("use `layout: shard`, which cuts any network"),
        )
    _check(config, mesh.size())
    _check_whole(module)
    for layer in parameters.longest_stack(module):
        parallelize_module(layer, mesh, plan(layer))


def configuration(module: nn.Module) -> object | None:
    """Of the network of transformers in the module."""
    return next((part.config for part in module.modules() if hasattr(part, "config")), None)


def plan(layer: nn.Module) -> dict[str, ParallelStyle]:
    """How each matrix of a layer is cut, by its name in the layer."""
    found: dict[str, ParallelStyle] = {}
    for name, part in layer.named_modules():
        if isinstance(part, nn.Linear) and COLUMNS.fullmatch(name):
            found[name] = ColwiseParallel()
        elif isinstance(part, nn.Linear) and ROWS.fullmatch(name):
            found[name] = RowwiseParallel()
    return found


def partial(module: nn.Module) -> list[nn.Parameter]:
    """Whole parameters whose gradient each process has only a part of."""
    return [one for name, one in module.named_parameters() if INSIDE.fullmatch(name) and one.requires_grad]


def _check_whole(module: nn.Module) -> None:
    """Raises InputError if a matrix is held in a way that cannot be cut, such as 4 bits."""
    for part in module.modules():
        if isinstance(part, nn.Linear) and "weight" not in dict(part.named_parameters(recurse=False)):
            raise InputError(
                t("a frozen base in 4 bits cannot be cut by tensors"),
                where="parallel.tensor",
                expected=t("`adapter: {base: fp32}`, or another layout"),
                remedy=t("use `layout: data`: each process then holds the base in 4 bits"),
            )


def _check(config: object, processes: int) -> None:
    heads = getattr(config, "num_attention_heads", 1)
    counts = {
        "num_attention_heads": heads,
        "num_key_value_heads": getattr(config, "num_key_value_heads", None) or heads,
        "intermediate_size": getattr(config, "intermediate_size", processes),
    }
    for name, count in counts.items():
        if count % processes:
            raise InputError(
                t("{name} is {count}, which {processes} processes cannot share", name=name, count=count,
                  processes=processes),
                where="parallel.tensor",
                expected=t("a divisor of {count}", count=count),
            )  # fmt: skip
