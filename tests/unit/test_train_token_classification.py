"""The stage `train.token_classification`: what it makes, what it says, what it refuses, how long texts are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import small_texts
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.evaluation.checklist import running, suite
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.train.token_classification import Config, run

SPLITS = {"train": small_texts.labelled(200, 1), "validation": small_texts.labelled(40, 2)}
TAGS = ("O", "B-person", "I-person", "B-place", "I-place")


def train(root: Path, splits: Any = None, **settings: Any) -> FakeContext:
    made = FakeContext(root, {"data": small_texts.write(root / "data", splits or SPLITS)})
    run(Config(**{**small_texts.FAST, **settings}), made)
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, Path]:
    root = tmp_path_factory.mktemp("tagger")
    made = train(root, batch_size=8)
    return made, root / "outputs" / "model"


def f1_of(folder: Path) -> float:
    """Of whole spans, through the predictor."""
    predictor = runtimes.load(folder, threads=1)
    right = given = wanted = 0
    for row, answer in zip(
        SPLITS["validation"], predictor.predict([{"text": row["text"]} for row in SPLITS["validation"]]), strict=True
    ):
        truth = {(one["start"], one["end"], one["label"]) for one in json.loads(row["spans"])}
        found = {(one.start, one.end, one.label) for one in answer.spans}
        assert all(row["text"][one.start : one.end] == one.text for one in answer.spans)
        right, given, wanted = right + len(truth & found), given + len(found), wanted + len(truth)
    return 2 * right / (given + wanted)


def test_a_tagger_from_scratch_learns_chinese_and_english_names(trained: tuple[FakeContext, Path]) -> None:
    made, folder = trained
    card = ModelCard.read(folder)
    assert (card.task, card.format, card.network["kind"], card.labels) == (
        "token-classification",
        "modelyard",
        "tagger",
        TAGS,
    )
    assert f1_of(folder) > 0.9
    whole = next(one for one in made.measurements if one.claim == "train.validation_span_f1" and not one.slice)
    assert whole.value == pytest.approx(f1_of(folder), abs=1e-9)
    assert whole.interval[0] <= whole.value <= whole.interval[1]
    assert {one.slice["label"] for one in made.measurements if one.slice} == {"person", "place"}
    assert check_golden(folder, runtimes.load(folder, threads=1)) == []


def test_a_checklist_names_labels_of_spans_not_tags(trained: tuple[FakeContext, Path]) -> None:
    predictor = runtimes.load(trained[1], threads=1)
    records = [{"text": row["text"]} for row in SPLITS["validation"]]
    text, (one, *others) = next(
        (record["text"], answer.spans)
        for record, answer in zip(records, predictor.predict(records), strict=True)
        if len(answer.spans) > 1 and "{" not in record["text"]
    )
    spans = [{"text": each.text, "label": each.label} for each in (one, *others)]
    test = {"name": "names", "kind": "MFT", "templates": [text], "spans": spans}
    wrong = test | {"name": "fewer", "spans": spans[1:]}
    asked = suite.Suite.model_validate_json(json.dumps({"tests": [test, wrong]}))
    assert [len(found.failures) for found in running.run(predictor, asked, 10, 10, 0)] == [0, 1]
    tags = test | {"spans": [{"text": one.text, "label": f"B-{one.label}"}]}
    with pytest.raises(InputError, match="does not know: B-") as error:
        running.run(predictor, suite.Suite.model_validate_json(json.dumps({"tests": [tags]})), 10, 10, 0)
    assert error.value.problems[0].expected == "person, place"


def test_an_answer_is_the_same_alone_and_in_a_batch(trained: tuple[FakeContext, Path]) -> None:
    predictor = runtimes.load(trained[1], threads=1)
    records = [{"text": row["text"]} for row in SPLITS["validation"]] + [{"text": ""}, {"text": " \n"}]
    for record, answer in zip(records, predictor.predict(records), strict=True):
        alone = predictor.predict([record])[0]
        assert [one[:3] for one in map(place, alone.spans)] == [one[:3] for one in map(place, answer.spans)]
        assert [one.score for one in alone.spans] == pytest.approx([one.score for one in answer.spans], abs=1e-6)
    assert predictor.predict([]) == []


def place(span: Any) -> tuple[int, int, str]:
    return span.start, span.end, span.label


def test_a_text_of_many_windows_is_read_to_its_end(trained: tuple[FakeContext, Path]) -> None:
    predictor = runtimes.load(trained[1], threads=1)
    piece = "today 王小明 was in Paris . "
    text = piece * 40
    found = {place(one) for one in predictor.predict([{"text": text}])[0].spans}
    wanted = set()
    for repeat in range(40):
        start = repeat * len(piece)
        wanted |= {(start + 6, start + 9, "person"), (start + 17, start + 22, "place")}
    assert len(found & wanted) >= 0.95 * len(wanted)
    assert max(end for _, end, _ in found) > len(text) - len(piece)


def test_lone_surrogates_and_records_without_text(trained: tuple[FakeContext, Path]) -> None:
    predictor = runtimes.load(trained[1], threads=1)
    plain = predictor.predict([{"text": "x today Ann Lee was"}])[0]
    odd = predictor.predict([{"text": "\ud83d today Ann Lee was"}])[0]
    assert [place(one) for one in odd.spans if one.start > 2] == [place(one) for one in plain.spans if one.start > 2]
    with pytest.raises(InputError, match="record 1 has no text"):
        predictor.predict([{"text": "a"}, {"words": "b"}])


def test_spans_that_cannot_be_learned_are_counted_and_shown(tmp_path: Path) -> None:
    rows = [dict(row) for row in SPLITS["train"]]
    rows[3] = {**rows[3], "text": "Ann Lee was", "spans": json.dumps(
        [{"start": 0, "end": 7, "label": "person"}, {"start": 0, "end": 3, "label": "place"},
         {"start": 5, "end": 99, "label": "place"}, {"start": 1, "end": "2"}, {"start": 9, "end": 10, "label": "place"}]
    )}  # fmt: skip
    rows[4], rows[5] = {**rows[4], "spans": None}, {**rows[5], "spans": "{}"}
    made = train(tmp_path, {"train": rows, "validation": SPLITS["validation"]}, epochs=1)
    said = "\n".join(made.said)
    assert "3 spans of train were left out: not a span 1, outside the text 1, overlapping 1" in said
    assert "first in row train-3" in said
    assert "1 spans of train begin or end inside a token" in said
    assert "1 train rows without a text or `spans` were left out" in said
    assert "1 train rows whose `spans` cannot be read were left out: train-5" in said


@pytest.mark.parametrize("how", ["encoder-tiny", "base", "base and chain"])
def test_encoders_from_scratch_and_from_a_base_make_a_hugging_face_folder(tmp_path: Path, how: str) -> None:
    from transformers import AutoModelForTokenClassification

    settings: dict[str, Any] = {"epochs": 2, "optimizer": {"learning_rate": 0.002}}
    if how == "encoder-tiny":
        settings["size"] = how
    else:
        settings["base"] = str(small_texts.base(tmp_path / "base", [row["text"] for row in SPLITS["train"]]))
        settings["chain"] = True if "chain" in how else None
    made = train(tmp_path, **settings)
    folder = tmp_path / "outputs" / "model"
    card = ModelCard.read(folder)
    assert (card.format, card.labels) == ("hf", TAGS)
    assert ("transitions" in card.outputs["spans"]) == (how != "base")
    assert list(AutoModelForTokenClassification.from_pretrained(folder).config.id2label.values()) == list(TAGS)
    whole = next(one for one in made.measurements if one.claim == "train.validation_span_f1" and not one.slice)
    assert whole.value == pytest.approx(f1_of(folder), abs=1e-9)


def test_long_training_texts_are_cut_into_windows_and_nothing_is_lost(tmp_path: Path) -> None:
    long = {**SPLITS["train"][0], "text": "Bob was 很 " * 30, "spans": json.dumps(
        [{"start": 10 * place, "end": 10 * place + 3, "label": "person"} for place in range(30)])}  # fmt: skip
    made = train(tmp_path, {"train": [*SPLITS["train"], long], "validation": SPLITS["validation"]}, epochs=1)
    assert any("1 texts of train are longer than 30 tokens" in line for line in made.said)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"spans": "[]"}, "no training text has any span"),
        ({"spans": None}, "no train row has a text and a usable `spans`"),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused(tmp_path: Path, row: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError, match=word):
        train(tmp_path, {split: [{**one, **row} for one in rows] for split, rows in SPLITS.items()})


def test_a_missing_column_and_strange_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column `span`"):
        train(tmp_path / "a", column="span")
    odd = {**SPLITS["validation"][0], "spans": '[{"start": 0, "end": 1, "label": "thing"}]'}
    with pytest.raises(InputError, match="not in train: thing"):
        train(tmp_path / "b", {"train": SPLITS["train"], "validation": [odd]})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"labels": ["O", "B-a", "I-b"]}, "the tags are not"),
        ({"labels": ["X", "B-person", "I-person", "B-place", "I-place"]}, "none of O"),
        ({"outputs": {"spans": {"transitions": [[0.0]]}}}, "the transitions are not"),
        ({"outputs": {"spans": {"transitions": "a"}}}, "the transitions are not"),
        ({"labels": ["O", "B-person", "I-person"], "outputs": {}}, "the network answers"),
    ],
)
def test_a_folder_whose_parts_do_not_fit_is_refused(
    trained: tuple[FakeContext, Path], tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(trained[1], folder)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps({**card, **change}), encoding="utf-8")
    with pytest.raises(InputError, match=word):
        runtimes.load(folder, threads=1)
