"""Operations and bytes of training, against hand counts and PyTorch's own counter; a model of a billion weights."""

from __future__ import annotations

import pytest
import torch
from support.tiny_language import tiny_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM

from modelyard.methods.training.language.costs import cost, forward_operations

CONTEXT = 2048


@pytest.fixture(scope="module")
def billion():
    """The shape of TinyLlama and of Llama 3.2 1B's kind: 22 layers of 2,048, grouped-query attention."""
    config = AutoConfig.for_model(
        "llama", num_hidden_layers=22, hidden_size=2048, num_attention_heads=32, num_key_value_heads=4, head_dim=64,
        intermediate_size=5632, vocab_size=32_000, max_position_embeddings=CONTEXT, tie_word_embeddings=False,
        attn_implementation="eager",
    )  # fmt: skip
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def test_a_billion_weights_are_planned_without_making_one(billion):
    assert {parameter.device.type for parameter in billion.parameters()} == {"meta"}
    layer = 2 * 2048 * 2048 + 2 * 2048 * 256 + 3 * 2048 * 5632 + 2 * 2048
    weights = 22 * layer + 2 * 32_000 * 2048 + 2048
    found = cost(billion, CONTEXT)
    assert found.weights == weights == 1_100_048_384
    assert found.state_bytes == 16 * weights
    matrices = 22 * (layer - 2 * 2048) + 32_000 * 2048
    by_hand = 6 * matrices + 12 * 22 * 32 * 64 * CONTEXT
    assert found.operations == by_hand == 7_313_817_600
    # 20,000 tokens a second on a device of 312e12 operations a second.
    assert found.utilization(20_000, 312e12) == pytest.approx(0.46883, abs=1e-5)


def test_the_forward_pass_is_what_the_counter_counts(billion):
    ids = torch.zeros(1, CONTEXT, dtype=torch.int64, device="meta")
    mask = torch.zeros(1, 1, CONTEXT, CONTEXT, device="meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        billion(input_ids=ids, attention_mask=mask, position_ids=ids, use_cache=False)
    assert counter.get_total_flops() == pytest.approx(forward_operations(billion, CONTEXT) * CONTEXT, rel=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen3"])
def test_training_is_three_times_forward(family):
    model, _ = tiny_model(family, context=64)
    model.set_attn_implementation("eager")
    ids = torch.randint(0, model.config.vocab_size, (2, 64))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, use_cache=False).logits.sum().backward()
    assert counter.get_total_flops() == pytest.approx(cost(model, 64).operations * ids.numel(), rel=0.02)
