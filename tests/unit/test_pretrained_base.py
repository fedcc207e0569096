"""A base that lacks weights: what begins anew is decided by the seed, not by what torch drew before."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import small_texts

from modelyard.methods.training import pretrained
from modelyard.methods.training.vision import models

TEXTS = [row["text"] for row in small_texts.labelled(30)]


def without(folder: Path, part: str) -> int:
    """Takes weights whose name holds `part` out of a folder; how many they were."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    kept = {name: tensor for name, tensor in weights.items() if part not in name}
    save_file(kept, path, metadata={"format": "pt"})
    return len(weights) - len(kept)


def after_draws(count: int, opened: Any) -> dict[str, torch.Tensor]:
    """The weights of a model opened after torch's generator has been used."""
    torch.manual_seed(count)
    torch.rand(count)
    before = torch.random.get_rng_state()
    weights: dict[str, torch.Tensor] = opened().state_dict()
    assert torch.equal(before, torch.random.get_rng_state()), "opening a base leaves others' numbers alone"
    return weights


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", ["AutoModelForSequenceClassification", "AutoModelForTokenClassification", "AutoModel"])
def test_a_pooler_that_the_base_lacks_is_drawn_from_the_seed(tmp_path: Path, kind: str) -> None:
    folder = small_texts.base(tmp_path / "base", TEXTS)
    assert without(folder, "pooler") == 2

    def opened(seed: int) -> Any:
        return pretrained.open_base(folder, 3, None, seed, kind)[0]

    first, again, other = (after_draws(count, partial(opened, seed)) for count, seed in ((1, 5), (7, 5), (7, 6)))
    assert same(first, again)
    assert not same(first, other)


def test_layers_that_an_image_base_lacks_are_drawn_from_the_seed(tmp_path: Path) -> None:
    from transformers import ViTConfig, ViTForImageClassification

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ViTForImageClassification(ViTConfig(image_size=8, patch_size=4, **sizes)).save_pretrained(tmp_path)
    assert without(tmp_path, "intermediate.dense.weight") == 1 or without(tmp_path, "fc1.weight") == 1

    first, again, other = (
        after_draws(count, partial(models.open_base, tmp_path, 3, seed)) for count, seed in ((1, 5), (7, 5), (7, 6))
    )
    assert same(first, again)
    assert not same(first, other)
