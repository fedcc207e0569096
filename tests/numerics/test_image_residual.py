"""The network of `size: cnn`: what it computes, and that the layout in memory of training changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modelyard.methods import networks

SPEC = {"kind": "image_residual", "channels": 1, "num_labels": 3, "widths": [4, 6, 8], "dropout": 0.0}


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    module = networks.build(SPEC)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim == 1 and "classifier" not in name:
                parameter.normal_(mean=1 if name.endswith("weight") else 0, std=0.3)
    return module


def images(count: int = 5) -> torch.Tensor:
    return torch.randn(count, 1, 15, 13, generator=torch.Generator().manual_seed(1))


def written_out(weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The same by functions, in training (batch statistics), everything beside each other as torch has it."""
    functions = torch.nn.functional

    def convolution(name: str, values: torch.Tensor, halved: bool = False) -> torch.Tensor:
        found = functions.conv2d(values, weights[f"{name}.0.weight"], padding=1)
        if halved:
            found = functions.max_pool2d(found, 2, ceil_mode=True)
        place = 2 if halved else 1
        scale, shift = weights[f"{name}.{place}.weight"], weights[f"{name}.{place}.bias"]
        mean, var = found.mean((0, 2, 3), keepdim=True), found.var((0, 2, 3), unbiased=False, keepdim=True)
        normal = (found - mean) / (var + 1e-5).sqrt()
        return (normal * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)).relu()

    x = convolution("first", x, halved=True)
    x = convolution("features.1", convolution("features.0", x), halved=True)
    x = convolution("features.2", x)
    x = x + convolution("features.3.found.1", convolution("features.3.found.0", x))
    return functions.linear(x.mean((2, 3)), weights["classifier.weight"], weights["classifier.bias"])


def test_it_computes_what_its_page_says() -> None:
    module = network().train()
    expected = written_out({name: one.detach() for name, one in module.named_parameters()}, images())
    torch.testing.assert_close(module(images()), expected, rtol=1e-4, atol=1e-5)


def test_gradients_have_the_layout_of_their_weights() -> None:
    module = network().train()
    module(images()).square().sum().backward()
    # Optimizers and checkpoints read both element by element.
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert parameter.grad.stride() == parameter.stride()


def test_answers_do_not_depend_on_the_batch_and_survive_saving(tmp_path: Path) -> None:
    module = network().eval()
    together = module(images())
    for place in range(5):
        torch.testing.assert_close(module(images()[place : place + 1]), together[place : place + 1])
    networks.save(module, tmp_path)
    assert torch.equal(networks.load(tmp_path, SPEC)(images()), together)


@pytest.mark.parametrize("widths", [[4], [4, 6], [4, 6, 8, 8, 10]])
def test_it_has_as_many_blocks_as_widths(widths: list[int]) -> None:
    module = networks.build({**SPEC, "widths": widths}).eval()
    assert module(torch.zeros(2, 1, 64, 64)).shape == (2, 3)
