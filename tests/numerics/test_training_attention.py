"""Attention as it trains on a CPU: the answers and gradients of torch's own, by whichever way is faster."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from transformers import ViTConfig, ViTForImageClassification
from transformers.integrations import sdpa_attention

from modelyard.methods.training import attention, dropout


def transformer() -> ViTForImageClassification:
    torch.manual_seed(0)
    settings: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    shape = {"image_size": 12, "patch_size": 4, "num_channels": 1, "num_attention_heads": 4}
    return ViTForImageClassification(ViTConfig(**settings, **shape)).train()


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """Number formats of the calls of torch's attention."""
    calls: list[torch.dtype] = []
    own = sdpa_attention.sdpa_attention_forward

    def counted(part: Any, query: torch.Tensor, *rest: Any, **more: Any) -> Any:
        calls.append(query.dtype)
        return own(part, query, *rest, **more)

    monkeypatch.setattr(sdpa_attention, "sdpa_attention_forward", counted)
    return calls


def gradients(module: ViTForImageClassification, fast: bool, bf16: bool) -> torch.Tensor:
    """Of every weight, one after the other, after a pass over the same images."""
    pixels = torch.randn(6, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 1] * 3)
    module.zero_grad()
    with dropout.fast(module, dropout.Masks()) if fast else nullcontext():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = torch.nn.functional.cross_entropy(module(pixel_values=pixels).logits.float(), labels)
        loss.backward()
    return torch.cat([one.grad.reshape(-1) for one in module.parameters() if one.grad is not None])


def test_in_bf16_plain_products_learn_what_fused_attention_does(fused: list[torch.dtype]) -> None:
    module = transformer()
    exact = gradients(module, fast=False, bf16=False)
    theirs = gradients(module, fast=False, bf16=True)
    fused.clear()
    ours = gradients(module, fast=True, bf16=True)
    assert fused == []
    # No further from fp32 than torch's own bf16, within a factor for chance.
    assert (ours - exact).norm() < 1.5 * (theirs - exact).norm()
    assert (theirs - exact).norm() < 0.05 * exact.norm()


def test_fp32_is_left_to_torch(fused: list[torch.dtype]) -> None:
    module = transformer()
    expected = gradients(module, fast=False, bf16=False)
    fused.clear()
    assert torch.equal(gradients(module, fast=True, bf16=False), expected)
    assert fused == [torch.float32] * 2


def test_long_rows_are_left_to_torch(fused: list[torch.dtype], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "LONGEST", 9)
    gradients(transformer(), fast=True, bf16=True)  # 9 patches and the class's place
    assert fused == [torch.bfloat16] * 2


def test_without_a_way_back_torch_answers(fused: list[torch.dtype]) -> None:
    module = transformer()
    with dropout.fast(module, dropout.Masks()), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        module(pixel_values=torch.zeros(1, 1, 12, 12))
    assert fused == [torch.bfloat16] * 2
