"""The fast dropout drops the share it should, keeps the expectation, and attends as torch's attention does."""

from __future__ import annotations

import pytest
import torch

from modelyard.methods import networks
from modelyard.methods.training import dropout

CONFIG = {
    "model_type": "bert",
    "vocab_size": 40,
    "num_labels": 3,
    "num_hidden_layers": 2,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}


def masks(*place: int) -> dropout.Masks:
    made = dropout.Masks()
    made.seek(0, *place)
    return made


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("number", [torch.float32, torch.bfloat16])
def test_the_share_is_dropped_and_the_mean_is_kept(share: float, number: torch.dtype) -> None:
    out = masks(1).drop(torch.ones(1000, 1000, dtype=number), share)
    assert (out == 0).float().mean().item() == pytest.approx(share, abs=1 / 512 + 0.002)
    assert out.double().mean().item() == pytest.approx(1.0, abs=0.004)


def test_the_gradient_passes_where_the_value_did() -> None:
    x = torch.ones(50, 7, requires_grad=True)
    out = masks(2).drop(x, 0.5)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
    assert set(out.detach().unique().tolist()) == {0.0, 2.0}


def test_the_mask_depends_on_the_place_alone() -> None:
    x = torch.ones(100)
    assert torch.equal(masks(3, 1).drop(x, 0.5), masks(3, 1).drop(x, 0.5))
    assert not torch.equal(masks(3, 1).drop(x, 0.5), masks(3, 2).drop(x, 0.5))
    source = masks(3, 1)
    assert not torch.equal(source.drop(x, 0.5), source.drop(x, 0.5))


def encoder(share: float) -> torch.nn.Module:
    torch.manual_seed(0)
    config = {**CONFIG, "hidden_dropout_prob": share, "attention_probs_dropout_prob": share}
    return networks.build({"kind": "encoder", "config": config})


def inputs() -> dict[str, torch.Tensor]:
    mask = (torch.arange(9) < torch.tensor([[9], [4], [1]])).long()
    return {
        "input_ids": torch.randint(1, 40, (3, 9), generator=torch.Generator().manual_seed(1)) * mask,
        "attention_mask": mask,
    }


def test_without_anything_dropped_training_answers_as_evaluation_does(monkeypatch) -> None:
    module = encoder(0.3)
    expected = module.eval()(**inputs())
    module.train()
    source = masks(1)
    drops = []
    monkeypatch.setattr(dropout.Masks, "drop", lambda self, x, share: drops.append(share) or x)
    with dropout.fast(module, source):
        found = module(**inputs())
    assert torch.allclose(found, expected, atol=1e-5)
    assert len(drops) == 2 * 3 + 2, "two layers of attention, its output and the feed-forward; embeddings and head"


def test_dropped_answers_vary_around_the_answer_of_evaluation() -> None:
    module = encoder(0.1)
    expected = module.eval()(**inputs())
    module.train()
    source = masks(1)
    with dropout.fast(module, source), torch.no_grad():
        found = torch.stack([module(**inputs()) for _ in range(400)])
    assert found.std(0).min() > 1e-3
    assert torch.allclose(found.mean(0), expected, atol=0.05)


def test_everything_is_put_back_even_after_an_error() -> None:
    module = encoder(0.1)
    layers = [layer for layer in module.modules() if isinstance(layer, torch.nn.Dropout)]
    assert layers

    def broken() -> None:
        with dropout.fast(module, masks(1)):
            assert all("forward" in vars(layer) for layer in layers)
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert not any("forward" in vars(layer) for layer in layers)
    assert module.model.config._attn_implementation == "sdpa"
