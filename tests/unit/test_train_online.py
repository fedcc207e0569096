"""The stage `train.online`: a stream is answered and learned row by row, in one part or in several, killed or not."""

from __future__ import annotations

import os
import random
import signal
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.train.online import Config, run

FAST: dict[str, Any] = {"learning": {"bits": 12}, "window": 100}
WORDS = {"good": ["fine", "great", "lovely", "好吃", "喜欢"], "bad": ["poor", "awful", "late", "难吃", "讨厌"]}
VALIDATION = 50


def reviews(count: int, seed: int, swapped: bool = False) -> list[dict[str, Any]]:
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        label = draw.choice(["good", "bad"])
        words = [draw.choice(WORDS[label]), draw.choice(["the", "food", "外卖"]), draw.choice(WORDS[label])]
        rows.append({"review": " ".join(words), "label": {"good": "bad", "bad": "good"}[label] if swapped else label})
    return rows


def measured(count: int, seed: int) -> list[dict[str, Any]]:
    """Numbers (one as text), a name, and a label that bends: the middle of `x` is one class."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        x, y = draw.gauss(50, 10), draw.gauss(0, 1)
        city = draw.choice(["Ulm", "Bonn"])
        inside = abs(x - 50) < 7 if city == "Ulm" else abs(x - 50) < 6
        rows.append({"x": f"{x:.3f}", "y": y, "city": city, "label": "in" if inside else "out"})
    return rows


def write(folder: Path, rows: list[dict[str, Any]], validation: list[dict[str, Any]], first: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in rows[0] if name != "label"]
    columns = [Column("row_id", "other", "string")]
    for name in names:
        kind = "double" if isinstance(rows[0][name], float) else "string"
        columns.append(Column(name, "text" if name == "review" else "feature", kind))
    columns.append(Column("label", "label", "string"))
    schema = pa.schema([(one.name, pa.float64() if one.type == "double" else pa.string()) for one in columns])
    write_schema(folder, columns)
    for split, some in (("train", rows), ("validation", validation)):
        ids = [f"{split}-{first + place}" for place in range(len(some))]
        table = pa.table(
            {"row_id": ids, **{one.name: [row[one.name] for row in some] for one in columns[1:]}}, schema=schema
        )
        write_split(folder, split, [table], schema)
    return folder


def train(
    root: Path,
    rows: list[dict[str, Any]],
    validation: list[dict[str, Any]],
    former: Path | None = None,
    **settings: Any,
) -> FakeContext:
    inputs: dict[str, Any] = {"data": write(root / "data", rows, validation)}
    if former is not None:
        inputs["model"] = former
    context = FakeContext(root, inputs)
    run(Config(**{**FAST, **settings}), context)
    return context


def model(root: Path) -> Path:
    return root / "outputs" / "model"


def assert_same_files(one: Path, other: Path) -> None:
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in other.iterdir())
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_a_stream_of_texts_is_learned_and_its_model_answers_as_its_claim_says(tmp_path: Path) -> None:
    validation = reviews(VALIDATION, 9)
    context = train(tmp_path, reviews(600, 1), validation)
    card = ModelCard.read(model(tmp_path))
    assert (card.task, card.format, set(card.labels)) == ("text-classification", "modelyard", {"good", "bad"})
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    asked = [{"text": row["review"]} for row in validation]
    answers = predictor.predict(asked)
    hits = np.mean([answer.label == row["label"] for answer, row in zip(answers, validation, strict=True)])
    assert hits == context.value("train.validation_accuracy") == 1
    for record, together in zip(asked[:10], answers, strict=False):
        alone = predictor.predict([record])[0]
        assert alone.scores["good"] == pytest.approx(together.scores["good"], abs=1e-6)
    assert 0.9 < context.value("train.prequential_accuracy") < 1
    assert context.value("train.prequential_baseline") < 0.6
    curve = [values["accuracy"] for _, values in context.curves]
    assert len(curve) == 6
    assert curve[0] < curve[-1] == 1
    assert not [path for path in model(tmp_path).iterdir() if path.suffix in (".pkl", ".pickle", ".pt")]


def test_a_stream_of_a_table_is_learned_where_a_straight_line_fails(tmp_path: Path) -> None:
    validation = measured(400, 9)
    context = train(tmp_path, measured(4000, 1), validation)
    assert ModelCard.read(model(tmp_path)).task == "tabular-classification"
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    answers = predictor.predict([{name: row[name] for name in ("x", "y", "city")} for row in validation])
    hits = np.mean([answer.label == row["label"] for answer, row in zip(answers, validation, strict=True)])
    assert hits == context.value("train.validation_accuracy")
    assert hits > 0.85 > context.value("train.prequential_baseline") + 0.2
    other = predictor.predict([{"x": 50.0, "y": None, "city": "elsewhere"}, {"x": None, "y": None, "city": None}])
    assert len(other) == 2


@pytest.mark.parametrize("rows", [reviews(700, 3), measured(700, 3)], ids=["texts", "table"])
def test_a_stream_in_two_parts_ends_with_the_same_bytes_as_in_one(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    validation = rows[:VALIDATION]
    train(tmp_path / "whole", rows, validation)
    train(tmp_path / "first", rows[:333], validation)
    context = train(tmp_path / "second", rows[333:], validation, former=model(tmp_path / "first"))
    assert any("going on from a model of 333 rows" in line for line in context.said)
    assert_same_files(model(tmp_path / "whole"), model(tmp_path / "second"))
    assert (model(tmp_path / "first") / "model.safetensors").read_bytes() != (
        model(tmp_path / "second") / "model.safetensors"
    ).read_bytes()


def test_a_stream_killed_with_kill_9_goes_on_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    rows, settings = measured(2500, 5), {"checkpoint_rows": 500}
    train(tmp_path / "straight", rows, rows[:VALIDATION], **settings)
    pid = os.fork()
    if pid == 0:

        class Dying(FakeContext):
            def progress(self, done: int, total: int, what: str) -> None:
                if done > 1600:
                    os.kill(os.getpid(), signal.SIGKILL)

        killed = tmp_path / "killed"
        data = write(killed / "data", rows, rows[:VALIDATION])
        run(Config(**{**FAST, **settings}), Dying(killed, {"data": data}))
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    context = train(tmp_path / "killed", rows, rows[:VALIDATION], **settings)
    assert any(line.startswith("going on from row") for line in context.said)
    assert_same_files(model(tmp_path / "straight"), model(tmp_path / "killed"))


@pytest.mark.parametrize(("answer", "least"), [("rates", 0.8), ("model", 0.9)])
def test_a_drift_is_found_said_and_learned_from(tmp_path: Path, answer: str, least: float) -> None:
    rows = [*reviews(1500, 1), *reviews(1500, 2, swapped=True)]
    after = reviews(VALIDATION, 9, swapped=True)
    context = train(tmp_path, rows, after, drift={"answer": answer})
    assert context.value("train.drifts") >= 1
    said = next(line for line in context.said if line.startswith("drift after"))
    assert 1500 < int(said.split()[2].replace(",", "")) < 1700
    assert context.value("train.validation_accuracy") >= least
    assert context.curves[15][1]["accuracy"] < 0.7 < context.curves[-1][1]["accuracy"]


def test_without_a_drift_none_is_found(tmp_path: Path) -> None:
    context = train(tmp_path, reviews(2000, 1), reviews(VALIDATION, 2))
    assert context.value("train.drifts") == 0


def test_classes_may_come_late_and_too_many_are_refused(tmp_path: Path) -> None:
    late = [{"review": "weather rain sun", "label": "other"}] * 30
    context = train(tmp_path, [*reviews(300, 1), *late], [*late[:5], *reviews(20, 4)])
    assert ModelCard.read(model(tmp_path)).labels[2] == "other"
    assert context.value("train.validation_accuracy") > 0.9
    many = [{"review": str(place), "label": f"c{place}"} for place in range(5)]
    with pytest.raises(InputError, match="more than 3 classes"):
        train(tmp_path / "many", many, many, learning={"bits": 12, "max_labels": 3})
    with pytest.raises(InputError, match="the stream has 1 classes"):
        train(tmp_path / "one", late, late)


def test_rows_without_a_label_are_counted_and_left_out(tmp_path: Path) -> None:
    rows = [{**row, "label": None if place % 10 == 0 else row["label"]} for place, row in enumerate(reviews(400, 1))]
    context = train(tmp_path, rows, reviews(20, 2))
    assert any("40 train rows without a label" in line for line in context.said)
    assert sum(ModelCard.read(model(tmp_path)).provenance["counts"].values()) == 360


def test_memory_does_not_grow_with_the_stream(tmp_path: Path) -> None:
    """Ten times the rows: the same peak, but for a tenth of the smaller one."""
    peaks = []
    for name, count in (("short", 600), ("long", 6000)):
        data = write(tmp_path / name / "data", reviews(count, 1), reviews(20, 2))
        context = FakeContext(tmp_path / name, {"data": data})
        context.progress = lambda done, total, what: None  # type: ignore[method-assign]
        if not peaks:
            run(Config(**FAST), FakeContext(tmp_path / "warm", {"data": data}))
        tracemalloc.start()
        run(Config(**FAST), context)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] + 200_000


def test_a_former_model_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    train(tmp_path / "texts", reviews(200, 1), reviews(20, 2))
    train(tmp_path / "table", measured(200, 1), measured(20, 2))
    with pytest.raises(InputError, match="reads otherwise"):
        train(tmp_path / "a", measured(200, 1), measured(20, 2), former=model(tmp_path / "texts"))
    with pytest.raises(InputError, match="reads otherwise"):
        train(tmp_path / "b", reviews(50, 1), reviews(20, 2), model(tmp_path / "texts"), learning={"bits": 13})
    (model(tmp_path / "texts") / "online.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(InputError, match="cannot be read"):
        train(tmp_path / "c", reviews(50, 1), reviews(20, 2), model(tmp_path / "texts"))
    (model(tmp_path / "texts") / "online.safetensors").unlink()
    with pytest.raises(InputError, match="no state of a stream"):
        train(tmp_path / "d", reviews(50, 1), reviews(20, 2), model(tmp_path / "texts"))


def test_hostile_records_are_refused_with_their_place(tmp_path: Path) -> None:
    train(tmp_path, measured(200, 1), measured(20, 2))
    predictor = runtimes.load(model(tmp_path), threads=1)
    good = {"x": 50, "y": 0.0, "city": "Ulm"}
    for bad, where in (
        ({**good, "x": [1]}, "records[1].x"),
        ({**good, "y": float("inf")}, "records[1].y"),
        ({"x": 1}, "records[1]"),
        (5, "records[1]"),
    ):
        with pytest.raises(InputError) as caught:
            predictor.predict([good, bad])
        assert caught.value.problems[0].where == where
    assert predictor.predict([]) == []
    card = (model(tmp_path) / "model.json").read_text()
    (model(tmp_path) / "model.json").write_text(card.replace('"bits":12', '"bits":60'))
    with pytest.raises(InputError):
        runtimes.load(model(tmp_path))
