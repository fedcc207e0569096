"""Networks cut open at their inputs: the leaves give what the runtime gives, and their gradients are right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.differentiable import gradients_problem, open_differentiable
from modelyard.methods.runtimes.model_folder import ModelCard
from tests.support import small_models

TEXTS = [{"text": "the room was very clean 很好"}, {"text": "awful"}, {"text": "差 and slow"}]
FOLDERS = {
    "hf": small_models.huggingface,
    "linear": lambda: small_models.ours("linear"),
    "cnn": lambda: small_models.ours("cnn"),
    "blend": lambda: small_models.ours("blend"),
}


@pytest.mark.parametrize("name", list(FOLDERS))
def test_the_leaves_give_what_the_runtime_gives(name: str) -> None:
    folder = FOLDERS[name]()
    model = open_differentiable(folder)
    arrays = model.encode(TEXTS)
    found = model.logits(arrays, model.embed(arrays)).detach().numpy()
    predictor = runtimes.load(folder)
    assert np.allclose(found, predictor.logits([one["text"] for one in TEXTS]), atol=1e-5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", list(FOLDERS))
def test_gradients_are_the_slope_of_the_outputs(name: str) -> None:
    model = open_differentiable(FOLDERS[name]())
    model.module.double()
    arrays = model.encode(TEXTS)
    leaves = {key: leaf.detach().double().requires_grad_(True) for key, leaf in model.embed(arrays).items()}
    if "ngram_weights" in arrays:
        arrays["ngram_weights"] = arrays["ngram_weights"].astype(np.float64)
    model.logits(arrays, leaves)[:, 1].sum().backward()
    torch.manual_seed(0)
    for key, leaf in leaves.items():
        step = torch.randn_like(leaf) * 1e-3
        ends = [model.logits(arrays, {**leaves, key: leaf + sign * step})[:, 1].sum().item() for sign in (1.0, -1.0)]
        assert leaf.grad is not None
        assert (leaf.grad * step).sum().item() == pytest.approx((ends[0] - ends[1]) / 2, rel=0.02, abs=1e-5), key


def test_leaves_really_replace_what_the_codes_would_give() -> None:
    model = open_differentiable(small_models.ours("blend"))
    arrays = model.encode(TEXTS)
    nothing = {key: torch.zeros_like(leaf) for key, leaf in model.embed(arrays).items()}
    emptied = model.logits(arrays, nothing)
    assert torch.allclose(emptied[0], emptied[1], atol=1e-6)
    assert set(nothing) == {"ngrams", "tokens"}


@pytest.mark.parametrize("format", ["onnx", "openvino", "gbdt", "ensemble"])
def test_formats_without_gradients_say_so(format: str) -> None:
    card = ModelCard("text-classification", format, ("a", "b"), {"kind": "tokens"})
    assert format in gradients_problem(card)
    assert not gradients_problem(replace(card, format="hf"))


def test_a_model_without_gradients_is_refused_with_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ModelCard("text-classification", "onnx", ("a", "b"), {"kind": "tokens"}).write(tmp_path)
    monkeypatch.setattr("modelyard.methods.runtimes.validation.check", lambda folder, card: [])
    with pytest.raises(InputError) as caught:
        open_differentiable(tmp_path)
    assert "SHAP" in str(caught.value.problems[0].remedy)


def test_the_table_of_tokens_is_the_embedding() -> None:
    model = open_differentiable(small_models.huggingface())
    arrays = model.encode(TEXTS)
    assert torch.equal(model.embed(arrays)["tokens"][0, 1], model.table[arrays["input_ids"][0, 1]])
    with pytest.raises(InputError):
        _ = open_differentiable(small_models.ours("linear")).table
