"""The stage `evaluate.maps`: what it draws, how the drawing is measured, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from modelyard.errors import DependencyError, InputError
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.evaluation import maps
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.evaluate.maps import Config, run
from modelyard.stages.train import tabular
from tests.support import small_models
from tests.support.fake_context import FakeContext
from tests.support.pictures import picture
from tests.support.small_tables import people, write_table


def texts(folder: Path, count: int = 80) -> Path:
    folder.mkdir()
    names = ("row_id", "text", "label")
    write_schema(folder, [Column("row_id", "other", "string"), *(Column(name, name, "string") for name in names[1:])])
    made = small_models.rows(count, 5)
    columns = ([f"t{place}" for place in range(count)], [row[0] for row in made], [row[1] for row in made])
    schema = pa.schema([(name, pa.string()) for name in names])
    write_split(folder, "test", [pa.table(dict(zip(names, columns, strict=True)))], schema)
    return folder


def mapped(root: Path, model: Path, data: Path, **settings: Any) -> tuple[FakeContext, dict[str, Any]]:
    context = FakeContext(root, {"model": model, "data": data})
    run(Config(**{"threads": 1, **settings}), context)
    return context, json.loads((root / "outputs" / "report" / "maps.json").read_text(encoding="utf-8"))


def scatters(value: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in value["blocks"] if one["kind"] == "scatter"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tables")
    for target in ("class", "number"):
        data = write_table(root / target, {"train": people(300), "validation": people(60, 1), "test": people(70, 2)},
                           target)  # fmt: skip
        trees: dict[str, Any] = {"rounds": 20}
        tabular.run(tabular.Config(target=target, trees=trees), FakeContext(root / f"{target}-run", {"data": data}))
    return root


def test_measures_of_a_map_are_those_of_scikit_learn() -> None:
    from sklearn.manifold import trustworthiness

    generator = np.random.default_rng(0)
    values = generator.normal(size=(60, 8))
    for places in (values[:, :2], generator.normal(size=(60, 2))):
        agreement, trust = maps.kept(values, places, 10)
        assert trust.mean() == pytest.approx(trustworthiness(values, places, n_neighbors=10))
        assert trust.min() >= 0
        assert trust.max() <= 1
    assert agreement.mean() == pytest.approx(10 / 59, abs=0.05)
    assert maps.kept(values, values, 10)[0].min() == 1


def test_a_network_of_texts_is_mapped_by_what_its_last_layer_reads(tmp_path: Path) -> None:
    data, model = texts(tmp_path / "data"), small_models.ours("cnn")
    context, value = mapped(tmp_path / "a", model, data)
    assert value["data"]["source"] == "network"
    found = {one.claim: one for one in context.measurements}
    one = found["maps.neighbour_agreement"]
    assert one.n == 80
    assert isinstance(one.interval, tuple)
    assert one.interval[0] < one.value < one.interval[1]
    assert one.interval[0] > value["data"]["chance"] + 0.1
    assert found["maps.trustworthiness"].value > 0.8
    by_label, mistakes = scatters(value)
    assert {point["group"] for point in by_label["points"]} == {"bad", "good"}
    named = [point for point in mistakes["points"] if point["group"] == "wrong"]
    assert named
    assert all("→" in point["name"].split(" · ")[0] for point in named)
    _, again = mapped(tmp_path / "b", model, data)
    assert again == value
    _, hidden = mapped(tmp_path / "c", model, data, texts=False, rows=30)
    assert not [point for point in scatters(hidden)[0]["points"] if " · " in point["name"]]
    assert len(scatters(hidden)[0]["points"]) == 30


@pytest.mark.parametrize("name", ["cnn", pytest.param("hf", marks=pytest.mark.proof)])
def test_features_are_the_vector_the_classifier_reads(name: str) -> None:
    import torch

    from modelyard.methods.runtimes.differentiable import open_differentiable

    model, records = small_models.source(name), small_models.records(5)
    found = maps.network_features(model, ModelCard.read(model), records)
    assert found is not None
    opened = open_differentiable(model)
    classifier: Any = opened.module.classifier
    logits = classifier(torch.from_numpy(found).float())
    assert torch.allclose(logits, opened.logits(opened.encode(records)), atol=1e-5)


def test_a_text_model_without_layers_is_mapped_by_words_and_it_is_said(tmp_path: Path) -> None:
    context, value = mapped(tmp_path, small_models.ours("linear"), texts(tmp_path / "data"))
    assert value["data"]["source"] == "texts"
    assert any("TF-IDF" in line for line in context.said)


def test_a_table_has_a_map_and_a_boundary(tables: Path, tmp_path: Path) -> None:
    context, value = mapped(tmp_path, tables / "class-run" / "outputs" / "model", tables / "class",
                            columns=("age", "income"), grid=8)  # fmt: skip
    assert value["data"]["source"] == "columns"
    grid, rows = scatters(value)[2:]
    assert len(grid["points"]) == 64
    corners = {(point["x"], point["y"]): point["group"] for point in grid["points"]}
    assert corners[min(corners)] == "no"
    assert corners[max(corners)] == "yes"
    assert 0 < len(rows["points"]) <= 70
    one = context.measurements[-1]
    assert one.claim == "maps.boundary_agreement"
    assert 0.5 < one.value < 1
    assert isinstance(one.interval, tuple)
    assert one.interval[0] < one.value < one.interval[1]


def test_numbers_are_mapped_by_low_and_high(tables: Path, tmp_path: Path) -> None:
    _, value = mapped(tmp_path, tables / "number-run" / "outputs" / "model", tables / "number")
    assert [{point["group"] for point in one["points"]} for one in scatters(value)] == [{"low", "high"}]


@pytest.mark.parametrize("columns", [("age", "salary"), ("age", "city"), ("code", "age")])
def test_columns_that_hold_no_numbers_are_refused(columns: tuple[str, str], tables: Path, tmp_path: Path) -> None:
    model = tables / "class-run" / "outputs" / "model"
    with pytest.raises(InputError, match=next(name for name in columns if name != "age")):
        mapped(tmp_path, model, tables / "class", columns=columns, method="none")


def test_one_row_is_too_few(tmp_path: Path, tables: Path) -> None:
    with pytest.raises(InputError, match="1 rows are too few"):
        mapped(tmp_path / "a", small_models.ours("linear"), texts(tmp_path / "data", 1))
    lone = write_table(tmp_path / "lone", {"test": people(1, 4)})
    with pytest.raises(InputError, match="never changes"):
        mapped(tmp_path / "b", tables / "class-run" / "outputs" / "model", lone, columns=("age", "income"),
               method="none")  # fmt: skip


def test_rows_that_are_all_alike_have_no_map() -> None:
    with pytest.raises(InputError, match="no difference"):
        maps.project(np.ones((30, 4)), "tsne", 0)
    assert np.isfinite(maps.project(np.arange(30.0)[:, None], "tsne", 0)).all()


def test_pictures_of_a_model_without_its_network_are_refused(tmp_path: Path) -> None:
    card = ModelCard("image-classification", "onnx", ("a", "b"), {"kind": "image"})
    with pytest.raises(InputError, match="no features") as found:
        maps.features(tmp_path, card, [{"image": picture()}], (), 0)
    assert "made from" in found.value.problems[0].remedy


def test_umap_that_is_not_installed_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(DependencyError) as found:
        mapped(tmp_path, small_models.ours("linear"), texts(tmp_path / "data"), method="umap")
    assert "modelyard[maps]" in found.value.problems[0].remedy


@pytest.mark.proof
def test_umap_keeps_neighbours_and_is_the_same_twice() -> None:
    values = np.random.default_rng(0).normal(size=(60, 2)) @ np.random.default_rng(1).normal(size=(2, 12))
    places = maps.project(values, "umap", 3)
    assert maps.kept(values, places, 10)[1].mean() > 0.8
    assert np.array_equal(places, maps.project(values, "umap", 3))


def test_settings_that_draw_nothing_are_refused(tmp_path: Path) -> None:
    for wrong in ({"method": "none"}, {"columns": ("a", "a")}, {"rows": 20}, {"columns": ("a",)}):
        with pytest.raises(ValidationError):
            Config(**wrong)
    with pytest.raises(InputError, match="no boundary"):
        mapped(tmp_path, small_models.ours("linear"), texts(tmp_path / "data"), columns=("a", "b"))
