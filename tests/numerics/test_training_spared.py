"""Layers that keep less for the way back: the bits of plain autograd, recipes instead of tensors."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from modelyard.methods.training import dropout, spared

FAMILIES = ("Llama", "Mistral", "Qwen2", "Qwen3")
SHAPE = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 4, "max_position_embeddings": 32,
}  # fmt: skip


def network(family: str) -> Any:
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SHAPE)
    return getattr(transformers, f"{family}ForCausalLM")(config).train()


def learned(model: Any, less: bool, bf16: bool) -> tuple[float, dict[str, torch.Tensor]]:
    """(loss, gradients)."""
    model.zero_grad()
    ids = torch.randint(50, (3, 12), generator=torch.Generator().manual_seed(1))
    with spared.spared(model) if less else nullcontext():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model(ids, labels=ids, use_cache=False).loss
        loss.backward()
    return loss.item(), {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("bf16", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_bit_is_that_of_plain_autograd(family: str, bf16: bool) -> None:
    model = network(family)
    (plain_loss, plain), (loss, found) = (learned(model, less, bf16) for less in (False, True))
    assert loss == plain_loss
    assert found.keys() == plain.keys()
    assert all(torch.equal(found[name], plain[name]) for name in plain)
    assert not [part for part in model.modules() if "forward" in vars(part)]


@pytest.mark.parametrize("family", FAMILIES)
def test_each_gated_layer_and_norm_keeps_a_recipe(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, spare = list[str](), spared._kept

    def watched(recipe: Any) -> Any:
        def noted(one: torch.Tensor) -> Any:
            made = recipe(one)
            kept.append("recipe" if made else "tensor")
            return made

        return spare(noted)

    monkeypatch.setattr(spared, "_kept", watched)
    learned(network(family), True, False)
    # Product and activated gate of two layers, the rows of their norms and of the last; queries and keys have norms
    # of their own in one family.
    assert kept.count("recipe") == 2 * 2 + 5 + (4 if family == "Qwen3" else 0)


def test_frozen_weights_and_no_gradients_at_all() -> None:
    model = network("Llama").requires_grad_(False)
    model.model.layers[1].mlp.up_proj.weight.requires_grad_(True)
    plain, found = learned(model, False, True)[1], learned(model, True, True)[1]
    assert list(plain) == list(found) == ["model.layers.1.mlp.up_proj.weight"]
    assert torch.equal(plain["model.layers.1.mlp.up_proj.weight"], found["model.layers.1.mlp.up_proj.weight"])
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        before = model(ids).logits
        with spared.spared(model):
            assert torch.equal(model(ids).logits, before)


def test_gradient_of_finite_differences() -> None:
    # A norm computes in fp32 whatever it is given: no differences can be taken of it.
    layer = network("Llama").model.layers[0].mlp.double()
    x = torch.randn(2, 3, 16, dtype=torch.float64, requires_grad=True)
    with spared.spared(layer) as count:
        assert count == 1
        assert torch.autograd.gradcheck(layer, (x,))


def test_layers_that_are_computed_again_whole_are_left_alone() -> None:
    model = network("Llama")
    with spared.on_processor(model, dropout.Masks(), False):
        assert not [one for one in model.modules() if "forward" in vars(one)]
    with spared.on_processor(model, dropout.Masks(), True):
        assert len([one for one in model.modules() if "forward" in vars(one)]) == 7


def test_other_networks_are_left_alone() -> None:
    with spared.spared(nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2))) as count:
        assert count == 0
