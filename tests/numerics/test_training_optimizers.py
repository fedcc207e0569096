"""Each optimizer against its formula, written out a number at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from modelyard.methods import networks
from modelyard.methods.training import checkpoints, muon, optimizers, parameters
from modelyard.methods.training.lion import Lion
from modelyard.methods.training.settings import Optimizer

STEPS, RATE, DECAY = 5, 0.01, 0.1


def gradients(shape: tuple[int, ...], seed: int = 0) -> list[torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=draw) for _ in range(STEPS)]


def follow(optimizer: torch.optim.Optimizer, parameter: nn.Parameter, given: list[torch.Tensor]) -> np.ndarray:
    for gradient in given:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach().double().numpy()


def start(shape: tuple[int, ...]) -> nn.Parameter:
    return nn.Parameter(torch.linspace(-1, 1, int(np.prod(shape))).reshape(shape))


def test_lion_is_its_formula() -> None:
    parameter = start((3, 4))
    expected, moment = parameter.detach().double().numpy().copy(), np.zeros((3, 4))
    for gradient in gradients((3, 4)):
        g = gradient.double().numpy()
        expected = expected - RATE * (np.sign(0.9 * moment + 0.1 * g) + DECAY * expected)
        moment = 0.99 * moment + 0.01 * g
    found = follow(Lion([parameter], RATE, (0.9, 0.99), DECAY), parameter, gradients((3, 4)))
    assert found == pytest.approx(expected, abs=1e-6)


def slow_newton_schulz(g: np.ndarray) -> np.ndarray:
    """Jordan's iteration on one matrix, as the paper writes it."""
    x = g / (np.linalg.norm(g) + 1e-7)
    if g.shape[0] > g.shape[1]:
        x = x.T
    for _ in range(5):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.T if g.shape[0] > g.shape[1] else x


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (8, 3), (4, 2, 3, 3)])
def test_muon_is_its_formula(shape: tuple[int, ...]) -> None:
    parameter = start(shape)
    rows, columns = shape[0], int(np.prod(shape[1:]))
    expected, moment = parameter.detach().double().numpy().reshape(rows, columns), np.zeros((rows, columns))
    for gradient in gradients(shape):
        g = gradient.double().numpy().reshape(rows, columns)
        moment = 0.95 * moment + 0.05 * g
        update = slow_newton_schulz(0.95 * moment + 0.05 * g)
        expected = expected - RATE * (0.2 * max(rows, columns) ** 0.5 * update + DECAY * expected)
    found = follow(muon.Muon([parameter], RATE, 0.95, DECAY), parameter, gradients(shape))
    assert found.reshape(rows, columns) == pytest.approx(expected, abs=1e-5)


def test_orthogonalized_matrices_keep_their_directions_and_lose_their_lengths() -> None:
    given = torch.randn(3, 16, 40, generator=torch.Generator().manual_seed(1))
    found = muon.orthogonalize(given)
    for before, after in zip(given, found, strict=True):
        assert torch.linalg.svdvals(after) == pytest.approx(np.ones(16), abs=0.35)
        left, _, right = torch.linalg.svd(before, full_matrices=False)
        core = left.T @ after @ right.T
        assert (core - torch.diag(core.diagonal())).abs().max() < 1e-4


def test_muons_update_is_about_as_long_as_adamws() -> None:
    parameter = nn.Parameter(torch.zeros(64, 128))
    follow(muon.Muon([parameter], 1.0), parameter, gradients((64, 128))[:1])
    assert 0.1 < float(parameter.detach().square().mean().sqrt()) < 0.3


@pytest.fixture
def encoder() -> nn.Module:
    config = {
        "model_type": "bert",
        "vocab_size": 30,
        "num_labels": 2,
        "num_hidden_layers": 2,
        "hidden_size": 8,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "max_position_embeddings": 16,
    }
    torch.manual_seed(0)
    return networks.build({"kind": "encoder", "config": config, "pooling": "model"})


def names(module: nn.Module, ids: set[int]) -> set[str]:
    return {name for name, parameter in module.named_parameters() if id(parameter) in ids}


def test_muon_takes_the_matrices_inside_and_adamw_the_rest(encoder: nn.Module) -> None:
    inside = names(encoder, parameters.hidden_matrices(encoder))
    assert "model.bert.encoder.layer.0.attention.self.query.weight" in inside
    assert not any("embeddings" in name or "classifier" in name or "LayerNorm" in name for name in inside)
    built = optimizers.build(Optimizer(name="muon"), encoder, 1e-3)
    kinds = [type(part).__name__ for part in built.parts]
    assert kinds == ["Muon", "AdamW"]
    grouped = [id(p) for group in built.param_groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in encoder.parameters())


def test_a_head_tied_to_the_embeddings_is_no_hidden_matrix() -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "llama",
        vocab_size=30,
        hidden_size=8,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    )
    inside = names(model := AutoModelForCausalLM.from_config(config), parameters.hidden_matrices(model))
    assert len(inside) == 2 * 7
    assert all(".layers." in name for name in inside)


def test_in_other_networks_the_last_matrix_is_the_head() -> None:
    module = nn.Sequential(nn.Embedding(5, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    assert names(module, parameters.hidden_matrices(module)) == {"1.weight"}


def loss_of(module: nn.Module) -> torch.Tensor:
    ids = torch.arange(12).reshape(2, 6)
    return module(input_ids=ids, attention_mask=torch.ones_like(ids)).square().sum()


@pytest.mark.parametrize("name", ["adamw", "sgd", "adafactor", "lion", "muon"])
def test_a_saved_and_restored_optimizer_goes_on_with_the_same_bits(encoder: nn.Module, name: str) -> None:
    encoder.eval()
    settings = Optimizer(name=name, layer_decay=0.8)

    def go(optimizer: torch.optim.Optimizer, steps: int) -> dict[str, torch.Tensor]:
        for _ in range(steps):
            optimizer.zero_grad()
            loss_of(encoder).backward()
            optimizer.step()
        return {key: tensor.clone() for key, tensor in encoder.state_dict().items()}

    first = optimizers.build(settings, encoder, 1e-3)
    half = go(first, 2)
    tensors, numbers = checkpoints.flatten_optimizer(first)
    kept = {key: tensor.clone() for key, tensor in tensors.items()}
    straight = go(first, 2)
    encoder.load_state_dict(half)
    second = optimizers.build(settings, encoder, 1e-3)
    checkpoints.restore_optimizer(second, kept, numbers)
    resumed = go(second, 2)
    assert all(torch.equal(straight[key], resumed[key]) for key in straight)
    assert any(not torch.equal(half[key], straight[key]) for key in half)


def test_layer_decay_scales_each_layer_by_its_distance_from_the_head(encoder: nn.Module) -> None:
    scale = {
        id(p): group["scale"] for group in optimizers.groups(encoder, 0.1, layer_decay=0.5) for p in group["params"]
    }
    by_name = {name: scale[id(parameter)] for name, parameter in encoder.named_parameters()}
    assert {by_name[name] for name in by_name if ".embeddings." in name} == {0.5**3}
    assert {by_name[name] for name in by_name if ".layer.0." in name} == {0.5**2}
    assert {by_name[name] for name in by_name if ".layer.1." in name} == {0.5}
    assert {by_name[name] for name in by_name if "classifier" in name or "pooler" in name} == {1.0}
    decays = {group["weight_decay"] for group in optimizers.groups(encoder, 0.1, 0.5) if group["params"][0].ndim < 2}
    assert decays == {0.0}


def test_each_optimizer_has_a_learning_rate_of_its_own_measure() -> None:
    assert optimizers.default_rate(Optimizer(), 1e-3) == 1e-3
    assert optimizers.default_rate(Optimizer(name="lion"), 1e-3) == pytest.approx(2e-4)
    assert optimizers.default_rate(Optimizer(name="lion", learning_rate=3e-4), 1e-3) == 3e-4


def test_muons_matrix_scale_multiplies_the_rate_of_its_groups(encoder: nn.Module) -> None:
    built = optimizers.build(Optimizer(name="muon", matrix_scale=7, layer_decay=0.5), encoder, 1e-3)
    inside = parameters.hidden_matrices(encoder)
    scales = {group["scale"] for group in built.param_groups if id(group["params"][0]) in inside}
    assert scales == {7.0, 3.5, 1.75}  # the pooler, layer 1, layer 0
