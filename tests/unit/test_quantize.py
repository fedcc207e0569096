"""compress.quantize: smaller, the same answers, the same bytes twice, and evidence for each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from pydantic import ValidationError
from support import small_models
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.compression import int8, static_onnx
from modelyard.methods.runtimes.combination import Combination
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.combining.writing import write_ensemble
from modelyard.stages.compress.quantize import STAGE, Config, run


def quantised(tmp_path: Path, source: Path, name: str = "one", **settings: Any) -> FakeContext:
    context = FakeContext(tmp_path / name, {"model": source, "data": small_models.dataset()})
    run(Config(calibration_rows=60, **settings), context)
    return context


def test_the_stage_measures_what_it_made(tmp_path: Path) -> None:
    source = small_models.source("hf")
    context = quantised(tmp_path, source)
    target = context.output("model")
    assert {item.claim for item in context.measurements} == {claim.name for claim in STAGE.claims}
    assert context.value("size.bytes") == sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    assert context.value("size.mb") == context.value("size.bytes") / 1e6
    assert context.value("compress.size_ratio") == manifest(target).size / manifest(source).size
    agreement = next(item for item in context.measurements if item.claim == "compress.label_agreement")
    assert (agreement.about, agreement.on, agreement.against, agreement.n) == ("model", "data/validation", "model", 400)
    assert isinstance(agreement.interval, tuple)
    assert agreement.interval[0] < agreement.value <= agreement.interval[1] <= 1
    assert agreement.value >= 0.98
    answers = [[answer.label for answer in runtimes.load(folder).predict(records())] for folder in (source, target)]
    assert agreement.value == np.mean([left == right for left, right in zip(*answers, strict=True)])
    assert check_golden(target, runtimes.load(target)) == []
    assert any("in int8:" in line and "LayerNormalization" in line for line in context.said)


def records() -> list[dict[str, str]]:
    return [{"text": text} for text, _ in small_models.rows(400, 2)]


def test_the_card_names_the_source_and_keeps_what_is_the_models_own(tmp_path: Path) -> None:
    source = small_models.source("cnn")
    target = quantised(tmp_path, source).output("model")
    before, after = ModelCard.read(source), ModelCard.read(target)
    assert after.provenance["source"] == manifest(source).digest
    assert (after.format, after.precision) == ("onnx", "int8")
    assert (after.labels, after.preprocessing, after.licence) == (before.labels, before.preprocessing, before.licence)
    assert json.loads((target / "golden.json").read_text())["records"] == small_models.records(8)


@pytest.mark.parametrize(
    ("name", "engine"), [("hf", "onnx"), ("blend", "onnx"), ("cnn", "openvino"), ("linear", "onnx")]
)
def test_quantising_twice_gives_equal_bytes(tmp_path: Path, name: str, engine: str) -> None:
    source = small_models.source(name)
    first, second = (quantised(tmp_path, source, turn, engine=engine).output("model") for turn in ("one", "two"))
    assert manifest(first).digest == manifest(second).digest


def test_weights_are_int8_and_a_quarter_of_the_size(tmp_path: Path) -> None:
    target = quantised(tmp_path, small_models.source("cnn")).output("model")
    model = onnx.load(target / "model.onnx")
    kinds = {tensor.data_type for tensor in model.graph.initializer if np.prod(tensor.dims) > 300}
    assert kinds == {onnx.TensorProto.INT8}
    assert "DynamicQuantizeLinear" not in {node.op_type for node in model.graph.node}


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_a_linear_model_becomes_an_int8_table(tmp_path: Path, engine: str) -> None:
    source = small_models.source("linear")
    context = quantised(tmp_path, source, engine=engine)
    assert context.value("compress.label_agreement") >= 0.98
    assert ModelCard.read(context.output("model")).provenance["method"] == "int8 tables, weight-only"
    weights = context.output("model") / {"onnx": "model.onnx", "openvino": "model.bin"}[engine]
    assert weights.stat().st_size < (source / "model.safetensors").stat().st_size


def test_excluded_weights_stay_in_fp32(tmp_path: Path) -> None:
    context = quantised(tmp_path, small_models.source("hf"), exclude=["*classifier*"])
    model = onnx.load(context.output("model") / "model.onnx")
    kinds = {one.name: one.data_type for one in model.graph.initializer}
    assert kinds["module.classifier.weight"] == onnx.TensorProto.FLOAT
    assert any("node_" in line and "in fp32" in line for line in context.said)


def test_an_exclusion_that_matches_nothing_names_the_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="matches no part") as caught:
        quantised(tmp_path, small_models.source("cnn"), exclude=["*clasifier*"])
    assert "classifier.weight" in str(caught.value)


def test_a_model_in_int8_already_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="int8 already"):
        quantised(tmp_path, small_models.int8("blend", "onnx"))


def test_an_ensemble_is_refused_in_its_own_words(tmp_path: Path) -> None:
    together = tmp_path / "together"
    together.mkdir()
    sources = [small_models.source(name) for name in ("linear", "cnn")]
    write_ensemble(sources, together, Combination("average"), {}, "unknown", [{"text": "good"}])
    with pytest.raises(InputError, match="an ensemble is not quantised: it is 2 models") as caught:
        quantised(tmp_path, together)
    assert "each member" in caught.value.problems[0].remedy


def test_an_onnx_model_is_quantised_from_its_own_graph(tmp_path: Path) -> None:
    context = quantised(tmp_path, small_models.exported("hf", "onnx"))
    assert context.value("compress.label_agreement") >= 0.98


def test_auto_tries_methods_until_enough_answers_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    real = static_onnx.quantise

    def watched(source: Path, target: Path, rows: Any, method: Any, *rest: Any) -> None:
        used.append(method)
        real(source, target, rows, method, *rest)

    monkeypatch.setattr(static_onnx, "quantise", watched)
    quantised(tmp_path, small_models.source("cnn"), "one")
    assert used == ["minmax"]
    monkeypatch.setattr(int8, "ENOUGH", 1.1)
    context = quantised(tmp_path, small_models.source("cnn"), "two")
    assert used[1:] == ["minmax", "percentile", "entropy"]
    counts = {line.split(":")[0]: int(line.split()[1]) for line in context.said if "answers agree" in line}
    assert context.value("compress.label_agreement") == max(counts.values()) / 400


def test_calibration_sees_training_rows_only_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    real = static_onnx.quantise

    def watched(source: Path, target: Path, rows: Any, *rest: Any) -> None:
        seen.extend(len(row["input_ids"]) for row in rows)
        real(source, target, rows, *rest)

    monkeypatch.setattr(static_onnx, "quantise", watched)
    quantised(tmp_path, small_models.source("cnn"))
    assert seen == [1] * 60
    assert STAGE.inputs["data"].splits == ("train", "validation")


def test_no_training_row_is_an_error_and_no_validation_row_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training row"):
        int8.quantise(small_models.source("cnn"), tmp_path, [], [], int8.Recipe(), tmp_path)
    context = quantised(tmp_path, small_models.source("cnn"), validation_rows=0)
    assert not [item for item in context.measurements if item.claim == "compress.label_agreement"]
    assert any("not measured" in line for line in context.said)


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "tensorrt"},
        {"calibration_rows": 0},
        {"weight_bits": 4},
        {"epochs": 3},
        {"engine": "openvino", "method": "entropy"},
    ],
)
def test_settings_have_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Config(**wrong)
