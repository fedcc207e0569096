"""Canaries, extraction and membership on a real language model that was trained too long on few texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.fake_context import FakeContext
from support.small_model import reviews, write_dataset, write_linear_model
from support.tiny_language import stories, write_columns

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data import canaries
from modelyard.stages.evaluate import membership, memorization
from modelyard.stages.train import language_model

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32"}
TRAIN = {
    "model": {"layers": 2, "width": 48, "heads": 2, "key_value_heads": 1},
    "tokenizer": {"kind": "characters"},
    "context": 64,
    "batch_size": 8,
    "max_steps": 90,
    "compute": COMPUTE,
    "optimizer": {"learning_rate": 0.01},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A data set, canaries in it, and a model of that."""
    root = tmp_path_factory.mktemp("memory")
    texts = {"train": stories(30, 1), "validation": stories(4, 2), "test": stories(30, 3)}
    data = write_columns(root / "data", {split: {"text": rows} for split, rows in texts.items()}, text="text")
    context = FakeContext(root / "canaries", {"data": data})
    canaries.run(canaries.Config(digits=4, count=4, repeats=(1, 40), template="Code {unit}: {secret}"), context)
    trained = FakeContext(root / "model", {"data": context.output("data")}, base=root)
    language_model.run(language_model.Config(**TRAIN), trained)
    return {
        "data": data,
        "with": context.output("data"),
        "canaries": context.output("canaries"),
        "model": trained.output("model"),
        "removed": context.output("removed"),
    }


def measured(context: FakeContext) -> dict[tuple[str, ...], Any]:
    return {(item.claim, *item.slice.values()): item for item in context.measurements}


def test_canaries_stand_in_train_as_often_as_said_and_nowhere_else(made: dict[str, Path]) -> None:
    before, after = Dataset.open(made["data"]), Dataset.open(made["with"])
    assert after.column("validation", "text") == before.column("validation", "text")
    texts = after.column("train", "text")
    assert texts[: before.num_rows("train")] == before.column("train", "text")
    rows = Dataset.open(made["canaries"]).table("all").to_pylist()
    assert [row["repeats"] for row in rows] == [0] * 4 + [1] * 4 + [40] * 4
    assert all(texts.count(row["text"]) == row["repeats"] for row in rows)
    assert len({row["prefix"] for row in rows}) == len(rows)
    assert Dataset.open(made["removed"]).num_rows("all") == 4 * 41


def test_what_stood_often_in_train_is_exposed_and_what_never_did_is_not(made: dict[str, Path], tmp_path: Path) -> None:
    context = FakeContext(tmp_path, {name: made[name] for name in ("model", "data", "canaries")})
    config = memorization.Config(candidates=150, prefix_tokens=6, tokens=12, rows=30, threads=1)
    memorization.run(config, context)
    found = measured(context)
    often, never = found["memorization.exposure", "40"], found["memorization.exposure", "0"]
    assert often.value > 5
    assert never.value < 4
    assert often.value > never.value + 2
    assert found["memorization.canaries_extracted", "0"].value == 0
    assert found["memorization.canaries_extracted", "40"].value >= 0.5
    assert set(found) >= {("memorization.extraction_rate",), ("memorization.held_out_rate",)}
    train, test = found["memorization.extraction_rate",], found["memorization.held_out_rate",]
    assert found["memorization.extraction_excess",].value == pytest.approx(train.value - test.value)
    report = json.loads((context.output("report") / "memorization.json").read_text(encoding="utf-8"))
    assert [block["kind"] for block in report["blocks"]] == ["text", "figures", "table", "text", "figures"]
    assert len(report["blocks"][2]["rows"]) == 12


def test_without_canaries_that_is_said_and_extraction_is_measured(made: dict[str, Path], tmp_path: Path) -> None:
    context = FakeContext(tmp_path, {name: made[name] for name in ("model", "data")})
    memorization.run(memorization.Config(prefix_tokens=500, rows=10, threads=1), context)
    assert any("exposure was not measured" in line for line in context.said)
    assert any("extraction was not measured" in line for line in context.said)
    assert context.measurements == []


def test_members_of_an_overfitted_model_are_told_by_their_loss_and_too_few_rows_are_said(
    made: dict[str, Path], tmp_path: Path
) -> None:
    rows = Dataset.open(made["canaries"]).table("all").to_pylist()
    known = {times: [row["text"] for row in rows if row["repeats"] == times] for times in (0, 40)}
    splits = {"train": {"text": known[40]}, "test": {"text": known[0]}}
    made = {**made, "data": write_columns(tmp_path / "known", splits, text="text")}
    context = FakeContext(tmp_path, {name: made[name] for name in ("model", "data")})
    membership.run(membership.Config(threads=1), context)
    found = measured(context)
    auc = found["membership.auc", "loss"]
    assert auc.value > 0.8
    assert auc.n == 4
    assert ("membership.tpr", "loss", "0.01") not in found
    assert sum("not measured at a false positive rate" in line for line in context.said) == 2
    assert any("only the plain attack" in line for line in context.said)
    beside = FakeContext(
        tmp_path / "b", {**{name: made[name] for name in ("model", "data")}, "shadows": [made["model"]]}
    )
    membership.run(membership.Config(threads=1), beside)
    assert measured(beside)["membership.auc", "calibrated"].value == 0.5, "a model beside itself tells nothing"


def test_a_classifier_is_refused_with_the_stage_that_fits_and_is_measured_there(tmp_path: Path) -> None:
    rows = reviews(60, 1)
    model = write_linear_model(tmp_path / "model", rows)
    data = write_dataset(tmp_path / "data", {"train": rows, "test": reviews(60, 2)})
    with pytest.raises(InputError, match=r"evaluate\.membership"):
        memorization.run(memorization.Config(), FakeContext(tmp_path, {"model": model, "data": data}))
    context = FakeContext(tmp_path, {"model": model, "data": data})
    membership.run(membership.Config(rows=50, threads=1), context)
    auc = measured(context)["membership.auc", "loss"]
    assert (auc.n, auc.on) == (50, "data/test")
    assert 0 < auc.interval[0] < auc.value < auc.interval[1] < 1
