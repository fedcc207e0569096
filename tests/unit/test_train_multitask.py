"""The stage `train.multitask`: one model that answers every task, how batches are shared out, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from support import small_texts
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.training import loop
from modelyard.methods.training.text_tasks import many
from modelyard.stages.train.multitask import Config, run

TASKS: dict[str, Any] = {
    "topics": {"task": "text-multi-label", "column": "labels"},
    "stars": {"task": "text-regression", "column": "stars"},
    "names": {"task": "token-classification", "column": "spans"},
    "kind": {"task": "text-classification", "column": "kind"},
}
TYPES = {"text": "string", "labels": "string", "stars": "double", "spans": "string", "kind": "string"}


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Two data sets in one: names are known of the first half only, all else of the second."""
    found = small_texts.labelled(count, seed)
    for place, row in enumerate(found):
        row["kind"] = "food" if "food" in row["labels"] else "other"
        for name in ("spans",) if place >= count // 2 else ("labels", "stars", "kind"):
            row[name] = None
    return found


SPLITS = {"train": rows(240, 1), "validation": rows(60, 2)}


def train(root: Path, tasks: Any = None, **settings: Any) -> FakeContext:
    made = FakeContext(root, {"data": small_texts.write(root / "data", SPLITS, "kind", TYPES)})
    fast = {**small_texts.FAST, "optimizer": {"learning_rate": 0.002}, "early_stopping": {"patience": 0}}
    run(Config(**{**fast, "tasks": tasks or TASKS, **settings}), made)
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, Path]:
    root = tmp_path_factory.mktemp("many")
    made = train(root, epochs=8)
    return made, root / "outputs" / "model"


def test_one_model_answers_every_task_as_its_claims_say(trained: tuple[FakeContext, Path]) -> None:
    made, folder = trained
    predictor = runtimes.load(folder, threads=1)
    assert (predictor.task, predictor.labels) == ("multitask", ("kind", "names", "stars", "topics"))
    assert check_golden(folder, predictor) == []
    known = SPLITS["validation"][30:]
    answers = [one.to_json() for one in predictor.predict([{"text": row["text"]} for row in known])]
    scores = {one.slice["task"]: one for one in made.measurements if one.slice}
    assert {name: one.n for name, one in scores.items()} == {"kind": 30, "names": 30, "stars": 30, "topics": 30}
    hits = np.mean([one["kind"]["label"] == row["kind"] for one, row in zip(answers, known, strict=True)])
    assert hits == pytest.approx(scores["kind"].value, abs=1e-9)
    assert hits > 0.7
    wanted = np.array([row["stars"] for row in known])
    found = np.array([one["stars"]["value"] for one in answers])
    assert 1 - np.square(found - wanted).mean() / wanted.var() == pytest.approx(scores["stars"].value, abs=1e-4)
    right = given = there = 0
    marked = SPLITS["validation"][:30]
    for row, one in zip(marked, predictor.predict([{"text": row["text"]} for row in marked]), strict=True):
        truth = {(span["start"], span["end"], span["label"]) for span in json.loads(row["spans"])}
        spans = {(span["start"], span["end"], span["label"]) for span in one.to_json()["names"]["spans"]}
        right, given, there = right + len(truth & spans), given + len(spans), there + len(truth)
    assert 2 * right / max(1, given + there) == pytest.approx(scores["names"].value, abs=1e-9)


def test_an_answer_is_the_same_alone_and_in_a_batch(trained: tuple[FakeContext, Path]) -> None:
    predictor = runtimes.load(trained[1], threads=1)
    records = [{"text": row["text"]} for row in SPLITS["validation"][:12]] + [{"text": ""}]
    for record, answer in zip(records, predictor.predict(records), strict=True):
        assert predictor.about.distance(answer, predictor.about.stored(predictor.predict([record])[0])) < 1e-5
    assert predictor.predict([]) == []


def test_a_base_is_the_trunk_and_may_stay_as_it_is(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    base = small_texts.base(tmp_path / "base", [row["text"] for row in SPLITS["train"]])
    train(tmp_path, base=str(base), freeze="encoder", epochs=1)
    before, after = load_file(base / "model.safetensors"), load_file(tmp_path / "outputs/model/model.safetensors")
    name = "encoder.layer.1.attention.self.query.weight"
    assert (before[name] == after[f"model.{name}"]).all()
    assert len(runtimes.load(tmp_path / "outputs" / "model", threads=1).predict([{"text": "a"}])[0].to_json()) == 4


def feed(sizes: list[int], shares: list[float] | None, accumulation: int = 1) -> many.ManyFeed:
    lessons: Any = [SimpleNamespace(lengths=np.arange(1, size + 1)) for size in sizes]
    plan = loop.Plan(epochs=1, batch_size=4, learning_rate=0.1, seed=3, accumulation=accumulation)
    return many.ManyFeed(lessons, plan, shares)


def test_tasks_get_as_many_batches_as_their_rows_make_or_their_weights_say() -> None:
    assert feed([40, 10, 3], None).counts == [10, 3, 1]
    assert feed([40, 40], [3, 1]).counts == [15, 5]
    assert feed([400, 4], [1000, 1]).counts == [101, 1]
    assert feed([40, 10, 3], None, accumulation=4).epoch_steps == 4


def test_turns_depend_on_seed_and_epoch_alone_and_use_every_batch_in_turn() -> None:
    made = feed([40, 10], [1, 1])
    first, second = made.turns(0), made.turns(1)
    assert made.turns(0) == first
    assert [one for one, _ in first] != [one for one, _ in second]
    used = sorted(number for epoch in (first, second) for task, number in epoch if task == 1)
    assert used == list(range(2 * made.counts[1]))


@pytest.mark.parametrize(
    ("tasks", "word"),
    [
        ({}, "at least 1"),
        ({"Bad name": TASKS["stars"]}, "pattern"),
        ({"a": {**TASKS["stars"], "weight": 1.0}, "b": TASKS["topics"]}, "of every task"),
        ({"a": {"task": "text-generation", "column": "x"}}, "Input should be"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tasks: Any, word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        Config(tasks=tasks)


def test_a_task_without_rows_or_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column `star`"):
        train(tmp_path / "a", {"stars": {"task": "text-regression", "column": "star"}})
    with pytest.raises(InputError, match="no train row"):
        train(tmp_path / "b", {"names": {"task": "text-regression", "column": "kind"}})


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"labels": ["names", "stars"]}, "outputs and their heads differ"),
        ({"preprocessing": {"kind": "ngrams"}}, "lacks"),
        ({"outputs": {"kind": 1, "names": 1, "stars": 1, "topics": 1}}, "is no task of a text"),
        ({"labels": []}, "missing or not distinct"),
    ],
)
def test_a_folder_whose_parts_do_not_fit_is_refused(
    trained: tuple[FakeContext, Path], tmp_path: Path, change: dict[str, Any], word: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(trained[1], folder)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps({**card, **change}), encoding="utf-8")
    with pytest.raises(InputError, match=word):
        runtimes.load(folder, threads=1)
