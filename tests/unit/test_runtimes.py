"""One load for every format: the same answers alone, in any batch, in any order, from any thread."""

from __future__ import annotations

import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import small_models

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes import batching
from modelyard.methods.runtimes.golden import check_golden, write_golden
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.predictor import Predictor

MODELS = {
    "hf": lambda: small_models.source("hf"),
    "cnn": lambda: small_models.source("cnn"),
    "linear": lambda: small_models.source("linear"),
    "blend": lambda: small_models.source("blend"),
    "hf-onnx": lambda: small_models.exported("hf", "onnx"),
    "blend-onnx": lambda: small_models.exported("blend", "onnx"),
    "hf-openvino": lambda: small_models.exported("hf", "openvino"),
    "hf-onnx-int8": lambda: small_models.int8("hf", "onnx"),
    "blend-onnx-int8": lambda: small_models.int8("blend", "onnx"),
    "hf-openvino-int8": lambda: small_models.int8("hf", "openvino"),
    "blend-openvino-int8": lambda: small_models.int8("blend", "openvino"),
}
INT8 = ("hf-onnx-int8", "blend-onnx-int8", "hf-openvino-int8", "blend-openvino-int8")


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> tuple[str, Path]:
    return request.param, MODELS[request.param]()


@pytest.mark.parametrize("batch", [2, 7, 32])
def test_a_record_gets_the_same_answer_alone_and_in_a_batch_of_any_size(model: tuple[str, Path], batch: int) -> None:
    name, folder = model
    records = [*small_models.records(31), {"text": ""}, {"text": "great " * 500}]
    predictor = runtimes.load(folder, threads=1)
    alone = [predictor.predict([record])[0] for record in records]
    together = [
        answer
        for start in range(0, len(records), batch)
        for answer in predictor.predict(records[start : start + batch])
    ]
    assert [answer.label for answer in alone] == [answer.label for answer in together]
    tolerance = 2e-3 if name.endswith("openvino-int8") else 1e-4
    np.testing.assert_allclose(small_models.scores(alone), small_models.scores(together), atol=tolerance)


def test_every_format_knows_the_task(model: tuple[str, Path]) -> None:
    answers = runtimes.load(model[1], threads=1).predict(small_models.records(100, 3))
    right = [answer.label == label for answer, (_, label) in zip(answers, small_models.rows(100, 3), strict=True)]
    assert sum(right) >= 80


@pytest.mark.parametrize("name", ["cnn", "hf-onnx", "hf-openvino", "blend-onnx-int8"])
def test_threads_get_the_answers_one_thread_gets(name: str) -> None:
    predictor = runtimes.load(MODELS[name](), threads=1)
    records = small_models.records(40)
    wanted = small_models.scores(predictor.predict(records))

    def ask(index: int) -> np.ndarray:
        return small_models.scores(predictor.predict(records[index : index + 3]))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, list(range(37)) * 3))
    for index, answer in zip(list(range(37)) * 3, found, strict=True):
        np.testing.assert_allclose(answer, wanted[index : index + 3], atol=1e-4)


@pytest.mark.parametrize("budget", [1, 50, 10_000])
def test_order_is_kept_whatever_the_pieces(budget: int) -> None:
    folder, records = small_models.source("blend"), small_models.records(50)
    wanted = [runtimes.load(folder).predict([record])[0] for record in records[:10]]
    found = runtimes.load(folder, token_budget=budget).predict(records)
    np.testing.assert_allclose(small_models.scores(found[:10]), small_models.scores(wanted), atol=1e-5)


def test_a_call_larger_than_a_window_is_encoded_in_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = runtimes.load(small_models.source("linear"))
    records = small_models.records(30)
    wanted = small_models.scores(predictor.predict(records))
    monkeypatch.setattr(batching, "WINDOW", 4)
    np.testing.assert_allclose(small_models.scores(predictor.predict(records)), wanted, atol=1e-6)


def test_pieces_hold_like_lengths_within_the_budget() -> None:
    lengths = np.array([50, 3, 40, 4, 1, 90, 5])
    order, pieces = batching.plan({"attention_mask": lengths}, 100)
    assert sorted(order.tolist()) == list(range(7))
    sizes = [(end - start, int(lengths[order[start:end]].max())) for start, end in pieces]
    assert sum(count for count, _ in sizes) == 7
    assert all(count * longest <= 100 or count == 1 for count, longest in sizes)
    assert sizes[0] == (4, 5)


def test_trimming_cuts_each_group_to_its_own_longest_row() -> None:
    arrays = {
        "attention_mask": np.array([[1, 1, 0], [1, 0, 0]]), "input_ids": np.array([[5, 6, 0], [7, 0, 0]]),
        "ngram_weights": np.array([[0.5, 0.0], [0.5, 0.2]], np.float32), "ngram_ids": np.array([[1, 0], [2, 3]]),
    }  # fmt: skip
    widths = batching.presence(arrays)
    piece = batching.trim(arrays, widths, np.array([1]))
    assert piece["input_ids"].tolist() == [[7]]
    assert piece["ngram_ids"].tolist() == [[2, 3]]


def test_no_records_no_answers_and_a_record_without_text_is_named() -> None:
    predictor = runtimes.load(small_models.source("linear"))
    assert predictor.predict([]) == []
    with pytest.raises(InputError, match=r"records\[1\]"):
        predictor.predict([{"text": "good"}, {"txt": "good"}])


def test_a_predictor_says_what_it_is() -> None:
    folder = small_models.exported("hf", "onnx")
    predictor = runtimes.load(folder)
    assert isinstance(predictor, Predictor)
    assert predictor.digest == manifest(folder).digest
    assert (predictor.task, predictor.labels) == ("text-classification", small_models.LABELS)
    assert predictor.runtime.startswith("onnxruntime 1.")
    predictor.close()
    predictor.close()


def test_any_changed_byte_changes_the_digest(tmp_path: Path) -> None:
    folder = shutil.copytree(small_models.source("linear"), tmp_path / "model")
    before = manifest(folder).digest
    data = bytearray((folder / "ngrams.json").read_bytes())
    data[-2] ^= 1
    (folder / "ngrams.json").write_bytes(bytes(data))
    assert manifest(folder).digest != before


@pytest.mark.parametrize("name", ["hf-onnx", "blend-onnx-int8"])
def test_serving_onnx_imports_neither_torch_nor_transformers(name: str) -> None:
    program = (
        "import sys; from modelyard.methods import runtimes;"
        f"runtimes.load({str(MODELS[name]())!r}).predict([{{'text': 'good'}}]);"
        "print(sorted({'torch', 'transformers', 'nncf', 'openvino'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("before", ["", "import nncf;"])
def test_nothing_is_reported_to_intel(before: str) -> None:
    """In a process of its own: nncf leaves its reporter out when pytest is loaded, and would hide the failure."""
    program = before + (
        "from modelyard.methods.runtimes import quiet_openvino as q; import importlib.util as u;"
        "n = q.nncf(); q.openvino();"
        "print(type(n.telemetry.decorator.telemetry).__name__, u.find_spec('openvino_telemetry'))"
    )
    environment = {"PATH": "", "HOME": "/nonexistent", "NNCF_CI": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip().splitlines()[-1] == "MagicMock None"


def test_golden_answers_hold_for_the_model_and_not_for_another(model: tuple[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(model[1], tmp_path / "model")
    write_golden(folder, small_models.records(12))
    predictor = runtimes.load(folder)
    assert check_golden(folder, predictor) == []
    other = runtimes.load(small_models.source("linear" if model[0] != "linear" else "cnn"))
    problems = check_golden(folder, other)
    assert problems
    assert problems[0].where.startswith("golden.json[")


def test_golden_answers_are_eight_and_say_their_tolerance(tmp_path: Path) -> None:
    import json

    folder = shutil.copytree(small_models.source("linear"), tmp_path / "model")
    write_golden(folder, small_models.records(12))
    value = json.loads((folder / "golden.json").read_text())
    assert len(value["records"]) == len(value["predictions"]) == 8
    assert value["tolerance"] == 1e-3


def test_missing_or_broken_golden_answers_are_an_input_error(tmp_path: Path) -> None:
    folder = shutil.copytree(small_models.source("linear"), tmp_path / "model")
    predictor = runtimes.load(folder)
    (folder / "golden.json").write_text("{}")
    with pytest.raises(InputError, match="golden"):
        check_golden(folder, predictor)
    with pytest.raises(InputError, match="no record"):
        write_golden(folder, [])


def test_int8_is_marked_in_the_card() -> None:
    for name in INT8:
        card = ModelCard.read(MODELS[name]())
        assert card.precision == "int8"
        assert card.provenance["source"].startswith("sha256:")
