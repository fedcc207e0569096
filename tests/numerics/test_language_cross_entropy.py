"""Cross-entropy in pieces: values and gradients of PyTorch's own, in every number format."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from modelyard.methods.training.language import cross_entropy


@pytest.fixture(autouse=True)
def several_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cross_entropy, "CACHED", 40)


@pytest.mark.parametrize(
    ("kind", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6), (torch.bfloat16, 1e-2)], ids=str
)
def test_values_and_gradients_are_those_of_pytorch(kind: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    logits = (torch.randn(23, 17, dtype=torch.float64) * 4).to(kind)
    labels, weights = torch.randint(17, (23,)), torch.rand(23, dtype=torch.float64)
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    found = cross_entropy.losses(ours, labels)
    wanted = functional.cross_entropy(theirs.double(), labels, reduction="none")
    torch.testing.assert_close(found.double(), wanted, atol=tolerance, rtol=tolerance)
    (found.double() * weights).sum().backward()
    (wanted * weights).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(ours.grad.double(), theirs.grad.double(), atol=tolerance, rtol=tolerance)


def test_gradient_of_finite_differences() -> None:
    torch.manual_seed(1)
    logits = torch.randn(5, 11, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(11, (5,))
    assert torch.autograd.gradcheck(lambda values: cross_entropy.losses(values, labels), (logits,))


def test_large_logits_do_not_overflow_and_no_row_is_fine() -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4]], requires_grad=True)
    found = cross_entropy.losses(logits, torch.tensor([0]))
    assert found.tolist() == [0.0]
    assert cross_entropy.losses(torch.empty(0, 3), torch.empty(0, dtype=torch.int64)).shape == (0,)
