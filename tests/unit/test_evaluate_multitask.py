"""Models of several tasks through evaluate.quality and evaluate.validation: each as its family measures it alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from support import small_texts
from support.fake_context import FakeContext

from modelyard.core.evidence import Claim, Evidence
from modelyard.core.gate import Source, World, judge
from modelyard.core.project import Rule
from modelyard.engine.sample_size import sample_size
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.evaluation import measuring
from modelyard.stages.evaluate import latency, quality, robustness, validation
from modelyard.stages.train import multitask

TASKS = {
    "topics": {"task": "text-multi-label", "column": "labels"},
    "stars": {"task": "text-regression", "column": "points"},
    "names": {"task": "token-classification", "column": "marked"},
    "mood": {"task": "text-classification", "column": "kind"},
}
TYPES = {"text": "string", "labels": "string", "points": "double", "marked": "string", "kind": "string"}
ALONE = {"topics": "label", "stars": "label", "names": "spans", "mood": "label"}


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Two data sets in one: names are marked in the first half only, all else is known of the second."""
    found = []
    for place, row in enumerate(small_texts.labelled(count, seed)):
        kind = "food" if "food" in row["labels"] else "other"
        marked = place < count // 2
        known = {"labels": row["labels"], "points": row["stars"], "kind": kind}
        found.append(
            {"text": row["text"], "marked": row["spans"] if marked else None}
            | {name: None if marked else value for name, value in known.items()}
        )
    return found


TRAIN, HELD, TEST = rows(160, 1), rows(40, 2), rows(60, 3)
TEST[0]["text"], TEST[40] = None, TRAIN[100]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    data = small_texts.write(root / "data", {"train": TRAIN, "validation": HELD}, "kind", TYPES)
    settings = {**small_texts.FAST, "epochs": 2, "early_stopping": {"patience": 0}, "tasks": TASKS}
    multitask.run(multitask.Config(**settings), FakeContext(root, {"data": data}))
    return root / "outputs" / "model"


def measure(root: Path, model: Path, test: Any = None, stage: Any = quality, types: Any = None, **settings: Any) -> Any:
    splits = {"train": TRAIN, "validation": HELD, "test": TEST if test is None else test}
    data = small_texts.write(root / "data", splits, "kind", types or TYPES)
    return ask(root, {"model": model, "data": data}, stage, **settings)


def ask(root: Path, inputs: dict[str, Path], stage: Any = quality, **settings: Any) -> Any:
    context = FakeContext(root, inputs)
    stage.STAGE.run(stage.Config(**settings), context)
    name = "quality.json" if stage is quality else "validation.json"
    report = json.loads((root / "outputs/report" / name).read_text(encoding="utf-8"))
    assert {one.claim for one in context.measurements} <= {claim.name for claim in stage.STAGE.claims}
    return SimpleNamespace(context=context, report=report, folder=root / "outputs/report")


def values(context: FakeContext, task: str = "") -> dict[Any, Any]:
    """Measurements of one task without its name, else all."""
    found = {}
    for one in context.measurements:
        part = dict(one.slice)
        if part.pop("task", "") == task:
            found[one.claim, one.on, one.about, tuple(sorted(part.items()))] = (one.value, one.interval, one.n)
    return found


@pytest.mark.parametrize("stage", [quality, validation])
def test_each_task_measures_what_its_family_measures_of_it_alone(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: Any
) -> None:
    found = measure(tmp_path / "many", model, stage=stage)
    assert all(set(one.slice) >= {"task"} for one in found.context.measurements)
    whole = runtimes.load(model, threads=1)
    for name, part in whole.parts.items():
        column, target = TASKS[name]["column"], ALONE[name]
        kinds = {"text": "string", target: TYPES[column]}
        splits = {
            split: [{"text": row["text"], target: row[column]} for row in given if row[column] is not None]
            for split, given in (("train", TRAIN), ("validation", HELD), ("test", TEST))
        }
        root = tmp_path / name
        data = small_texts.write(root / "data", splits, target if target == "label" else "text", kinds)
        if target == "spans":
            shutil.copy(data / "dataset.json", data / "before.json")
            (data / "dataset.json").write_text(
                (data / "before.json").read_text(encoding="utf-8").replace('"label"', '"text"'), encoding="utf-8"
            )
        with monkeypatch.context() as patch:
            patch.setattr(runtimes, "load", lambda path, part=part, **_: part)
            alone = ask(root, {"model": model, "data": data}, stage)
        mine, theirs = values(found.context, name), values(alone.context)
        assert mine.keys() == theirs.keys()
        for key, (value, interval, n) in theirs.items():
            assert mine[key][0] == pytest.approx(value, abs=1e-12), (name, key)
            assert mine[key][1] == (interval if interval in (None, "exact") else pytest.approx(interval, abs=1e-12))
            assert mine[key][2] == n
        if stage is quality:
            inside = found.report["tasks"][name]
            for key in alone.report.keys() - {"left_out", "mistakes", "largest_errors", "span_mistakes", "predictor"}:
                assert inside[key] == alone.report[key], (name, key)
            assert (inside["task"], inside["column"]) == (TASKS[name]["task"], column)
    whole.close()


def test_rows_of_other_tasks_are_not_left_out_and_twins_are_counted_by_task(model: Path, tmp_path: Path) -> None:
    found = measure(tmp_path, model, baselines=False)
    names, mood = found.report["tasks"]["names"], found.report["tasks"]["mood"]
    assert (names["n"], names["elsewhere"], names["left_out"]) == (29, 30, ["test-0"])
    assert (mood["n"], mood["elsewhere"], mood["left_out"]) == (30, 30, [])
    assert [line for line in found.context.said if "left out" in line] == [
        "names: 1 test rows without a text or spans were left out"
    ]
    assert mood["contamination"]["rows"] == 1
    assert "mood" in next(line for line in found.context.said if "also stand in train" in line)
    twins = {one.slice["task"]: one.value for one in found.context.measurements if "contamination" in one.claim}
    assert twins["mood"] == pytest.approx(1 / 30)
    assert set(twins) == set(TASKS)
    table = pq.read_table(found.folder / "predictions.parquet")
    assert table.column_names == ["row_id", "task", "truth", "answer", "scores"]
    kept = [row for row in table.to_pylist() if row["task"] == "mood"]
    assert len(kept) == 30
    right = sum(row["truth"] == row["answer"] for row in kept) / 30
    assert right == pytest.approx(mood["overall"]["accuracy"]["value"])
    labels = json.loads(table.schema.metadata[b"labels"])
    assert labels == {"mood": ["food", "other"], "topics": ["food", "price", "service"]}
    assert all(row["scores"][labels["mood"].index(row["answer"])] == max(row["scores"]) for row in kept)
    errors = [abs(float(row["truth"]) - float(row["answer"])) for row in table.to_pylist() if row["task"] == "stars"]
    stars = found.report["tasks"]["stars"]["overall"]["mae"]["value"]
    assert sum(errors) / 30 == pytest.approx(stars, abs=1e-12)


def test_a_task_without_a_test_row_is_left_out_with_its_reason(model: Path, tmp_path: Path) -> None:
    found = measure(tmp_path, model, TEST[30:], baselines=False)
    assert set(found.report["tasks"]) == {"topics", "stars", "mood"}
    assert "no row" in found.report["unmeasured"]["names"]
    assert any(line.startswith("not measured: names") for line in found.context.said)
    assert not any(one.slice.get("task") == "names" for one in found.context.measurements)
    empty = [dict.fromkeys(TYPES, None) | {"text": "a"}]
    with pytest.raises(InputError, match="no row with a text and a label"):
        measure(tmp_path / "none", model, empty)


def test_a_missing_column_is_named_and_older_models_mean_the_one_of_their_name(model: Path, tmp_path: Path) -> None:
    def without(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name != "points"}

    splits = {"train": TRAIN, "validation": HELD, "test": TEST}
    fewer = {name: kind for name, kind in TYPES.items() if name != "points"}
    data = small_texts.write(tmp_path / "a", {k: [*map(without, v)] for k, v in splits.items()}, "kind", fewer)
    with pytest.raises(InputError, match="no column `points`, which the task `stars` learned"):
        ask(tmp_path, {"model": model, "data": data})
    old = tmp_path / "old"
    shutil.copytree(model, old)
    card = json.loads((old / "model.json").read_text(encoding="utf-8"))
    assert {name: about.pop("column") for name, about in card["outputs"].items()} == {
        name: one["column"] for name, one in TASKS.items()
    }
    (old / "model.json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(InputError, match="does not say which column the task `mood` learned") as caught:
        measure(tmp_path / "b", old)
    assert len(caught.value.problems) == 4
    assert "`mood`" in caught.value.problems[0].remedy
    named = [{"text": row["text"]} | {name: row[one["column"]] for name, one in TASKS.items()} for row in TEST]
    kinds = {"text": "string"} | {name: TYPES[one["column"]] for name, one in TASKS.items()}
    data = small_texts.write(tmp_path / "c", {"train": named, "test": named}, "mood", kinds)
    found = ask(tmp_path, {"model": old, "data": data}, baselines=False)
    assert set(found.report["tasks"]) == set(TASKS)


def test_a_blank_cell_says_nothing_of_its_task(model: Path, tmp_path: Path) -> None:
    blank = [{**row, "kind": row["kind"] or " ", "labels": row["labels"] or "", "marked": row["marked"] or ""}
             for row in TEST]  # fmt: skip
    whole, other = measure(tmp_path / "none", model), measure(tmp_path / "blank", model, blank)
    assert whole.report == other.report
    for name in TASKS:
        assert values(whole.context, name) == values(other.context, name)


def test_settings_of_one_task_and_strange_labels_are_refused_by_name(model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="`order` names the classes of one task"):
        measure(tmp_path / "a", model, order=("food", "other"))
    with pytest.raises(InputError, match="`costs` names the classes"):
        measure(tmp_path / "b", model, costs={"food": {"other": 2}})
    strange = [*TEST[:-1], {**TEST[-1], "kind": "unheard"}]
    with pytest.raises(InputError, match="unheard") as caught:
        measure(tmp_path / "c", model, strange)
    assert caught.value.problems[0].where.startswith("mood")


def test_what_cannot_measure_several_tasks_says_what_can_and_speed_is_measured(model: Path, tmp_path: Path) -> None:
    data = small_texts.write(tmp_path / "data", {"train": TRAIN, "validation": HELD, "test": TEST}, "kind", TYPES)
    inputs = {"model": model, "data": data}
    with pytest.raises(InputError):
        robustness.STAGE.run(robustness.Config(), FakeContext(tmp_path, inputs))
    with pytest.raises(InputError, match=r"evaluate\.quality and evaluate\.validation measure each"):
        measuring.find("multitask").reader(None, "multitask", None)  # type: ignore[arg-type]
    context = FakeContext(tmp_path, inputs)
    latency.STAGE.run(latency.Config(threads=1, records=30, warmup=1, batches=(1,), loads=2), context)
    assert context.value("latency.p50_ms") > 0


@pytest.mark.parametrize(("part", "least", "passes"), [
    ({"task": "mood"}, 0.0, True), ({"task": "mood"}, 1.0, False), ({}, 0.0, False), ({"task": "stars"}, 0.0, False),
])  # fmt: skip
def test_a_rule_asks_for_one_of_the_tasks(
    model: Path, tmp_path: Path, part: dict[str, str], least: float, passes: bool
) -> None:
    found = measure(tmp_path, model, baselines=False)
    one = next(m for m in found.context.measurements if m.claim == "quality.accuracy" and m.slice == {"task": "mood"})
    evidence = Evidence(
        claim=one.claim, value=one.value, interval=one.interval, n=one.n, unit="", subject="m", dataset="d",
        split="test", slice=one.slice, evaluator="e", run=1, sequence=1,
    )  # fmt: skip
    claims = {"quality.accuracy": Claim("quality.accuracy", "share right", sizing="rate")}
    world = World("m", {}, (), claims, {"quality.accuracy": [Source("e", "d")]}, [evidence])
    rule = Rule("quality.accuracy", min=least, slice=part)
    assert judge(rule, world).passed is passes
    assert sample_size(rule, one.n) is not None
