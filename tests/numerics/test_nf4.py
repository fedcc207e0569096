"""NF4: its 16 values, how far a weight may move; a held layer is the plain one with the weights that it stands for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scipy.stats import norm
from support.tiny_language import tiny_model
from test_adapters import IDS, disturbed, logits
from torch import Tensor, nn

from modelyard.errors import InputError
from modelyard.methods.training import adapters, checkpoints, nf4
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.settings import Adapter
from modelyard.methods.training.parallel import tensor


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_values_are_quantiles_of_the_normal_distribution() -> None:
    # The outermost share is the mean of 1 - 1/(2·15) and 1 - 1/(2·16); 0 is in both halves.
    share = 1 - (1 / 30 + 1 / 32) / 2
    upper = norm.ppf(torch.linspace(share, 0.5, 9, dtype=torch.float64).numpy())
    lower = -norm.ppf(torch.linspace(share, 0.5, 8, dtype=torch.float64).numpy())
    expected = sorted({*upper[:-1], *lower[:-1], 0.0})
    assert len(expected) == 16
    # The published numbers were computed in fp32.
    assert [one / upper[0] for one in expected] == pytest.approx(list(nf4.VALUES), abs=1e-6)


@pytest.mark.parametrize("shape", [(64, 64), (7, 5), (1,), (300, 70), (130, 257)])
def test_a_number_moves_at_most_half_a_gap_and_the_step_of_its_size(shape: tuple[int, ...]) -> None:
    values = drawn(*shape) * torch.linspace(0.1, 3, shape[0]).view(-1, *[1] * (len(shape) - 1))
    packed = nf4.pack(values)
    found = nf4.unpack(packed)
    assert found.shape == values.shape
    filled = torch.nn.functional.pad(values.flatten(), (0, -values.numel() % nf4.BLOCK)).view(-1, nf4.BLOCK)
    moved = torch.nn.functional.pad((found - values).flatten(), (0, -values.numel() % nf4.BLOCK)).view_as(filled)
    sizes = filled.abs().amax(1)
    step = torch.stack([(some.max() - some.min()) / 255 for some in sizes.split(nf4.GROUP)]).repeat_interleave(256)
    half = max(second - first for first, second in zip(nf4.VALUES, nf4.VALUES[1:], strict=False)) / 2
    bound = half * (sizes + step[: len(sizes)] / 2) + step[: len(sizes)] / 2
    assert (moved.abs().amax(1) <= bound * (1 + 1e-5)).all()


def test_each_number_becomes_the_nearest_value_of_its_block() -> None:
    values = drawn(1, 64)
    size = values.abs().max()
    slow = torch.tensor([min(nf4.VALUES, key=lambda one: abs(one * float(size) - float(x))) for x in values[0]])
    torch.testing.assert_close(nf4.unpack(nf4.pack(values))[0], slow * size, rtol=1e-6, atol=0)


def test_weights_take_four_bits_and_an_eighth() -> None:
    packed = nf4.pack(drawn(1024, 1024))
    bits = 8 * sum(one.nbytes for one in (packed.codes, packed.sizes, packed.ranges)) / 1024**2
    assert bits == pytest.approx(4 + 8 / 64 + 64 / (64 * 256))
    # The paper's table: an error of about 9 % of the standard deviation for normal weights in blocks of 64.
    error = (nf4.unpack(packed) - drawn(1024, 1024)).square().mean().sqrt()
    assert 0.08 < error < 0.10


def test_zeros_stay_zeros_and_packing_again_changes_nothing() -> None:
    values = torch.cat([torch.zeros(64 * 3), drawn(64)])
    once = nf4.unpack(nf4.pack(values))
    assert not once[: 64 * 3].any()
    assert torch.equal(nf4.unpack(nf4.pack(torch.zeros(5, 5))), torch.zeros(5, 5))
    one_group = nf4.unpack(nf4.pack(drawn(64, 64)))
    torch.testing.assert_close(nf4.unpack(nf4.pack(one_group)), one_group, rtol=0.01, atol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
@pytest.mark.parametrize("with_bias", [True, False])
def test_forward_and_backward_are_those_of_the_plain_layer(kind: str, with_bias: bool) -> None:
    from transformers.pytorch_utils import Conv1D

    if kind == "linear":
        held: nf4.Held = nf4.HeldLinear(nn.Linear(48, 33, bias=with_bias))
    else:
        held = nf4.HeldConv1D(Conv1D(33, 48))
    plain = held.plain()
    assert type(plain) in (nn.Linear, Conv1D)
    here, there = (drawn(5, 3, 48).requires_grad_() for _ in range(2))
    torch.testing.assert_close(held(here), plain(there), rtol=1e-5, atol=1e-6)
    upstream = drawn(5, 3, 33, seed=1)
    held(here).backward(upstream)
    plain(there).backward(upstream)
    torch.testing.assert_close(here.grad, there.grad, rtol=1e-5, atol=1e-6)


def test_under_autocast_it_multiplies_in_bf16_as_the_plain_layer_does() -> None:
    held = nf4.HeldLinear(nn.Linear(64, 32))
    plain = held.plain()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = held(drawn(4, 64)), plain(drawn(4, 64))
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)


def test_nothing_but_the_bits_is_kept_for_the_way_back() -> None:
    held = nf4.HeldLinear(nn.Linear(256, 256, bias=False))
    kept: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    x = drawn(2, 256).requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held(x)
    assert sum(kept) < 256 * 256 * 4.2 / 8


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
@pytest.mark.parametrize("kind", ["lora", "dora"])
@pytest.mark.parametrize("tokens", [(), (3, 266)])
def test_merged_computes_what_the_adapter_beside_four_bits_did(family: str, kind: str, tokens: tuple[int, ...]) -> None:
    plain, _ = tiny_model(family)
    adapted = disturbed(family, kind, tokens, base="nf4")
    beside = logits(adapted.model)
    assert nf4.holds(adapted.model)
    merged = adapted.merge()
    assert not nf4.holds(merged)
    torch.testing.assert_close(logits(merged), beside, rtol=1e-4, atol=1e-5)
    assert {name: one.shape for name, one in merged.state_dict().items()} == {
        name: one.shape for name, one in plain.state_dict().items()
    }


def test_layers_without_an_adapter_come_back_and_what_is_no_inner_matrix_stays() -> None:
    plain, _ = tiny_model(tie=False)
    model, _ = tiny_model(tie=False)
    assert nf4.hold(model) == 14
    assert nf4.hold(model) == 0
    before = nf4.num_bytes(plain) - nf4.num_bytes(model)
    inner = sum(part.weight.numel() for part in plain.model.modules() if isinstance(part, nn.Linear))
    assert before > inner * 3.3
    adapted = adapters.add(model, Adapter(targets=("v_proj",), base="nf4"), 0, 1)
    state = checkpoints.trained_state(adapted.model)
    assert {name.rpartition(".lora_")[0].rpartition(".")[2] for name in state} == {"v_proj"}
    merged = adapted.merge().state_dict()
    for name, weight in plain.state_dict().items():
        expected = nf4.unpack(nf4.pack(weight)) if "_proj" in name else weight
        assert torch.equal(merged[name], expected), name


def test_another_number_format_and_a_copy_leave_the_bits_alone() -> None:
    from copy import deepcopy

    held = nf4.HeldLinear(nn.Linear(64, 64, bias=False))
    for other in (deepcopy(held).to(torch.bfloat16), deepcopy(held).half()):
        assert torch.equal(other.weight, held.weight)
    assert not held.state_dict()


def test_tensors_of_four_bits_are_not_cut_and_it_says_what_to_do() -> None:
    model = tiny_model(key_value_heads=2)[0]
    nf4.hold(model)
    mesh: Any = SimpleNamespace(size=lambda: 2)
    with pytest.raises(InputError, match="4 bits") as caught:
        tensor.cut(TokenLosses(model), mesh)
    assert caught.value.problems[0].where == "parallel.tensor"


def test_it_learns_beside_four_bits_what_it_learns_beside_the_same_numbers_in_fp32() -> None:
    held = tiny_model()[0]
    nf4.hold(held)
    same = tiny_model()[0]
    nf4.hold(same)
    nf4.release(same)
    found = []
    for model in (held, same):
        adapted = adapters.add(model, Adapter(rank=4, alpha=8), 0, 1)
        weights = [one for one in adapted.model.parameters() if one.requires_grad]
        optimizer = torch.optim.AdamW(weights, lr=1e-2)
        for _ in range(5):
            adapted.model(input_ids=IDS, labels=IDS).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
        found.append(logits(adapted.merge()))
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)
