"""Exported networks compute what torch computes; int8 tables are off by half a step at most."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support import small_models

from modelyard.errors import InputError, StageError
from modelyard.methods import preprocessing
from modelyard.methods.compression.tables import quantise_columns, quantise_tables
from modelyard.methods.export import onnx as to_onnx
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.onnx import OnnxNetwork
from modelyard.methods.runtimes.openvino import OpenvinoNetwork


def compare(name: str, network: OnnxNetwork | OpenvinoNetwork) -> float:
    """Largest difference over batches of many shapes, an empty text and one of one token among them."""
    folder = small_models.source(name)
    card = ModelCard.read(folder)
    module, names = to_onnx.source_module(folder, card)
    encoder = preprocessing.load(folder, card.preprocessing)
    texts = small_models.texts(40)
    worst = 0.0
    for batch in ([""], ["a"], texts[:1], texts[:2], texts[5:12], texts, ["great " * 100, ""]):
        arrays = {key: array for key, array in encoder.encode(batch).items() if key in names}
        with torch.inference_mode():
            output = module(**{key: torch.from_numpy(array) for key, array in arrays.items()})
        wanted = (output if isinstance(output, torch.Tensor) else output.logits).numpy()
        worst = max(worst, to_onnx.largest_difference(wanted, network.logits(arrays)))
    return worst


@pytest.mark.parametrize("name", ["hf", "cnn", "linear", "blend"])
def test_onnx_equals_torch_on_every_shape(name: str) -> None:
    assert compare(name, OnnxNetwork(small_models.exported(name, "onnx") / "model.onnx", 1)) < 1e-5


@pytest.mark.parametrize("name", ["hf", "blend"])
def test_openvino_equals_torch_on_every_shape(name: str) -> None:
    assert compare(name, OpenvinoNetwork(small_models.exported(name, "openvino") / "model.xml", 1)) < 1e-5


def test_the_file_names_no_machine_and_needs_no_other_file() -> None:
    folder = small_models.exported("hf", "onnx")
    data = (folder / "model.onnx").read_bytes()
    assert b"site-packages" not in data
    assert b".py" not in data
    assert not list(folder.glob("*.data"))


def test_a_network_that_answers_differently_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = small_models.source("linear")
    card = ModelCard.read(folder)
    batch = preprocessing.load(folder, card.preprocessing).encode(small_models.texts(4))
    answers = OnnxNetwork.logits
    monkeypatch.setattr(OnnxNetwork, "logits", lambda self, arrays: answers(self, arrays) + 0.01)
    with pytest.raises(StageError, match=r"differs from its source by 0\.01"):
        to_onnx.export(folder, card, tmp_path, [batch])


def test_an_exported_model_has_no_torch_form() -> None:
    folder = small_models.exported("linear", "onnx")
    with pytest.raises(InputError, match="cannot be exported again"):
        to_onnx.source_module(folder, ModelCard.read(folder))


def test_differences_that_are_no_numbers_are_infinite() -> None:
    ones = np.ones((2, 2), np.float32)
    assert to_onnx.largest_difference(ones, ones + 0.5) == 0.5
    assert to_onnx.largest_difference(ones, ones * np.nan) == np.inf
    assert to_onnx.largest_difference(ones, np.ones((2, 3))) == np.inf


def test_a_column_is_off_by_half_its_own_step_at_most() -> None:
    weight = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32) * np.float32([0.01, 1, 100])
    weight[:, 2] = np.abs(weight[:, 2])
    table = quantise_columns(weight)
    error = np.abs(table.values * table.scales - weight)
    assert (error.max(axis=0) <= table.scales / 2 * 1.001).all()
    assert np.abs(table.values).max(axis=0).tolist() == [127, 127, 127]


def test_an_empty_column_stays_zero() -> None:
    table = quantise_columns(np.zeros((20, 2), np.float32))
    assert (table.values == 0).all()
    assert np.isfinite(table.scales).all()


def test_the_int8_linear_model_is_the_table_times_its_scales(tmp_path: Path) -> None:
    import onnx

    source = small_models.exported("linear", "onnx") / "model.onnx"
    model = onnx.load(source)
    weight = onnx.numpy_helper.to_array(next(one for one in model.graph.initializer if len(one.dims) == 2))
    assert len(quantise_tables(model)) == 1
    path = tmp_path / "model.onnx"
    onnx.save_model(model, path)
    table = quantise_columns(weight)
    ids = np.array([[1, 5, 9], [2, 0, 0]])
    weights = np.array([[0.5, 0.25, 1.0], [1.0, 0.0, 0.0]], np.float32)
    difference = OnnxNetwork(path, 1).logits({"ngram_ids": ids, "ngram_weights": weights}) - OnnxNetwork(
        source, 1
    ).logits({"ngram_ids": ids, "ngram_weights": weights})
    wanted = ((table.values * table.scales - weight)[ids] * weights[..., None]).sum(1)
    np.testing.assert_allclose(difference, wanted, atol=1e-5)
