"""Networks of our own: answers do not depend on the batch, weights survive saving, wrong specs are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from modelyard.errors import InputError
from modelyard.methods import networks

LINEAR = {"kind": "linear", "num_features": 50, "num_labels": 3}
CNN = {"kind": "cnn", "vocabulary_size": 40, "num_labels": 3, "embedding": 8, "filters": 4, "widths": [1, 2, 3, 4, 5]}
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
ENCODER = {"kind": "encoder", "config": CONFIG}
MEAN = {"kind": "encoder", "config": CONFIG, "pooling": "mean"}
BLEND = {"kind": "blend", "children": [LINEAR, CNN], "weights": [0.7, 1.5]}
SPECS = {"linear": LINEAR, "cnn": CNN, "encoder": ENCODER, "mean": MEAN, "blend": BLEND}


def random_network(spec: dict[str, Any]) -> torch.nn.Module:
    torch.manual_seed(0)
    module = networks.build(spec).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


def batch(lengths: list[int], width: int, seed: int = 1) -> dict[str, torch.Tensor]:
    """All four inputs for rows of these lengths; what lies beyond a row's length is rubbish where it may be."""
    draw = torch.Generator().manual_seed(seed)
    mask = torch.arange(width) < torch.tensor(lengths).unsqueeze(1)
    ids = torch.randint(1, 40, (len(lengths), width), generator=draw)
    weights = torch.rand((len(lengths), width), generator=draw)
    return {
        "ngram_ids": ids * mask,
        "ngram_weights": weights * mask,
        "input_ids": ids * mask,
        "attention_mask": mask.long(),
    }


def answer(module: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    with torch.inference_mode():
        return module(**{name: inputs[name] for name in module.input_names})


@pytest.mark.parametrize("name", SPECS)
def test_padding_changes_no_answer(name: str) -> None:
    module = random_network(SPECS[name])
    lengths = [1, 2, 3, 7, 12]
    wide = batch(lengths, 20)
    together = answer(module, wide)
    assert together.shape == (5, 3)
    assert together.dtype == torch.float32
    for row, length in enumerate(lengths):
        alone = answer(module, {key: value[row : row + 1, :length] for key, value in wide.items()})
        assert torch.allclose(alone[0], together[row], atol=1e-5), length


def test_what_stands_in_the_padding_does_not_matter_to_the_cnn() -> None:
    module = random_network(CNN)
    clean = batch([3, 9], 12)
    dirty = {**clean, "input_ids": torch.where(clean["attention_mask"] == 1, clean["input_ids"], 7)}
    assert torch.equal(answer(module, clean), answer(module, dirty))


@pytest.mark.parametrize("name", ["linear", "cnn", "blend", "mean"])
def test_a_row_of_nothing_but_padding_gets_a_finite_answer(name: str) -> None:
    assert torch.isfinite(answer(random_network(SPECS[name]), batch([0, 4], 6))).all()


def test_linear_is_the_sparse_product() -> None:
    module = random_network(LINEAR)
    inputs = batch([4, 6], 6)
    dense = torch.zeros(2, 50).scatter_add_(1, inputs["ngram_ids"], inputs["ngram_weights"])
    expected = dense @ module.weight + module.bias
    assert torch.allclose(answer(module, inputs), expected, atol=1e-5)


def test_cnn_is_the_slow_reference() -> None:
    module = random_network(CNN)
    inputs = batch([5], 5)
    vectors = module.embedding(inputs["input_ids"][0])
    pooled = []
    for width, convolution in zip(CNN["widths"], module.convolutions, strict=True):
        left = (width - 1) // 2
        padded = torch.cat([torch.zeros(left, 8), vectors, torch.zeros(width // 2, 8)])
        windows = torch.stack([padded[start : start + width].T.flatten() for start in range(5)])
        sums = windows @ convolution.weight.flatten(1).T + convolution.bias
        pooled.append(torch.relu(sums).amax(0))
    expected = module.classifier(torch.cat(pooled))
    assert torch.allclose(answer(module, inputs)[0], expected, atol=1e-4)


def test_a_blend_is_the_weighted_sum_of_its_childrens_logits() -> None:
    module = random_network(BLEND)
    inputs = batch([3, 5], 5)
    first, second = (answer(child, inputs) for child in module.networks)
    assert torch.allclose(answer(module, inputs), 0.7 * first + 1.5 * second, atol=1e-5)


def test_a_blend_is_the_normalised_product_of_powers_of_probabilities() -> None:
    module = random_network(BLEND)
    inputs = batch([3, 5], 5)
    parts = [answer(child, inputs).double().softmax(1) for child in module.networks]
    pool = parts[0] ** 0.7 * parts[1] ** 1.5
    found = answer(module, inputs).double().softmax(1)
    assert torch.allclose(found, pool / pool.sum(1, keepdim=True), atol=1e-6)


@pytest.mark.parametrize("name", SPECS)
def test_saved_weights_load_back_and_equal_weights_are_equal_bytes(tmp_path: Path, name: str) -> None:
    module = random_network(SPECS[name])
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    networks.save(module, tmp_path / "a")
    networks.save(random_network(SPECS[name]), tmp_path / "b")
    files = [(tmp_path / folder / networks.WEIGHTS).read_bytes() for folder in "ab"]
    assert files[0] == files[1]
    inputs = batch([3, 9], 12)
    assert torch.equal(answer(networks.load(tmp_path / "a", SPECS[name]), inputs), answer(module, inputs))


@pytest.mark.parametrize("spec", [{"kind": "cnm"}, {}, {"kind": "cnn", "num_labels": 2}])
def test_a_wrong_spec_is_an_input_error(spec: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        networks.build(spec)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    networks.save(random_network(LINEAR), tmp_path)
    with pytest.raises(InputError, match="weights cannot be loaded"):
        networks.load(tmp_path, CNN)
    with pytest.raises(InputError, match="weights cannot be loaded"):
        networks.load(tmp_path, {**LINEAR, "num_labels": 4})


def test_missing_and_broken_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        networks.load(tmp_path, LINEAR)
    (tmp_path / networks.WEIGHTS).write_bytes(b"junk")
    with pytest.raises(InputError):
        networks.load(tmp_path, LINEAR)
