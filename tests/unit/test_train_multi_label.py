"""The stage `train.multi_label`: what it makes, what it says, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import small_texts
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.text_tasks import labels
from modelyard.stages.train.multi_label import STAGE, Config, fingerprint, run

SPLITS = {"train": small_texts.labelled(160, 1), "validation": small_texts.labelled(60, 2)}


def train(root: Path, splits: Any = None, **settings: Any) -> FakeContext:
    made = FakeContext(root, {"data": small_texts.write(root / "data", splits or SPLITS)})
    run(Config(**{**small_texts.FAST, **settings}), made)
    return made


def f1_of(root: Path) -> dict[str, float]:
    """Of the predictor's answers on the validation rows."""
    predictor = runtimes.load(root / "outputs" / "model", threads=1)
    answers = predictor.predict([{"text": row["text"]} for row in SPLITS["validation"]])
    given = np.array([[name in answer.labels for name in predictor.labels] for answer in answers])
    wanted = np.array([[name in row["labels"] for name in predictor.labels] for row in SPLITS["validation"]])
    return labels.f1(given, wanted)


@pytest.mark.parametrize(("how", "form"), [("cnn", "modelyard"), ("encoder-tiny", "hf"), ("base", "hf")])
def test_the_model_answers_as_its_claims_say(tmp_path: Path, how: str, form: str) -> None:
    settings: dict[str, Any] = {"size": how, "optimizer": {"learning_rate": 0.01 if how == "cnn" else 0.002}}
    if how == "base":
        settings |= {
            "size": "cnn",
            "base": str(small_texts.base(tmp_path / "base", [row["text"] for row in SPLITS["train"]])),
        }
    made = train(tmp_path, **settings)
    card = ModelCard.read(tmp_path / "outputs" / "model")
    assert (card.task, card.format, card.labels) == ("text-multi-label", form, ("food", "price", "service"))
    found = f1_of(tmp_path)
    for name, value in found.items():
        assert made.value(f"train.validation_{name}") == pytest.approx(value, abs=1e-9)
    assert found["f1_micro"] > (0.9 if how == "cnn" else 0.5)
    assert all(one.interval[0] <= one.value <= one.interval[1] for one in made.measurements if one.interval != "exact")
    folder = tmp_path / "outputs" / "model"
    assert check_golden(folder, runtimes.load(folder, threads=1)) == []


def test_an_answer_is_the_same_alone_and_in_a_batch_and_follows_the_thresholds(tmp_path: Path) -> None:
    train(tmp_path, thresholds={"food": 0.0}, threshold=1.0)
    predictor = runtimes.load(tmp_path / "outputs" / "model", threads=1)
    records = [{"text": row["text"]} for row in SPLITS["validation"]] + [{"text": ""}]
    together = predictor.predict(records)
    for record, answer in zip(records, together, strict=True):
        alone = predictor.predict([record])[0]
        assert list(alone.scores.values()) == pytest.approx(list(answer.scores.values()), abs=1e-6)
        assert answer.to_json()["labels"] == ["food"]


def test_no_label_is_an_answer_and_an_empty_cell_is_unknown(tmp_path: Path) -> None:
    rows = [dict(row) for row in SPLITS["train"]]
    rows[0]["labels"], rows[1]["labels"], rows[2]["labels"] = None, "[broken", "[]"
    made = train(tmp_path, {"train": rows, "validation": SPLITS["validation"]}, epochs=1)
    assert any("1 train rows without a text or `labels`" in line for line in made.said)
    assert any("1 train rows whose `labels` cannot be read" in line and "train-1" in line for line in made.said)
    assert ModelCard.read(tmp_path / "outputs" / "model").provenance["rows"]["train"] == len(rows) - 2


def test_the_same_seed_makes_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        train(tmp_path / name, epochs=1)
        found.append({path.name: path.read_bytes() for path in (tmp_path / name / "outputs" / "model").iterdir()})
    assert found[0] == found[1]


def test_balanced_weights_find_a_rare_label_more_often() -> None:
    truth = np.zeros((200, 2), bool)
    truth[:2, 0], truth[:100, 1] = True, True
    assert labels.positive_weights(truth, "balanced").tolist() == [99.0, 1.0]
    assert labels.positive_weights(truth, "none").tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ({"labels": "[]"}, "no training row has any label"),
        ({"labels": None}, "no train row has a text and a usable"),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused(tmp_path: Path, rows: dict[str, Any], word: str) -> None:
    splits = {split: [{**row, **rows} for row in some] for split, some in SPLITS.items()}
    with pytest.raises(InputError, match=word):
        train(tmp_path, splits)


def test_strange_labels_and_thresholds_are_refused(tmp_path: Path) -> None:
    strange = [{**SPLITS["validation"][0], "labels": "new"}]
    with pytest.raises(InputError, match="not in train: new"):
        train(tmp_path / "a", {"train": SPLITS["train"], "validation": strange})
    with pytest.raises(InputError, match="no label `fod`"):
        train(tmp_path / "b", thresholds={"fod": 0.5})


@pytest.mark.parametrize("value", [[0.5], [2.0, 0.5, 0.5], "0.5", [None, 0.5, 0.5], 3])
def test_thresholds_that_do_not_fit_the_labels_are_refused(tmp_path: Path, value: Any) -> None:
    train(tmp_path, epochs=1)
    path = tmp_path / "outputs" / "model" / "model.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["outputs"]["labels"]["thresholds"] = value
    path.write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(InputError, match="the thresholds are not"):
        runtimes.load(path.parent, threads=1)


def test_the_stage_sees_train_and_validation_and_knows_its_base(tmp_path: Path) -> None:
    assert STAGE.inputs["data"].splits == ("train", "validation")
    assert fingerprint(Config(), tmp_path) == "scratch"
    folder = small_texts.base(tmp_path / "base", ["a b c"] * 3)
    assert fingerprint(Config(base="base"), tmp_path) == fingerprint(Config(base=str(folder)), tmp_path)
