"""The stage combine.ensemble: models of several kinds in, one model out, measured on rows it was not fitted on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import small_models
from support.fake_context import FakeContext
from support.small_tables import people, write_table
from support.tiny_reviews import reviews, write_dataset

import modelyard
from modelyard.engine.bind import load_project_dict
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.combine.ensemble import Config, run
from modelyard.stages.train.tabular import Config as Tabular
from modelyard.stages.train.tabular import run as train_tabular

pytest_plugins = ("support.quick_disk",)

TEXTS = tuple(small_models.source(name) for name in ("linear", "cnn", "hf"))
TABLES = {"train": people(300, 1), "validation": people(150, 2)}
FAST: dict[str, Any] = {
    "trees": {"rounds": 40, "segment": 20, "leaves": 7},
    "transformer": {"width": 8, "layers": 1, "heads": 2},
    "epochs": 3,
    "batch_size": 64,
    "compute": {"threads": 1, "device": "cpu", "precision": "fp32"},
}


def combined(root: Path, models: Any = TEXTS, data: Path | None = None, **settings: Any) -> FakeContext:
    context = FakeContext(root, {"models": list(models), "data": data or small_models.dataset()}, seed=3)
    run(Config(threads=1, **settings), context)
    return context


def model(root: Path) -> Path:
    return root / "outputs" / "model"


def accuracy(folder: Path, rows: Any) -> float:
    predictor = runtimes.load(folder, threads=1)
    answers = predictor.predict([{"text": text} for text, _ in rows])
    predictor.close()
    return float(np.mean([answer.label == label for answer, (_, label) in zip(answers, rows, strict=True)]))


@cache
def tables(written: str) -> tuple[Path, tuple[Path, ...]]:
    """(data, models of trees, a linear one and a network)."""
    root = small_models.root() / f"tables-{written}"
    data = write_table(root / "data", TABLES, written)
    made = []
    for kind in ("boosted_trees", "linear", "ft_transformer"):
        context = FakeContext(root / kind, {"data": data})
        train_tabular(Tabular(**{**FAST, "kind": kind}), context)
        made.append(model(root / kind))
    return data, tuple(made)


def test_an_average_is_measured_as_it_answers(tmp_path: Path) -> None:
    context = combined(tmp_path)
    rows = small_models.rows(400, 2)
    assert context.value("combine.validation_accuracy") == pytest.approx(accuracy(model(tmp_path), rows))
    alone = max(accuracy(folder, rows) for folder in TEXTS)
    assert context.value("combine.validation_accuracy") - context.value("combine.accuracy_gain") <= alone + 1e-9
    predictor = runtimes.load(model(tmp_path), threads=1)
    assert check_golden(model(tmp_path), predictor) == []
    assert context.value("combine.size_ratio") > 1
    assert any("MB" in line for line in context.said)


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "vote"},
        {"method": "stack"},
        {"weights": "fitted"},
        {"over": "log_probabilities", "weights": "fitted"},
        {"weights": (1, 2, 0.5)},
        {"select": "greedy", "rounds": 10, "metric": "accuracy"},
    ],
)
def test_every_way_of_combining_texts_gives_a_model_that_opens(tmp_path: Path, settings: dict[str, Any]) -> None:
    context = combined(tmp_path, **settings)
    assert runtimes.load(model(tmp_path), threads=1).labels == small_models.LABELS
    assert context.value("combine.validation_accuracy") > 0.7


def test_the_same_settings_and_models_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        combined(tmp_path / name, method="stack")
    assert manifest(model(tmp_path / "a")).digest == manifest(model(tmp_path / "b")).digest


@pytest.mark.parametrize("settings", [{}, {"method": "stack"}, {"weights": "fitted"}, {"select": "greedy"}])
@pytest.mark.parametrize("written", ["class", "number"])
def test_trees_a_line_and_a_network_answer_tables_together(
    tmp_path: Path, written: str, settings: dict[str, Any]
) -> None:
    data, made = tables(written)
    context = combined(tmp_path, made, data, **settings)
    task = {"class": "tabular-classification", "number": "tabular-regression"}[written]
    assert ModelCard.read(model(tmp_path)).task == task
    predictor = runtimes.load(model(tmp_path), threads=1)
    answers = predictor.predict(TABLES["validation"])
    if written == "number":
        errors = [answer.value - row["value"] for answer, row in zip(answers, TABLES["validation"], strict=True)]
        if not settings:
            assert np.mean(np.square(errors)) == pytest.approx(context.value("combine.validation_loss"), rel=1e-5)
        assert np.std(errors) < 0.8 * np.std([row["value"] for row in TABLES["validation"]])
    else:
        right = [answer.label == row["label"] for answer, row in zip(answers, TABLES["validation"], strict=True)]
        assert np.mean(right) > 0.8


def test_a_useless_model_is_left_out_and_one_that_stands_alone_is_the_output(tmp_path: Path) -> None:
    """Turned labels: a model that is wrong on purpose."""
    turned = tmp_path / "turned"
    shutil.copytree(TEXTS[0], turned)
    value = json.loads((turned / "model.json").read_text())
    (turned / "model.json").write_text(json.dumps({**value, "labels": value["labels"][::-1]}))
    context = combined(tmp_path, (TEXTS[0], turned), weights="fitted")
    assert manifest(model(tmp_path)).digest == manifest(TEXTS[0]).digest
    assert any("as it is" in line for line in context.said)


def test_it_is_said_when_the_ensemble_does_not_beat_its_best_member(tmp_path: Path) -> None:
    turned = tmp_path / "turned"
    shutil.copytree(TEXTS[1], turned)
    value = json.loads((turned / "model.json").read_text())
    (turned / "model.json").write_text(json.dumps({**value, "labels": value["labels"][::-1]}))
    context = combined(tmp_path, (TEXTS[0], turned))
    assert any("do not beat model 1" in line for line in context.said)
    assert context.value("combine.loss_gain") < 0


def test_rows_without_a_usable_label_are_left_out_and_counted(tmp_path: Path) -> None:
    rows: list[Any] = [*small_models.rows(60, 2), ("odd", "other"), ("none", None), (None, "good")]
    data = write_dataset(tmp_path / "data", {"validation": rows})
    context = combined(tmp_path, data=data)
    assert any("3 validation rows were left out" in line for line in context.said)
    assert {item.n for item in context.measurements if item.claim == "combine.validation_loss"} == {60}


@pytest.mark.parametrize(
    ("models", "settings", "words"),
    [
        (TEXTS[:1], {}, "nothing to combine"),
        (TEXTS, {"weights": (1, 1)}, "2 weights for 3 models"),
    ],
)
def test_what_cannot_be_combined_is_refused(tmp_path: Path, models: Any, settings: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        combined(tmp_path, models, **settings)


def test_models_of_tables_and_texts_do_not_fit_together(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tabular-classification"):
        combined(tmp_path, (TEXTS[0], tables("class")[1][0]))


def test_numbers_are_not_voted_on(tmp_path: Path) -> None:
    data, made = tables("number")
    with pytest.raises(InputError, match="voted"):
        combined(tmp_path, made, data, method="vote")


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(TEXTS[1], broken)
    (broken / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    with pytest.raises(InputError):
        combined(tmp_path, (TEXTS[0], broken))


def test_too_few_rows_to_fit_on_are_refused(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", {"validation": list(small_models.rows(7, 2))})
    with pytest.raises(InputError, match="too few"):
        combined(tmp_path, data=data, method="stack")


@pytest.mark.parametrize(
    "settings",
    [
        {"method": "vote", "weights": "fitted"},
        {"select": "greedy", "weights": (1, 2)},
        {"folds": 2},
        {"weights": (0, 0)},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: Any) -> None:
    with pytest.raises(ValueError, match=r"weights|greedy|folds"):
        Config(**settings)


PROJECT = """version: 1
project: together
steps:
  rows: {uses: data.read, with: {path: rows.csv, text: text, label: label}}
  split: {uses: data.split, with: {validation: 0.3, test: 0.3}}
  one: {uses: train.text_classification, with: {size: linear, compute: {threads: 1}}}
  two: {uses: train.text_classification, with: {size: linear, linear: {naive_bayes: true}, compute: {threads: 1}}}
  both: {uses: combine.ensemble, with: {threads: 1}, in: {models: [one, two]}}
  quality: {uses: evaluate.quality, with: {threads: 1}}
  card: {uses: report.card}
release: {model: both, rules: [{claim: quality.accuracy, min: 0.5}, {claim: combine.validation_accuracy, min: 0.5}]}
"""


def test_a_project_combines_releases_and_serves_an_ensemble(quick_disk: Path) -> None:
    rows = ["text,label", *(f'"{text}",{label}' for text, label in reviews(400))]
    (quick_disk / "rows.csv").write_text("\n".join(rows), encoding="utf-8")
    (quick_disk / "modelyard.yaml").write_text(PROJECT, encoding="utf-8")
    result = modelyard.run(quick_disk)
    outputs = {step.step: step.outputs for step in result.steps}
    digest = outputs["both"]["model"]
    folder = quick_disk / ".modelyard" / "artifacts" / digest[7:9] / digest[9:]
    card = ModelCard.read(folder)
    assert card.provenance["members"] == [outputs["one"]["model"], outputs["two"]["model"]]
    texts = [text for text, _ in reviews(3, 5)]
    predictor = runtimes.load(folder, threads=1)
    wanted = [answer.to_json() for answer in predictor.predict([{"text": text} for text in texts])]
    assert _served(folder, digest, texts) == wanted


def _served(folder: Path, digest: str, texts: list[str]) -> list[Any]:
    """The answers of the real server."""
    command = [sys.executable, "-m", "modelyard", "serve", str(folder), "--port", "0"]
    environment = {**os.environ, "MODELYARD_LANG": "en", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as child:
        try:
            assert child.stderr is not None
            line = next(line for line in child.stderr if line.startswith("serving "))
            url = f"http://127.0.0.1:{int(line.rsplit(':', 1)[1])}/v1/models/{line.split()[1]}:predict"
            body = json.dumps({"instances": texts}).encode()
            with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as reply:
                assert reply.headers["x-model-digest"] == digest
                return list(json.load(reply)["predictions"])
        finally:
            child.kill()


def test_models_bind_to_all_above_or_to_those_named() -> None:
    steps = {
        "rows": {"uses": "data.read", "with": {"path": "rows.csv", "text": "text", "label": "label"}},
        "split": {"uses": "data.split"},
        **{name: {"uses": "train.text_classification"} for name in ("a", "b", "c")},
        "named": {"uses": "combine.ensemble", "in": {"models": ["a", "c"]}},
    }
    bound, problems = load_project_dict({"version": 1, "project": "p", "steps": steps}, Path())
    assert problems == []
    assert bound is not None
    assert bound.step("named").bindings["models"] == (("a", "model"), ("c", "model"))
    steps["named"] = {"uses": "combine.ensemble"}
    bound, _ = load_project_dict({"version": 1, "project": "p", "steps": steps}, Path())
    assert bound is not None
    assert [name for name, _ in bound.step("named").bindings["models"]] == ["a", "b", "c"]
