"""The stage `train.text_regression`: answers in the target's unit, what it says, what it refuses."""

from __future__ import annotations

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
from modelyard.stages.train.text_regression import Config, run

SPLITS = {"train": small_texts.labelled(160, 1), "validation": small_texts.labelled(60, 2)}


def train(root: Path, splits: Any = None, columns: Any = None, **settings: Any) -> FakeContext:
    made = FakeContext(root, {"data": small_texts.write(root / "data", splits or SPLITS, "stars", columns)})
    run(Config(**{**small_texts.FAST, **settings}), made)
    return made


def errors_of(folder: Path) -> np.ndarray:
    predictor = runtimes.load(folder, threads=1)
    answers = predictor.predict([{"text": row["text"]} for row in SPLITS["validation"]])
    return np.array([answer.value - row["stars"] for answer, row in zip(answers, SPLITS["validation"], strict=True)])


@pytest.mark.parametrize(
    ("how", "loss"), [("cnn", "squared"), ("cnn", "huber"), ("encoder-tiny", "absolute"), ("base", "squared")]
)
def test_the_model_answers_in_the_targets_unit_as_its_claims_say(tmp_path: Path, how: str, loss: str) -> None:
    settings: dict[str, Any] = {"loss": {"name": loss}, "epochs": 8}
    if how == "base":
        settings["base"] = str(small_texts.base(tmp_path / "base", [row["text"] for row in SPLITS["train"]]))
    else:
        settings["size"] = how
    if how != "cnn":
        settings |= {"epochs": 2, "optimizer": {"learning_rate": 0.002}}
    made = train(tmp_path, **settings)
    folder = tmp_path / "outputs" / "model"
    card = ModelCard.read(folder)
    assert (card.task, card.labels, card.format) == ("text-regression", (), "modelyard" if how == "cnn" else "hf")
    errors = errors_of(folder)
    assert made.value("train.validation_rmse") == pytest.approx(float(np.sqrt(np.square(errors).mean())), rel=1e-5)
    # Stars are 100 and more: an answer of the standardised target would be off by a hundred.
    assert np.abs(errors).mean() < (4 if how == "cnn" else 12)
    if how == "cnn":
        assert made.value("train.validation_r2") > 0.6
    assert check_golden(folder, runtimes.load(folder, threads=1)) == []


def test_an_answer_is_the_same_alone_and_in_a_batch_and_seeds_make_equal_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("a", "b"):
        train(tmp_path / name, epochs=1)
        found.append({path.name: path.read_bytes() for path in (tmp_path / name / "outputs" / "model").iterdir()})
    assert found[0] == found[1]
    predictor = runtimes.load(tmp_path / "a" / "outputs" / "model", threads=1)
    records = [{"text": row["text"]} for row in SPLITS["validation"]]
    for record, answer in zip(records, predictor.predict(records), strict=True):
        assert predictor.predict([record])[0].value == pytest.approx(answer.value, rel=1e-6)


def test_rows_without_a_number_are_left_out_and_counted(tmp_path: Path) -> None:
    types = {"text": "string", "stars": "string"}
    rows = [{"text": row["text"], "stars": str(row["stars"])} for row in SPLITS["train"]]
    rows[0]["stars"], rows[1]["stars"], rows[2]["stars"] = "many", "", "inf"
    valid = [{"text": row["text"], "stars": str(row["stars"])} for row in SPLITS["validation"]]
    made = train(tmp_path, {"train": rows, "validation": valid}, types, epochs=1)
    assert any("2 train rows whose `stars` cannot be read" in line and "train-0" in line for line in made.said)
    assert any("1 train rows without a text or `stars`" in line for line in made.said)


def test_targets_that_do_not_differ_are_refused(tmp_path: Path) -> None:
    rows = {split: [{**row, "stars": 5.0} for row in some] for split, some in SPLITS.items()}
    with pytest.raises(InputError, match="the same target"):
        train(tmp_path, rows)


def test_validation_has_no_say_in_how_targets_are_scaled(tmp_path: Path) -> None:
    far = [{**row, "stars": row["stars"] + 1000} for row in SPLITS["validation"]]
    said = []
    for name, rows in (("near", SPLITS["validation"]), ("far", far)):
        made = train(tmp_path / name, {"train": SPLITS["train"], "validation": rows}, epochs=1)
        said.append([line for line in made.said if line.startswith("the target of train")])
    assert said[0] == said[1]
    assert len(said[0]) == 1
