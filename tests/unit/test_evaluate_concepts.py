"""The stage `evaluate.concepts`: concepts of a file, probed in the layers and asked of the answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelyard.errors import InputError
from modelyard.methods.evaluation.concepts import reading
from modelyard.stages.evaluate.concepts import Config, run
from tests.support import small_models
from tests.support.fake_context import FakeContext
from tests.support.small_tables import people, write_table

CONCEPTS = """concepts:
  - name: praise
    positive: [{good}]
    negative: [{bad}]
  - name: nothing
    positive: [{mixed}]
    negative: [{other}]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_models.divided(tmp_path_factory.mktemp("concepts"))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = small_models.rows(200, 9)
    good, bad = ([json.dumps(text) for text, label in made if label == wanted] for wanted in ("good", "bad"))
    path = tmp_path_factory.mktemp("file") / "concepts.yaml"
    parts = {"good": good[:12], "bad": bad[:12], "mixed": good[12:18] + bad[12:18], "other": good[18:24] + bad[18:24]}
    path.write_text(CONCEPTS.format(**{name: ", ".join(some) for name, some in parts.items()}), encoding="utf-8")
    return path


def asked(root: Path, model: Path, data: Path, concepts: Path, **settings: Any) -> tuple[FakeContext, dict[str, Any]]:
    context = FakeContext(root, {"model": model, "data": data})
    run(Config(concepts=str(concepts), **{"rows": 30, "randoms": 60, "controls": 5, **settings}), context)
    return context, json.loads((root / "outputs" / "report" / "concepts.json").read_text(encoding="utf-8"))


def test_a_concept_the_answers_follow_is_found_in_every_layer_and_one_that_is_none_is_not(
    data: Path, file: Path, tmp_path: Path
) -> None:
    context, value = asked(tmp_path, small_models.huggingface(), data, file)
    found = {
        (one.claim, one.slice["concept"], one.slice["layer"], one.slice.get("class", "")): one
        for one in context.measurements
    }
    layers = {key[2] for key in found}
    assert layers == {"1", "2", "last"}
    accuracy = found["concepts.probe_accuracy", "praise", "last", ""]
    assert accuracy.value > 0.85
    assert accuracy.n == 24
    assert found["concepts.selectivity", "praise", "last", ""].value > 0.25
    assert found["concepts.tcav_score", "praise", "last", "good"].value > 0.9
    assert found["concepts.tcav_score", "praise", "last", "bad"].value < 0.1
    assert found["concepts.tcav_p", "praise", "last", "good"].value < 0.05
    assert found["concepts.tcav_p", "nothing", "last", "good"].value > 0.05
    assert found["concepts.tcav_score", "praise", "last", "good"].on == "data/test"
    assert any("praise: bad, good" in line for line in context.said)
    assert any("no answer follows nothing" in line for line in context.said)
    assert {"lines", "table", "bars", "figures"} <= {one["kind"] for one in value["blocks"]}


@pytest.mark.parametrize("kind", ["linear", "onnx"])
def test_models_without_layers_to_look_into_are_refused_by_name(
    kind: str, data: Path, file: Path, tmp_path: Path
) -> None:
    model = small_models.ours("linear") if kind == "linear" else small_models.exported("cnn", "onnx")
    with pytest.raises(InputError, match="no layer between" if kind == "linear" else "`onnx` has no gradients"):
        asked(tmp_path, model, data, file)


def test_a_convolutional_network_has_one_layer(data: Path, file: Path, tmp_path: Path) -> None:
    context, _ = asked(tmp_path, small_models.ours("cnn"), data, file)
    assert {one.slice["layer"] for one in context.measurements} == {"last"}


def test_rows_of_a_table_are_examples_and_lacking_columns_are_named(tmp_path: Path) -> None:
    from modelyard.stages.train import tabular

    splits = {"train": people(200), "validation": people(60, 1), "test": people(80, 2)}
    folder = write_table(tmp_path / "data", splits)
    trained = FakeContext(tmp_path / "train", {"data": folder})
    small: dict[str, Any] = {"width": 8, "layers": 1, "heads": 2}
    tabular.run(tabular.Config(kind="ft_transformer", transformer=small, epochs=1), trained)
    keys = ("age", "city", "income", "code")
    rows = [{key: row[key] for key in keys} for row in people(12, 3)]
    file = tmp_path / "concepts.yaml"
    value = {"concepts": [{"name": "some", "positive": rows[:6], "negative": rows[6:]}]}
    file.write_text(json.dumps(value), encoding="utf-8")
    model = tmp_path / "train" / "outputs" / "model"
    context, _ = asked(tmp_path / "run", model, folder, file)
    assert {one.slice["layer"] for one in context.measurements} == {"1", "last"}
    del rows[0]["city"]
    file.write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(InputError, match="city"):
        asked(tmp_path / "run", model, folder, file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concepts: []", "concepts"),
        ("concepts: [{name: a, positive: [x, y, z, u], negative: [a, b, c, d, e]}]", "positive"),
        ("concepts: [{name: a, positive: [x, y, z, u, v]}]", "negative"),
        ("concepts:\n" + "  - {name: a, positive: [x, y, z, u, v], negative: [a, b, c, d, e]}\n" * 2, "twice"),
    ],
)
def test_a_wrong_file_says_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "concepts.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        reading.read(path)
    assert caught.value.problems[0].where.startswith("concepts.yaml")


@pytest.mark.parametrize("content", ["", "- 1", "word"])
def test_a_file_without_a_mapping_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "bare.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="no mapping"):
        reading.read(tmp_path / "bare.yaml")
