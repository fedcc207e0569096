"""model.read: a classifier from elsewhere, by its bytes; what cannot be trusted is refused with what to do."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from pydantic import ValidationError
from safetensors.numpy import load_file, save_file
from support import small_models
from support.fake_context import FakeContext
from support.fake_hub import COMMIT, FakeHuggingFace, FakeModelScope
from support.hostile_http import site

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.model.read import Config, fingerprint, run


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """What transformers would have written elsewhere: no model.json, no golden answers."""
    folder = shutil.copytree(small_models.source("hf"), tmp_path / "their-model")
    for name in ("model.json", "golden.json"):
        (folder / name).unlink()
    return folder


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    folder = tmp_path / "exported"
    folder.mkdir()
    for name in ("model.onnx", "tokenizer.json"):
        shutil.copyfile(small_models.exported("hf", "onnx") / name, folder / name)
    return folder / "model.onnx"


def read(tmp_path: Path, path: Path | str, **settings: Any) -> FakeContext:
    context = FakeContext(tmp_path / f"step{len(list(tmp_path.iterdir()))}", base=tmp_path)
    run(Config(path=str(path), **settings), context)
    return context


def edit(path: Path, **values: object) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**value, **values}), encoding="utf-8")


def same_answers(folder: Path) -> None:
    found = runtimes.load(folder).predict(small_models.records(20))
    wanted = runtimes.load(small_models.source("hf")).predict(small_models.records(20))
    np.testing.assert_allclose(small_models.scores(found), small_models.scores(wanted), atol=1e-4)


def test_a_huggingface_folder_becomes_a_model_with_equal_answers(tmp_path: Path, foreign: Path) -> None:
    (foreign / "README.md").write_text("not copied")
    (foreign / "pytorch_model.bin").write_bytes(pickle.dumps("not copied, not read"))
    context = read(tmp_path, "their-model", max_length=48, licence="MIT")
    folder = context.output("model")
    same_answers(folder)
    card = ModelCard.read(folder)
    assert (card.format, card.labels, card.licence, card.precision) == ("hf", small_models.LABELS, "MIT", "fp32")
    assert card.provenance == {"stage": "model.read", "path": "their-model"}
    assert check_golden(folder, runtimes.load(folder)) == []
    assert not (folder / "README.md").exists()
    assert not (folder / "pytorch_model.bin").exists()
    assert (folder / "model.safetensors").read_bytes() == (foreign / "model.safetensors").read_bytes()
    assert context.value("size.bytes") == manifest(folder).size


def test_a_text_is_cut_where_the_model_has_no_more_positions(tmp_path: Path, foreign: Path) -> None:
    context = read(tmp_path, foreign, max_length=1000)
    assert ModelCard.read(context.output("model")).preprocessing["max_length"] == 64
    assert any("64 positions" in line for line in context.said)
    runtimes.load(context.output("model")).predict([{"text": "great " * 500}])


def test_shards_become_one_file(tmp_path: Path, foreign: Path) -> None:
    tensors = load_file(foreign / "model.safetensors")
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[:10], "model-00002-of-00002.safetensors": names[10:]}
    for file, part in parts.items():
        save_file({name: tensors[name] for name in part}, foreign / file, {"format": "pt"})
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (foreign / "model.safetensors.index.json").write_text(json.dumps(index))
    (foreign / "model.safetensors").unlink()
    folder = read(tmp_path, foreign, max_length=48).output("model")
    assert len(list(folder.glob("*.safetensors"))) == 1
    same_answers(folder)


def test_labels_may_be_named_and_must_be_as_many(tmp_path: Path, foreign: Path) -> None:
    folder = read(tmp_path, foreign, labels=("差评", "好评")).output("model")
    assert ModelCard.read(folder).labels == ("差评", "好评")
    with pytest.raises(InputError, match="3 labels in the settings, 2 in the model"):
        read(tmp_path, foreign, labels=("a", "b", "c"))


def test_labels_without_names_are_said(tmp_path: Path, foreign: Path) -> None:
    edit(foreign / "config.json", id2label={"0": "LABEL_0", "1": "LABEL_1"}, label2id={"LABEL_0": 0, "LABEL_1": 1})
    assert any("LABEL_0" in line for line in read(tmp_path, foreign).said)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pkl"])
def test_a_pickle_is_refused_unread_with_the_remedy(tmp_path: Path, foreign: Path, name: str) -> None:
    mark = tmp_path / "executed"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (mark.touch, ())

    (foreign / "model.safetensors").unlink()
    (foreign / name).write_bytes(pickle.dumps(Evil()))
    for path in (foreign, foreign / name):
        with pytest.raises(InputError, match="is a pickle") as caught:
            read(tmp_path, path)
        assert "save_pretrained" in caught.value.problems[0].remedy
    assert not mark.exists()


def test_a_pickle_that_is_named_safetensors_is_refused(tmp_path: Path, foreign: Path) -> None:
    (foreign / "model.safetensors").write_bytes(pickle.dumps(list(range(1000))))
    with pytest.raises(InputError, match="the header is"):
        read(tmp_path, foreign)


def test_code_in_the_configuration_is_refused(tmp_path: Path, foreign: Path) -> None:
    edit(foreign / "config.json", auto_map={"AutoModelForSequenceClassification": "evil.Model"})
    with pytest.raises(InputError, match="names code to run"):
        read(tmp_path, foreign)


def test_a_missing_tokenizer_is_refused_with_the_remedy(tmp_path: Path, foreign: Path) -> None:
    (foreign / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"no tokenizer\.json") as caught:
        read(tmp_path, foreign)
    assert "AutoTokenizer" in caught.value.problems[0].remedy


def test_a_tokenizer_may_lie_elsewhere(tmp_path: Path, foreign: Path) -> None:
    (foreign / "tokenizer.json").rename(tmp_path / "elsewhere.json")
    same_answers(read(tmp_path, foreign, tokenizer="elsewhere.json", max_length=48).output("model"))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, foreign: Path) -> None:
    edit(foreign / "config.json", vocab_size=100)
    with pytest.raises(InputError, match="the tokenizer has ids up to"):
        read(tmp_path, foreign)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"architectures": ["BertForMaskedLM"]}, "holds BertForMaskedLM"),
        ({"architectures": None}, "holds nothing"),
        ({"problem_type": "multi_label_classification"}, "multi_label"),
        ({"id2label": {"0": "only"}}, "label"),
    ],
)
def test_another_kind_of_model_is_refused(tmp_path: Path, foreign: Path, values: dict[str, Any], match: str) -> None:
    edit(foreign / "config.json", **values)
    with pytest.raises(InputError, match=match):
        read(tmp_path, foreign)


def test_a_link_out_of_the_folder_is_refused_and_the_hubs_own_layout_is_read(tmp_path: Path, foreign: Path) -> None:
    secret = tmp_path / "secret.json"
    shutil.move(foreign / "tokenizer.json", secret)
    (foreign / "tokenizer.json").symlink_to(secret)
    with pytest.raises(InputError, match="leaves the folder"):
        read(tmp_path, foreign)
    cache = tmp_path / "models--a--b"
    (cache / "snapshots").mkdir(parents=True)
    (cache / "blobs").mkdir()
    snapshot = cache / "snapshots" / ("0" * 40)
    (foreign / "tokenizer.json").unlink()
    shutil.move(secret, foreign / "tokenizer.json")
    shutil.copytree(foreign, snapshot)
    for path in list(snapshot.iterdir()):
        path.rename(cache / "blobs" / path.name)
        path.symlink_to(Path("../../blobs") / path.name)
    folder = read(tmp_path, snapshot, max_length=48).output("model")
    assert not any(path.is_symlink() for path in folder.iterdir())
    same_answers(folder)


def test_an_onnx_file_becomes_a_model_with_equal_answers(tmp_path: Path, onnx_file: Path) -> None:
    folder = read(tmp_path, onnx_file, labels=small_models.LABELS, max_length=48).output("model")
    assert ModelCard.read(folder).format == "onnx"
    same_answers(folder)


def test_foreign_names_in_an_onnx_file_are_understood(tmp_path: Path, onnx_file: Path) -> None:
    model = onnx.load(onnx_file)
    model.graph.output[0].name = "output_0"
    for node in model.graph.node:
        node.output[:] = ["output_0" if name == "logits" else name for name in node.output]
    types = helper.make_tensor_value_info("token_type_ids", TensorProto.INT64, ["rows", "tokens"])
    model.graph.input.append(types)
    onnx.save_model(model, onnx_file)
    context = read(tmp_path, onnx_file, labels=small_models.LABELS, max_length=48)
    same_answers(context.output("model"))
    assert any("output_0" in line for line in context.said)


def test_an_onnx_file_needs_labels_a_tokenizer_and_its_weights_inside(tmp_path: Path, onnx_file: Path) -> None:
    with pytest.raises(InputError, match="does not name its labels"):
        read(tmp_path, onnx_file)
    with pytest.raises(InputError, match="the network answers 2 scores"):
        read(tmp_path, onnx_file, labels=("a", "b", "c"))
    tokenizer = onnx_file.with_name("tokenizer.json")
    tokenizer.rename(tokenizer.with_name("kept.json"))
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        read(tmp_path, onnx_file, labels=("a", "b"))
    tokenizer.with_name("kept.json").rename(tokenizer)
    model = onnx.load(onnx_file)
    onnx.save_model(model, onnx_file, save_as_external_data=True, location="weights.data", size_threshold=0)
    with pytest.raises(InputError, match="is kept in another file"):
        read(tmp_path, onnx_file, labels=("a", "b"))


def test_an_onnx_file_with_a_fixed_length_is_refused(tmp_path: Path, onnx_file: Path) -> None:
    model = onnx.load(onnx_file)
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[1].dim_value = 48
    onnx.save_model(model, onnx_file)
    with pytest.raises(InputError, match="the network reads"):
        read(tmp_path, onnx_file, labels=("a", "b"))


@pytest.mark.parametrize(
    ("path", "settings", "match"),
    [
        ("nowhere/at/all", {}, "nothing is at"),
        ("./nowhere", {}, "nothing is at"),
        ("someone/model", {}, "no pinned commit"),
    ],
)
def test_a_path_to_nothing_says_what_could_be_there(
    tmp_path: Path, path: str, settings: dict[str, Any], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        read(tmp_path, path, **settings)


def test_a_hub_without_the_model_is_an_input_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CACHE", str(tmp_path / "cache"))
    with site() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        with pytest.raises(InputError, match="cannot be fetched: huggingface:someone/model: no such repository"):
            read(tmp_path, "someone/model", revision="a" * 40)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="HF_HUB_OFFLINE"):
        read(tmp_path, "someone/model", revision="a" * 40)


@pytest.mark.parametrize("hub", ["huggingface", "modelscope"])
def test_a_model_of_a_hub_is_fetched_once_without_its_code(
    tmp_path: Path, foreign: Path, monkeypatch: pytest.MonkeyPatch, hub: str
) -> None:
    files = {path.name: path.read_bytes() for path in foreign.iterdir() if path.is_file()}
    extra = {"modeling_x.py": b"raise SystemExit", "pytorch_model.bin": b"\x80\x02", "onnx/model.onnx": b"x"}
    monkeypatch.setenv("MODELYARD_CACHE", str(tmp_path / "cache"))
    with site() as server:
        monkeypatch.setenv("HF_ENDPOINT" if hub == "huggingface" else "MODELSCOPE_ENDPOINT", server.url)
        (FakeHuggingFace if hub == "huggingface" else FakeModelScope)(server, "li/model", files | extra, "model")
        path, revision = "li/model", COMMIT
        if hub == "modelscope":
            path = "modelscope:li/model"
            with pytest.raises(InputError, match="they come to sha256") as caught:
                read(tmp_path, path, revision="sha256:" + "0" * 64)
            revision = str(caught.value).partition("they come to ")[2][:71]
        before = len(server.asked)
        first = read(tmp_path, path, revision=revision)
        asked = str([(item.path, item.params) for item in server.asked[before:]])
        assert "model.safetensors" in asked
        assert not [name for name in extra if name in asked]
        count = len(server.asked)
        second = read(tmp_path, path, revision=revision)
        assert len(server.asked) == count
    folders = [context.output("model") for context in (first, second)]
    assert [(f / "model.safetensors").read_bytes() for f in folders] == [files["model.safetensors"]] * 2


def test_a_model_that_is_only_pickled_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELYARD_CACHE", str(tmp_path / "cache"))
    with site() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        FakeHuggingFace(server, "li/model", {"config.json": b"{}", "pytorch_model.bin": b"\x80\x02"}, "model")
        with pytest.raises(InputError, match="no safetensors") as caught:
            read(tmp_path, "li/model", revision=COMMIT)
    assert "pytorch_model.bin" in str(caught.value)


def test_the_fingerprint_is_the_bytes_or_the_commit(tmp_path: Path, foreign: Path) -> None:
    config = Config(path="their-model")
    before = fingerprint(config, tmp_path)
    (foreign / "README.md").write_text("does not matter")
    assert fingerprint(config, tmp_path) == before
    edit(foreign / "config.json", id2label={"0": "x", "1": "y"})
    assert fingerprint(config, tmp_path) != before
    pinned = Config(path="someone/model", revision="b" * 40)
    assert fingerprint(pinned, tmp_path) == {"hub": "someone/model", "commit": "b" * 40}


@pytest.mark.parametrize("wrong", [{"revision": "main"}, {"labels": ["a"]}, {"labels": ["a", "a"]}, {"max_length": 1}])
def test_settings_have_limits(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Config(path="x", **wrong)
