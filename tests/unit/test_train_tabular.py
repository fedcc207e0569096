"""The stage `train.tabular` and the models it makes, through the predictor."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_context import FakeContext
from support.small_tables import people, write_table

from modelyard.app.models import predict
from modelyard.base.canonical import digest_file
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.tables import boosted
from modelyard.stages.train.tabular import Config, run

FAST: dict[str, Any] = {
    "trees": {"rounds": 60, "segment": 25, "leaves": 7},
    "transformer": {"width": 16, "layers": 2, "heads": 2},
    "epochs": 6,
    "optimizer": {"learning_rate": 5e-3},
    "batch_size": 64,
    "compute": {"threads": 1, "device": "cpu", "precision": "fp32"},
}
SPLITS = {"train": people(600, 1), "validation": people(200, 2)}
KINDS = ("boosted_trees", "linear", "ft_transformer")


def train(root: Path, written: str = "class", splits: Any = None, seed: int = 0, **settings: Any) -> FakeContext:
    context = FakeContext(root, {"data": write_table(root / "data", splits or SPLITS, written)}, seed=seed)
    run(Config(**{**FAST, **settings}), context)
    return context


def model(root: Path) -> Path:
    return root / "outputs" / "model"


@pytest.mark.parametrize("kind", KINDS)
def test_classes_are_learned_and_the_model_answers_as_its_claim_says(tmp_path: Path, kind: str) -> None:
    context = train(tmp_path, kind=kind)
    card = ModelCard.read(model(tmp_path))
    assert (card.task, card.labels) == ("tabular-classification", ("no", "yes"))
    assert card.format == ("gbdt" if kind == "boosted_trees" else "modelyard")
    assert {name: value["type"] for name, value in card.inputs.items()} == {
        "age": "float32", "city": "string", "income": "float32", "code": "string",
    }  # fmt: skip
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    answers = predictor.predict(SPLITS["validation"])
    hits = np.mean([a.label == row["label"] for a, row in zip(answers, SPLITS["validation"], strict=True)])
    assert hits == pytest.approx(context.value("train.validation_accuracy"), abs=1e-9)
    assert hits > 0.8
    for row, together in zip(SPLITS["validation"][:20], answers, strict=False):
        alone = predictor.predict([row])[0]
        assert alone.label == together.label
        assert alone.scores["yes"] == pytest.approx(together.scores["yes"], abs=0 if kind == "boosted_trees" else 1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("target", ["number", "text"])
def test_numbers_are_learned_from_a_target_or_from_labels_told_to_be_numbers(
    tmp_path: Path, kind: str, target: str
) -> None:
    settings = {"target": "number"} if target == "text" else {}
    context = train(tmp_path, target, kind=kind, **settings)
    card = ModelCard.read(model(tmp_path))
    assert (card.task, card.labels) == ("tabular-regression", ())
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    values = np.array([row["value"] for row in SPLITS["validation"]])
    errors = np.array([answer.value for answer in predictor.predict(SPLITS["validation"])]) - values
    r2 = 1 - (errors**2).mean() / values.var()
    assert r2 == pytest.approx(context.value("train.validation_r2"), abs=1e-4)
    assert context.value("train.validation_rmse") == pytest.approx((errors**2).mean() ** 0.5, rel=1e-3)
    assert r2 > 0.6
    measured = next(one for one in context.measurements if one.claim == "train.validation_r2")
    assert measured.interval[0] < r2 < measured.interval[1]


def test_three_classes_weights_and_one_column(tmp_path: Path) -> None:
    splits = {
        name: [{**row, "label": "maybe" if row["city"] == "重庆" else row["label"]} for row in rows]
        for name, rows in SPLITS.items()
    }
    context = train(tmp_path, splits=splits)
    assert ModelCard.read(model(tmp_path)).labels == ("maybe", "no", "yes")
    assert context.value("train.validation_accuracy") > 0.85
    train(tmp_path / "one", columns=["city"])
    assert list(ModelCard.read(model(tmp_path / "one")).inputs) == ["city"]
    train(tmp_path / "without", leave_out=["city"])
    assert "city" not in ModelCard.read(model(tmp_path / "without")).inputs


def test_a_column_that_data_has_in_one_row_too_few_does_not_leak_into_the_columns(tmp_path: Path) -> None:
    """What validation holds is not learned: a city that only it has is unknown."""
    splits = {**SPLITS, "validation": [{**row, "city": "Köln"} for row in SPLITS["validation"]]}
    train(tmp_path, splits=splits)
    columns = json.loads((model(tmp_path) / "table.json").read_text())
    assert "Köln" not in next(one["words"] for one in columns if one["name"] == "city")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_makes_the_same_bytes(tmp_path: Path, kind: str) -> None:
    found = []
    for name in ("a", "b"):
        train(tmp_path / name, kind=kind, seed=1)
        found.append({path.name: digest_file(path) for path in model(tmp_path / name).iterdir()})
    assert found[0] == found[1]
    assert not [path for path in model(tmp_path / "a").iterdir() if str(tmp_path).encode() in path.read_bytes()]


def test_trees_that_are_killed_go_on_and_end_with_the_same_bytes(tmp_path: Path, monkeypatch) -> None:
    train(tmp_path / "straight")
    keep = boosted._save
    saved = []

    def die(scratch: Path, progress: Any) -> None:
        keep(scratch, progress)
        saved.append(len(progress.losses))
        raise KeyboardInterrupt

    monkeypatch.setattr(boosted, "_save", die)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "killed")
    monkeypatch.setattr(boosted, "_save", keep)
    context = train(tmp_path / "killed")
    assert saved == [25, 50]
    assert "going on from round 50" in context.said
    for path in model(tmp_path / "straight").iterdir():
        assert path.read_bytes() == (model(tmp_path / "killed") / path.name).read_bytes(), path.name


def test_a_damaged_checkpoint_of_trees_is_said_and_passed_over(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "trees").mkdir(parents=True)
    (tmp_path / "scratch" / "trees" / "state.json").write_text('{"text": "tree')
    context = train(tmp_path)
    assert any("grow anew" in line for line in context.said)


def test_early_stopping_keeps_the_best_rounds_across_segments(tmp_path: Path) -> None:
    train(tmp_path, trees={"rounds": 400, "segment": 20, "patience": 15, "learning_rate": 0.3})
    details = ModelCard.read(model(tmp_path)).provenance["details"]
    assert details["done"] == details["rounds"] + 15 < 400
    text = (model(tmp_path) / "model.txt").read_text()
    assert text.count("\nTree=") == details["rounds"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": []}, "no train row"),
        ({"train": [{**row, "label": "yes"} for row in SPLITS["train"]]}, "all training rows have the label"),
        ({"validation": [{**row, "label": "new"} for row in SPLITS["validation"]]}, "not in train: new"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused(tmp_path: Path, change: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        train(tmp_path, splits={**SPLITS, **change})


def test_words_as_target_columns_that_are_not_there_and_constant_columns_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the label of row train-0 is"):
        train_number(tmp_path / "a")
    with pytest.raises(InputError, match="no feature `town`") as caught:
        train(tmp_path / "b", columns=["town"])
    assert "city" in caught.value.problems[0].expected
    same = {name: [{**row, "city": "Ulm"} for row in rows] for name, rows in SPLITS.items()}
    with pytest.raises(InputError, match="no column is left"):
        train(tmp_path / "c", splits=same, columns=["city"])


def train_number(root: Path) -> None:
    context = FakeContext(root, {"data": write_table(root / "data", SPLITS, "class")})
    run(Config(**FAST, target="number"), context)


def test_hostile_records_are_refused_with_their_place(tmp_path: Path) -> None:
    train(tmp_path)
    predictor = runtimes.load(model(tmp_path), threads=1)
    good = {"age": 30, "city": "Ulm", "income": 20.0, "code": "01"}
    assert predictor.predict([]) == []
    assert len(predictor.predict([good, {**good, "age": None, "city": "nowhere", "more": [1]}])) == 2
    many = [good] * 1500
    for bad, where in (
        ({**good, "income": "a lot"}, "records[1500].income"),
        ({**good, "income": float("nan")}, "records[1500].income"),
        ({"age": 30}, "records[1500]"),
        ("age", "records[1500]"),
    ):
        with pytest.raises(InputError) as caught:
            predictor.predict([*many, bad])
        assert caught.value.problems[0].where == where
    text = json.dumps(good)
    assert predict(model(tmp_path), [text])[0] == predictor.predict([good])[0]
    with pytest.raises(InputError, match="reads no text"):
        predict(model(tmp_path), ["hello"])


DAMAGE = [
    (r"left_child=\S+", "left_child=99"),
    (r"left_child=\S+", "left_child=0"),
    (r"split_feature=\S+", "split_feature=7"),
    (r"max_feature_idx=3", "max_feature_idx=2"),
    (r"num_leaves=\d+", "num_leaves=3000000"),
    (r"leaf_value=\S+", "leaf_value=nan"),
    (r"leaf_count=\S+ ", "leaf_count="),
    (r"cat_threshold=\S+", "cat_threshold="),
    (r"cat_boundaries=0", "cat_boundaries=5"),
    (r"tree_sizes=\d+", "tree_sizes=10"),
    (r"version=v4", "version=v3"),
    (r"is_linear=0", "is_linear=1"),
    (r"\nend of trees", "\nTree=900\nend of trees"),
]


@pytest.mark.parametrize(("pattern", "instead"), DAMAGE)
def test_trees_that_lie_are_refused_before_the_parser_sees_them(tmp_path: Path, pattern: str, instead: str) -> None:
    train(tmp_path, trees={"rounds": 3, "min_rows": 5})
    path = model(tmp_path) / "model.txt"
    text = path.read_text()
    changed, count = re.subn(pattern, instead, text, count=1)
    assert count == 1
    if not instead.startswith("tree_sizes"):
        changed = resized(changed)
    path.write_text(changed)
    with pytest.raises(InputError):
        runtimes.load(model(tmp_path))


def resized(text: str) -> str:
    """The header's sizes made true again, so that only the damage itself is wrong."""
    blocks = re.split(r"(?=^Tree=)", text[: text.index("end of trees")], flags=re.M)[1:]
    sizes = " ".join(str(len(block)) for block in blocks)
    return re.sub(r"tree_sizes=.*", f"tree_sizes={sizes}", text)


def test_several_threads_may_ask_at_once(tmp_path: Path) -> None:
    train(tmp_path)
    predictor = runtimes.load(model(tmp_path), threads=1)
    wanted = predictor.predict(SPLITS["validation"])
    found: list[Any] = []
    askers = [threading.Thread(target=lambda: found.append(predictor.predict(SPLITS["validation"]))) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert found == [wanted] * 4


def test_a_network_killed_with_kill_9_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    settings = {"kind": "ft_transformer", "compute": {**FAST["compute"], "checkpoint_seconds": 0}}
    train(tmp_path / "straight", **settings)
    pid = os.fork()
    if pid == 0:

        class Dying(FakeContext):
            def progress(self, done: int, total: int, what: str) -> None:
                if what == "steps" and done == 25:
                    os.kill(os.getpid(), signal.SIGKILL)

        killed = tmp_path / "killed"
        run(Config(**{**FAST, **settings}), Dying(killed, {"data": write_table(killed / "data", SPLITS)}))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    context = train(tmp_path / "killed", **settings)
    assert any("going on from step" in line for line in context.said)
    for path in model(tmp_path / "straight").iterdir():
        assert path.read_bytes() == (model(tmp_path / "killed") / path.name).read_bytes(), path.name
