"""A model folder made by somebody else is input: each way it could lie is refused before a parser sees it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file, save_file
from support import small_models

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.safetensors_header import header_problem
from modelyard.methods.runtimes.validation import external_data_problems


@pytest.fixture
def hf(tmp_path: Path) -> Path:
    return shutil.copytree(small_models.source("hf"), tmp_path / "hf")


@pytest.fixture
def linear(tmp_path: Path) -> Path:
    return shutil.copytree(small_models.source("linear"), tmp_path / "linear")


def edit(path: Path, **values: object) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**value, **values}), encoding="utf-8")


def refused(folder: Path, match: str) -> InputError:
    with pytest.raises(InputError, match=match) as caught:
        runtimes.load(folder)
    return caught.value


@pytest.mark.parametrize(
    "name",
    [
        "../tokenizer.json",
        "/etc/hosts.json",
        "a/../../b.json",
        "C:\\a.json",
        "\\\\host\\a.json",
        "..\\a.json",
        "C:a.json",
    ],
)
def test_a_file_name_that_leaves_the_folder_is_refused(hf: Path, name: str) -> None:
    (hf.parent / "tokenizer.json").write_bytes((hf / "tokenizer.json").read_bytes())
    edit(hf / "model.json", preprocessing={"kind": "tokens", "tokenizer": name, "max_length": 48})
    refused(hf, "is not a path inside the folder")


def test_file_names_are_found_at_any_depth(hf: Path) -> None:
    part = {"kind": "tokens", "tokenizer": "../x.json", "max_length": 48}
    edit(hf / "model.json", preprocessing={"kind": "union", "parts": [part]})
    refused(hf, "is not a path inside the folder")


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors", "unused.txt"])
def test_a_link_that_leaves_the_folder_is_refused(hf: Path, name: str) -> None:
    outside = hf.parent / name
    outside.write_bytes((hf / name).read_bytes() if (hf / name).exists() else b"secret")
    (hf / name).unlink(missing_ok=True)
    (hf / name).symlink_to(outside)
    refused(hf, "is a link that leaves the folder")


def test_every_missing_file_is_named_in_one_error(hf: Path) -> None:
    (hf / "config.json").unlink()
    (hf / "tokenizer.json").unlink()
    error = refused(hf, "is missing")
    assert [problem.found for problem in error.problems] == ["`config.json` is missing", "`tokenizer.json` is missing"]
    assert all(problem.remedy for problem in error.problems)


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_a_configuration_that_names_code_is_refused(hf: Path, file: str) -> None:
    if not (hf / file).exists():
        (hf / file).write_text("{}")
    edit(hf / file, auto_map={"AutoModel": "evil.Model"})
    refused(hf, "`auto_map` names code to run")


def test_code_named_deep_inside_is_found(hf: Path) -> None:
    edit(hf / "config.json", text_config={"sub": [{"auto_map": {"AutoConfig": "evil.Config"}}]})
    refused(hf, "names code to run")


def test_python_and_adapters_in_the_folder_are_refused(hf: Path) -> None:
    (hf / "modeling.py").write_text("raise SystemExit")
    (hf / "adapter_config.json").write_text('{"base_model_name_or_path": "someone/else"}')
    error = refused(hf, "Python code")
    assert any("adapter" in problem.found for problem in error.problems)


def test_a_head_that_is_not_in_the_weights_is_refused(hf: Path) -> None:
    tensors = load_file(hf / "model.safetensors")
    save_file({k: v for k, v in tensors.items() if "classifier" not in k}, hf / "model.safetensors", {"format": "pt"})
    refused(hf, "weights are not in the file")


@pytest.mark.parametrize("labels", [["bad"], ["bad", "bad"], ["bad", "good", "so so"]])
def test_labels_must_fit_the_scores(hf: Path, labels: list[str]) -> None:
    edit(hf / "model.json", labels=labels)
    refused(hf, "label")


def test_onnx_labels_must_fit_the_scores(tmp_path: Path) -> None:
    folder = shutil.copytree(small_models.exported("hf", "onnx"), tmp_path / "model")
    edit(folder / "model.json", labels=["a", "b", "c"])
    refused(folder, "the network answers 2 scores a record")


def test_weights_that_are_not_numbers_are_refused(linear: Path) -> None:
    tensors = load_file(linear / "model.safetensors")
    save_file({**tensors, "bias": tensors["bias"] * np.nan}, linear / "model.safetensors")
    refused(linear, "are not numbers")


def test_an_unknown_format_or_task_names_the_known_ones(linear: Path) -> None:
    edit(linear / "model.json", format="onx")
    assert "onnx" in str(refused(linear, "no runtime for the format"))
    edit(linear / "model.json", format="modelyard", task="sound-classification")
    assert "text-classification" in str(refused(linear, "no task"))
    for task in ("image-classification", "tabular-regression"):
        edit(linear / "model.json", task=task)
        refused(linear, "does not read the records|has no labels")


def test_preprocessing_of_another_network_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(small_models.source("cnn"), tmp_path / "model")
    small_models.copy_preprocessing(small_models.source("linear"), folder)
    spec = json.loads((small_models.source("linear") / "model.json").read_text())["preprocessing"]
    edit(folder / "model.json", preprocessing=spec)
    refused(folder, "which the preprocessing does not make")


def test_a_folder_that_is_no_model_says_how_to_bring_one(tmp_path: Path) -> None:
    refused(tmp_path, r"no model\.json")


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_garbage_weights_are_an_input_error(engine: str, tmp_path: Path) -> None:
    folder = shutil.copytree(small_models.exported("hf", engine), tmp_path / "model")
    (folder / {"onnx": "model.onnx", "openvino": "model.xml"}[engine]).write_bytes(b"\x80\x04junk" * 100)
    refused(folder, "ONNX|OpenVINO")


def header(entries: dict[str, object] | str, data: bytes = b"\0" * 16) -> bytes:
    text = entries if isinstance(entries, str) else json.dumps(entries)
    return len(text.encode()).to_bytes(8, "little") + text.encode() + data


def entry(begin: int, end: int, shape: list[int] | None = None, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "longer than the file"),
        ((1 << 40).to_bytes(8, "little") + b"{}", "longer than the file"),
        (header("not json"), "not JSON"),
        (header("[" * 5000), "not JSON"),
        (header("[]"), "not a JSON object"),
        (header('{"a": {}, "a": {}}'), "there twice"),
        (header({"a": entry(0, 8), "b": entry(4, 16)}), "overlap or leave a hole"),
        (header({"a": entry(0, 8), "b": entry(12, 16)}), "overlap or leave a hole"),
        (header({"a": entry(4, 16)}), "overlap or leave a hole"),
        (header({"a": entry(0, 8)}), "do not fill the file"),
        (header({"a": entry(0, 32)}), "do not fill the file"),
        (header({"a": entry(0, 16, [3])}), "does not fit its shape"),
        (header({"a": entry(0, 16, [-2, -2])}), "does not fit its shape"),
        (header({"a": entry(0, 16, [1 << 62, 1 << 62])}), "does not fit its shape"),
        (header({"a": entry(0, 16, [True, 4])}), "does not fit its shape"),
        (header({"a": entry(0, 16, dtype="X9")}), "is not a tensor"),
        (header({"a": 3}), "is not a tensor"),
        (b"PK\x03\x04" + b"\0" * 100, "longer than the file|not JSON"),
    ],
)
def test_a_safetensors_header_that_lies_is_found(tmp_path: Path, data: bytes, match: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    problem = header_problem(path)
    assert any(part in problem for part in match.split("|")), problem


def test_a_sound_safetensors_file_has_no_problem() -> None:
    for name in ("hf", "linear", "blend"):
        assert header_problem(small_models.source(name) / "model.safetensors") == ""


def test_truncated_weights_are_refused_when_the_folder_is_loaded(linear: Path) -> None:
    path = linear / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    refused(linear, "do not fill the file")


def external(name: str) -> TensorProto:
    tensor = numpy_helper.from_array(np.ones(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return tensor


def in_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(external("w"))


def in_sparse(model: onnx.ModelProto) -> None:
    model.graph.sparse_initializer.add().values.CopyFrom(external("w"))


def in_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=external("w")))


def in_subgraph(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [], initializer=[external("w")])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch))


def in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=external("w"))
    model.functions.append(helper.make_function("d", "f", [], ["c"], [node], [helper.make_opsetid("", 20)]))


@pytest.mark.parametrize("hide", [in_initializer, in_sparse, in_constant, in_subgraph, in_function])
def test_onnx_weights_in_other_files_are_refused(hide: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    folder = shutil.copytree(small_models.exported("linear", "onnx"), tmp_path / "model")
    assert external_data_problems(folder / "model.onnx") == []
    model = onnx.load(folder / "model.onnx")
    hide(model)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    refused(folder, "is kept in another file")
