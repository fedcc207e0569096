"""Adapters: low-rank changes beside frozen weights, through peft.

LoRA (Hu et al. 2021): W + (alpha / rank) B A, with B from 0, so that the model begins as it was. DoRA (Liu et al. 2024)
splits W into lengths and directions and changes the direction so. W itself may be held in 4 bits (`nf4`). Merging adds
the change to W, as it was trained beside: the merged model needs no peft and computes what the adapted one did, up to
rounding.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.training import devices, nf4
from modelyard.methods.training.random import seed_torch

NAME = "default"
WEIGHTS, CONFIG, BASE = "adapter_model.safetensors", "adapter_config.json", "base.json"


class Shape(Protocol):
    """What an adapter is like; see `language.settings.Adapter`."""

    @property
    def kind(self) -> str: ...
    @property
    def rank(self) -> int: ...
    @property
    def alpha(self) -> float: ...
    @property
    def dropout(self) -> float: ...
    @property
    def targets(self) -> Sequence[str] | str: ...


@dataclass(frozen=True)
class Adapted:
    """A model with adapters beside its frozen layers.

    Attributes:
        tuner: of peft.
        base: digest of the base's weights, so that the adapter is never put beside others.
    """

    tuner: Any
    base: str = ""

    @property
    def model(self) -> Any:
        """The transformers model, adapters inside."""
        return self.tuner.model

    def merge(self) -> Any:
        """The transformers model with the changes added to its weights and no adapters left; in place.

        Weights in 4 bits become what those bits stand for: what the changes were learned beside.
        """
        nf4.release(self.model)
        return self.tuner.merge_and_unload()

    def save(self, folder: Path) -> None:
        """Write the adapter alone, as peft reads it, with the digest of its base beside it."""
        from peft.utils import get_peft_model_state_dict

        folder.mkdir(parents=True, exist_ok=True)
        state = get_peft_model_state_dict(self.model, self._state(), adapter_name=NAME)
        save_file({name: tensor.cpu().contiguous() for name, tensor in state.items()}, folder / WEIGHTS)
        settings = self.tuner.peft_config[NAME].to_dict()
        settings = {name: sorted(value) if isinstance(value, set) else value for name, value in settings.items()}
        (folder / CONFIG).write_bytes(canonical_json(settings) + b"\n")
        (folder / BASE).write_bytes(canonical_json({"weights": self.base}) + b"\n")

    def load(self, folder: Path) -> None:
        """Go on from an adapter that `save` wrote.

        Raises:
            InputError: it is no adapter, was made for another base, or has another shape.
        """
        from peft.utils import set_peft_model_state_dict

        where, remedy = str(folder), t("name the adapter that was trained beside this base, with the same settings")
        try:
            made_for = json.loads((folder / BASE).read_text(encoding="utf-8"))["weights"]
            state = load_file(folder / WEIGHTS)
        except (OSError, ValueError, KeyError, TypeError) as error:
            found = t("no adapter can be read there: {error}", error=error)
            raise InputError(found, where=where, expected=f"{WEIGHTS}, {BASE}", remedy=remedy) from None
        if made_for != self.base:
            raise InputError(
                t("the adapter belongs to another base: {found}", found=made_for),
                where=where,
                expected=t("an adapter for {base}", base=self.base),
                remedy=remedy,
            )
        from peft.utils import get_peft_model_state_dict

        mine = get_peft_model_state_dict(self.model, self._state(), adapter_name=NAME)
        shapes, wanted = ({key: list(one.shape) for key, one in some.items()} for some in (state, mine))
        if shapes != wanted:
            raise InputError(
                t("the adapter has other layers or another rank"),
                where=where,
                expected=t("{count} tensors of rank {rank}", count=len(wanted), rank=self.tuner.peft_config[NAME].r),
                remedy=remedy,
            )
        set_peft_model_state_dict(self.model, state, adapter_name=NAME)

    def _state(self) -> dict[str, torch.Tensor]:
        return dict(self.model.state_dict())


def add(model: Any, shape: Shape, seed: int, threads: int, tokens: Sequence[int] = (), base: str = "") -> Adapted:
    """Freeze a transformers model and put adapters beside its layers, in place.

    Args:
        tokens: ids whose embeddings are trained as well: marks that the base has not seen.
        base: digest of the model's weights.

    Raises:
        InputError: no layer has a name among the targets.
    """
    from peft import LoraConfig
    from peft.tuners.lora import LoraModel

    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        lora_dropout=shape.dropout,
        target_modules=_targets(model, shape.targets),
        use_dora=shape.kind == "dora",
        # GPT-2 keeps its matrices the other way round.
        fan_in_fan_out=model.config.model_type == "gpt2",
        trainable_token_indices=list(tokens) or None,
    )
    with devices.reproducible(torch.device("cpu"), threads):
        seed_torch(seed, "adapter", 0)
        return Adapted(LoraModel(model, config, NAME), base)


def _targets(model: Any, wanted: Sequence[str] | str) -> list[str]:
    """Names of the layers to adapt, by the last part of their names."""
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    there = sorted(
        {
            name.rpartition(".")[2]
            for name, part in model.named_modules()
            if isinstance(part, torch.nn.Linear | Conv1D) and part is not head
        }
    )
    if wanted == "all":
        return there
    strange = [name for name in wanted if name not in there]
    if strange:
        raise InputError(
            t("no layer is called `{name}`", name=strange[0]),
            where="adapter.targets",
            expected=", ".join(there),
            remedy=did_you_mean(strange[0], there),
        )
    return sorted(wanted)
