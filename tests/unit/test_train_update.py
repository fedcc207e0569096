"""The stages `train.update` and `evaluate.forgetting`: what they make, what they say, what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.evaluate import forgetting
from modelyard.stages.train import text_classification, update

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32"}
QUICK = {"epochs": 3, "batch_size": 16, "compute": COMPUTE}
READING = {"vocabulary_size": 400, "max_length": 32}
SIZES = ("linear", "cnn", "encoder-tiny", "blend")

NEU_WORDS = ("meh", "so so", "一般", "it is fine", "凑合")


def neutral(count: int, seed: int) -> list[tuple[str, str]]:
    draw = np.random.default_rng(seed)
    return [(" ".join([*draw.choice(NEU_WORDS, 2), text[:12]]), "neutral") for text, _ in reviews(count, seed)]


OLD = {"train": reviews(160, 1), "validation": reviews(60, 2), "test": reviews(80, 3)}
NEW = {
    "train": [*reviews(60, 5), *neutral(60, 6)],
    "validation": [*reviews(30, 7), *neutral(30, 8)],
    "test": [*reviews(40, 9), *neutral(40, 10)],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Old and new data, and an old model of each size."""
    root = tmp_path_factory.mktemp("old")
    write_dataset(root / "old", OLD)
    write_dataset(root / "new", NEW)
    for size in SIZES:
        context = FakeContext(root / size, {"data": root / "old"})
        settings = {**QUICK, "reading": READING, "size": size}
        text_classification.run(text_classification.Config(**settings), context)
    return root


def go_on(made: Path, root: Path, size: str = "cnn", old: bool = True, **settings: Any) -> FakeContext:
    ports = {"data": made / "new", "model": made / size / "outputs" / "model"}
    context = FakeContext(root, {**ports, **({"old": made / "old"} if old else {})})
    update.run(update.Config(**{**QUICK, **settings}), context)
    return context


def files(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (root / "outputs" / "model").iterdir()}


@pytest.mark.parametrize("size", SIZES)
def test_every_kind_of_text_classifier_goes_on_in_its_own_form(made: Path, tmp_path: Path, size: str) -> None:
    context = go_on(made, tmp_path, size, distillation={"weight": 0.5}, ewc={"strength": 1, "rows": 20})
    before, after = ModelCard.read(made / size / "outputs" / "model"), ModelCard.read(tmp_path / "outputs" / "model")
    assert (after.format, after.task, after.preprocessing) == (before.format, before.task, before.preprocessing)
    assert after.labels == ("bad", "good", "neutral")
    predictor = runtimes.load(tmp_path / "outputs" / "model", threads=1)
    answers = predictor.predict([{"text": text} for text, _ in NEW["validation"]])
    hits = np.mean([answer.label == label for answer, (_, label) in zip(answers, NEW["validation"], strict=True)])
    assert context.value("train.validation_accuracy") == pytest.approx(float(hits), abs=1e-9)
    assert any("1 labels are new to the model: `neutral`" in line for line in context.said)
    assert after.provenance["updated_from"] == manifest(made / size / "outputs" / "model").digest
    assert after.provenance["updates"] == 1


def test_new_labels_are_learned_and_the_old_model_is_untouched(made: Path, tmp_path: Path) -> None:
    digest = manifest(made / "cnn" / "outputs" / "model").digest
    go_on(made, tmp_path, epochs=20)
    assert manifest(made / "cnn" / "outputs" / "model").digest == digest
    predictor = runtimes.load(tmp_path / "outputs" / "model", threads=1)
    found = [answer.label for answer in predictor.predict([{"text": text} for text, _ in neutral(20, 12)])]
    assert found.count("neutral") >= 15


def test_the_same_seed_makes_the_same_bytes(made: Path, tmp_path: Path) -> None:
    settings = {"distillation": {"weight": 0.5}, "ewc": {"strength": 1, "rows": 20}}
    go_on(made, tmp_path / "a", **settings)
    go_on(made, tmp_path / "b", **settings)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_without_old_data_the_old_model_teaches_by_itself(made: Path, tmp_path: Path) -> None:
    context = go_on(made, tmp_path, old=False, ewc={"strength": 1, "rows": 20})
    details = ModelCard.read(tmp_path / "outputs" / "model").provenance["details"]
    assert details["distillation"] == {"weight": 1.0, "temperature": 2.0}
    assert details["replayed"] == 0
    assert details["ewc"]["stiffness_from"] == "new rows"
    assert any("20 new rows, for there are no old ones" in line for line in context.said)


@pytest.mark.parametrize(("share", "expected"), [(0.25, 40), (1.0, 160), (None, 80)])
def test_replay_learns_a_share_of_the_old_rows_again(made: Path, tmp_path: Path, share: Any, expected: int) -> None:
    context = go_on(made, tmp_path, replay=share, epochs=1)
    details = ModelCard.read(tmp_path / "outputs" / "model").provenance["details"]
    assert details["replayed"] == expected
    assert f"120 new rows, {expected} old ones learned again" in context.said


def test_doing_nothing_against_forgetting_is_said(made: Path, tmp_path: Path) -> None:
    context = go_on(made, tmp_path, replay=0, epochs=1)
    assert any("nothing is done against forgetting" in line for line in context.said)


def test_stiff_springs_hold_the_old_answers_and_loose_ones_do_not(made: Path, tmp_path: Path) -> None:
    def distance(name: str, strength: float) -> float:
        settings = {"replay": 0, "ewc": {"strength": strength, "rows": 40}, "optimizer": {"learning_rate": 3e-3}}
        go_on(made, tmp_path / name, **settings)
        models = (made / "cnn", tmp_path / name)
        records = [{"text": text} for text, _ in OLD["test"]]
        answers = [runtimes.load(root / "outputs" / "model", threads=1).predict(records) for root in models]
        pairs = zip(*answers, strict=True)
        # Between the two old labels, which the new one's share does not touch.
        return float(np.mean([abs(_share(one.scores) - _share(other.scores)) for one, other in pairs]))

    assert distance("stiff", 1e4) < distance("loose", 0.0)


def _share(scores: dict[str, float]) -> float:
    return scores["good"] / (scores["good"] + scores["bad"])


# what is refused -------------------------------------------------------------------------------------------------


def refused(context: FakeContext, **settings: Any) -> str:
    with pytest.raises(InputError) as caught:
        update.run(update.Config(**{**QUICK, **settings}), context)
    return str(caught.value)


def with_card(source: Path, target: Path, **changes: Any) -> Path:
    shutil.copytree(source, target)
    value = json.loads((target / "model.json").read_text(encoding="utf-8"))
    (target / "model.json").write_text(json.dumps({**value, **changes}), encoding="utf-8")
    return target


def test_replay_without_old_data_is_refused_with_what_works_without(made: Path, tmp_path: Path) -> None:
    context = FakeContext(tmp_path, {"data": made / "new", "model": made / "cnn" / "outputs" / "model"})
    assert "in: {old: STEP}" in refused(context, replay=0.5)


def test_a_replay_of_no_row_is_refused(made: Path, tmp_path: Path) -> None:
    ports = {"data": made / "new", "model": made / "cnn" / "outputs" / "model", "old": made / "old"}
    assert "is no row" in refused(FakeContext(tmp_path, ports), replay=0.001)


def test_old_data_of_another_model_is_refused(made: Path, tmp_path: Path) -> None:
    strange = {name: [(text, f"mood {label}") for text, label in rows] for name, rows in OLD.items()}
    ports = {
        "data": made / "new",
        "model": made / "cnn" / "outputs" / "model",
        "old": write_dataset(tmp_path / "strange", strange),
    }
    assert "labels that the model does not know: `mood bad`, `mood good`" in refused(FakeContext(tmp_path, ports))


@pytest.mark.parametrize(("changes", "word"), [({"precision": "int8"}, "int8"), ({"format": "onnx"}, "onnx")])
def test_a_compressed_or_exported_model_is_refused_with_the_remedy(
    made: Path, tmp_path: Path, changes: dict[str, str], word: str
) -> None:
    folder = with_card(made / "cnn" / "outputs" / "model", tmp_path / "model", **changes)
    if changes.get("format") == "onnx":
        (folder / "model.onnx").write_bytes(b"\x08\x07")
    found = refused(FakeContext(tmp_path, {"data": made / "new", "model": folder}))
    assert word in found
    assert "before it was exported or quantised" in found


def test_a_model_of_another_task_is_refused(made: Path, tmp_path: Path) -> None:
    for task, word in (
        ("text-to-text", "train.text_to_text"),
        ("sentence-embedding", "old and new rows together"),
    ):
        folder = with_card(made / "encoder-tiny" / "outputs" / "model", tmp_path / task, task=task)
        found = refused(FakeContext(tmp_path, {"data": made / "new", "model": folder}))
        assert task in found
        assert word in found


def test_a_tokenizer_of_another_model_is_refused(made: Path, tmp_path: Path) -> None:
    from modelyard.methods.preprocessing import bpe

    folder = tmp_path / "model"
    shutil.copytree(made / "cnn" / "outputs" / "model", folder)
    bpe.learn([text[::-1] for text, _ in OLD["train"]], 400).save(str(folder / "tokenizer.json"))
    found = refused(FakeContext(tmp_path, {"data": made / "new", "model": folder}))
    assert "does not answer as when it was made" in found
    assert "tokenizer" in found


def test_data_without_a_label_column_is_refused(made: Path, tmp_path: Path) -> None:
    rows: dict[str, list[Any]] = {"train": [("a", None)] * 4, "validation": [("b", None)] * 4}
    data = write_dataset(tmp_path / "data", rows)
    context = FakeContext(tmp_path, {"data": data, "model": made / "cnn" / "outputs" / "model"})
    assert "no train row has a text and a label" in refused(context)


# what was forgotten ----------------------------------------------------------------------------------------------


def forget(made: Path, root: Path, after: Path, **ports: Path) -> FakeContext:
    given = {"model": after, "before": made / "cnn" / "outputs" / "model", "old": made / "old", "data": made / "new"}
    context = FakeContext(root, {**given, **ports})
    forgetting.run(forgetting.Config(threads=1), context)
    return context


def right(model: Path, rows: list[tuple[str, str]]) -> list[bool]:
    answers = runtimes.load(model, threads=1).predict([{"text": text} for text, _ in rows])
    return [answer.label == label for answer, (_, label) in zip(answers, rows, strict=True)]


def test_forgetting_is_the_paired_drop_on_old_rows_and_the_gain_on_new_ones(made: Path, tmp_path: Path) -> None:
    go_on(made, tmp_path / "u", replay=0, epochs=10, optimizer={"learning_rate": 2e-2})
    after = tmp_path / "u" / "outputs" / "model"
    context = forget(made, tmp_path / "f", after)
    before = made / "cnn" / "outputs" / "model"
    drop = np.mean(right(before, OLD["test"])) - np.mean(right(after, OLD["test"]))
    gain = np.mean(right(after, NEW["test"])) - np.mean(right(before, NEW["test"]))
    overall = [m for m in context.measurements if m.claim == "forgetting.accuracy_drop" and not m.slice]
    assert overall[0].value == pytest.approx(float(drop))
    assert (overall[0].about, overall[0].on, overall[0].against, overall[0].n) == ("model", "old/test", "before", 80)
    assert overall[0].interval[0] <= drop <= overall[0].interval[1]
    assert context.value("forgetting.accuracy_gain") == pytest.approx(float(gain))
    assert gain > 0.2
    slices = [m.slice["class"] for m in context.measurements if m.claim == "forgetting.accuracy_drop" and m.slice]
    assert slices == ["bad", "good"]
    report = json.loads((tmp_path / "f" / "outputs" / "report" / "forgetting.json").read_text())
    assert report["old"]["drop"]["value"] == pytest.approx(float(drop))
    assert report["old"]["by_class"]["bad"]["n"] + report["old"]["by_class"]["good"]["n"] == 80


def test_a_model_beside_itself_forgot_nothing(made: Path, tmp_path: Path) -> None:
    same = made / "cnn" / "outputs" / "model"
    context = forget(made, tmp_path, same, data=made / "old")
    found = next(m for m in context.measurements if m.claim == "forgetting.accuracy_drop")
    assert found.value == 0
    assert found.interval[0] <= 0 <= found.interval[1]
    assert found.interval[1] < 0.06


def test_old_data_that_the_old_model_does_not_know_is_refused(made: Path, tmp_path: Path) -> None:
    go_on(made, tmp_path / "u", epochs=1)
    with pytest.raises(InputError, match="neutral"):
        forget(made, tmp_path / "f", tmp_path / "u" / "outputs" / "model", old=made / "new")
