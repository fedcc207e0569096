"""Adapters: they begin as nothing, are the formula, and merged are what they were beside the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.tiny_language import tiny_model

from modelyard.errors import InputError
from modelyard.methods.training import adapters, checkpoints, nf4
from modelyard.methods.training.language.settings import Adapter

IDS = torch.tensor([[3, 270, 265, 280, 7, 266]])


def disturbed(
    family: str, kind: str, tokens: tuple[int, ...] = (), seed: int = 0, base: str = "fp32", **shape
) -> adapters.Adapted:
    """An adapted model whose adapter is not at its start."""
    model, _ = tiny_model(family, **shape)
    if base == "nf4":
        nf4.hold(model)
    adapted = adapters.add(model, Adapter(kind=kind, rank=4, alpha=8), 0, 1, tokens, base="sha256:a")
    draw = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(adapted.model.named_parameters()):
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn(parameter.shape, generator=draw)
            assert "lora" in name or "token_adapter" in name
    return adapted


def logits(model) -> torch.Tensor:
    return model.eval()(input_ids=IDS).logits.detach()


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize(("tokens", "tie"), [((), True), ((3, 266), True), ((3, 266), False)])
def test_merged_computes_what_the_adapter_did(family: str, kind: str, tokens: tuple[int, ...], tie: bool) -> None:
    plain, _ = tiny_model(family, tie=tie)
    adapted = disturbed(family, kind, tokens, tie=tie)
    beside = logits(adapted.model)
    assert (beside - logits(plain)).abs().max() > 0.01
    merged = adapted.merge()
    torch.testing.assert_close(logits(merged), beside, rtol=1e-4, atol=1e-5)
    assert merged.state_dict().keys() == plain.state_dict().keys()
    assert merged.config.tie_word_embeddings == tie


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_an_adapter_begins_as_nothing(kind: str) -> None:
    plain, model = tiny_model()[0], tiny_model()[0]
    adapted = adapters.add(model, Adapter(kind=kind), 0, 1)
    torch.testing.assert_close(logits(adapted.model), logits(plain), rtol=1e-5, atol=1e-6)


def test_lora_is_its_formula() -> None:
    adapted = disturbed("llama", "lora")
    layer = adapted.model.model.layers[0].self_attn.q_proj
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(3))
    low, high = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    expected = x @ layer.base_layer.weight.T + (8 / 4) * (x @ low.T) @ high.T
    torch.testing.assert_close(layer(x), expected)


def test_dora_is_its_formula() -> None:
    adapted = disturbed("llama", "dora")
    layer = adapted.model.model.layers[0].self_attn.q_proj
    x = torch.randn(5, 32, generator=torch.Generator().manual_seed(3))
    change = (8 / 4) * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    directions = layer.base_layer.weight + change
    lengths = layer.lora_magnitude_vector["default"].weight
    expected = x @ (lengths[:, None] * directions / directions.norm(dim=1, keepdim=True)).T
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-6)


def test_only_the_adapter_is_in_a_checkpoint(tmp_path: Path) -> None:
    adapted = disturbed("llama", "lora")
    state = checkpoints.trained_state(adapted.model)
    names = {name for name, one in adapted.model.named_parameters() if one.requires_grad}
    assert state.keys() == names
    assert all("lora" in name for name in names)
    again = adapters.add(tiny_model()[0], Adapter(rank=4, alpha=8), 0, 1)
    checkpoints.restore_trained(again.model, state)
    assert torch.equal(logits(again.model), logits(adapted.model))
    with pytest.raises(RuntimeError):
        checkpoints.restore_trained(adapters.add(tiny_model()[0], Adapter(targets=("q_proj",)), 0, 1).model, state)


@pytest.mark.parametrize("tokens", [(), (3, 266)])
def test_a_saved_adapter_goes_on_beside_its_base_and_no_other(tmp_path: Path, tokens: tuple[int, ...]) -> None:
    adapted = disturbed("llama", "lora", tokens)
    adapted.save(tmp_path)
    again = disturbed("llama", "lora", tokens, seed=1)
    assert not torch.equal(logits(again.model), logits(adapted.model))
    again.load(tmp_path)
    assert torch.equal(logits(again.model), logits(adapted.model))
    other = adapters.add(tiny_model(seed=1)[0], Adapter(rank=4, alpha=8), 0, 1, tokens, base="sha256:b")
    with pytest.raises(InputError, match="another base"):
        other.load(tmp_path)
    thinner = adapters.add(tiny_model()[0], Adapter(rank=2), 0, 1, tokens, base="sha256:a")
    with pytest.raises(InputError, match="another rank"):
        thinner.load(tmp_path)
    with pytest.raises(InputError, match="no adapter"):
        again.load(tmp_path / "nowhere")


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match="qproj") as caught:
        adapters.add(tiny_model()[0], Adapter(targets=("qproj",)), 0, 1)
    assert "q_proj" in caught.value.problems[0].remedy
