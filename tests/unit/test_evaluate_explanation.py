"""The stage `evaluate.explanation`: what it finds, measures and says, on every kind of model."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.evaluation.explanation.cases import sample, with_groups
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.evaluate.explanation import Config, run
from modelyard.stages.train import tabular
from tests.support import small_models
from tests.support.fake_context import FakeContext
from tests.support.small_tables import people, write_table

SMALL = {"rows": 8, "mistakes": 2, "questions": 64, "steps": 8, "orders": 4, "test_rows": 60, "train_rows": 120}


def explained(root: Path, model: Path, data: Path, **settings: Any) -> tuple[FakeContext, dict[str, Any]]:
    context = FakeContext(root, {"model": model, "data": data})
    run(Config(**{**SMALL, **settings}), context)
    return context, json.loads((root / "outputs" / "report" / "explanation.json").read_text(encoding="utf-8"))


def values(context: FakeContext, claim: str) -> dict[str, float]:
    return {next(iter(one.slice.values()), ""): one.value for one in context.measurements if one.claim == claim}


@pytest.fixture(scope="module")
def of_texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[FakeContext, dict[str, Any]]:
    root = tmp_path_factory.mktemp("texts")
    (root / "data").mkdir()
    return explained(root, small_models.huggingface(), small_models.divided(root / "data"))


def test_every_method_for_texts_is_measured_and_beats_random_orders(of_texts: Any) -> None:
    context, _ = of_texts
    gains = values(context, "explanation.faithfulness_gain")
    assert set(gains) == {
        "shap", "lime", "occlusion", "integrated_gradients", "gradient_input", "attention_rollout",
    }  # fmt: skip
    assert gains["shap"] > 0.1
    assert gains["shap"] > gains["attention_rollout"]
    for name in gains:
        assert values(context, "explanation.deletion_auc")[name] <= 1
    intervals = [one.interval for one in context.measurements if one.claim == "explanation.faithfulness_gain"]
    assert all(ends and ends[0] < ends[1] for ends in intervals)


def test_explanations_change_when_the_weights_are_shuffled(of_texts: Any) -> None:
    context, _ = of_texts
    found = values(context, "explanation.sanity_correlation")
    assert abs(found["shap"]) < 0.6
    assert {one.n for one in context.measurements if one.claim == "explanation.sanity_correlation"} <= set(range(1, 9))


def test_what_was_asked_and_how_well_it_is_known_is_measured_and_too_few_questions_are_said(
    of_texts: Any, tmp_path: Path
) -> None:
    context, _ = of_texts
    assert values(context, "explanation.questions")["lime"] == 64
    assert 0 < values(context, "explanation.sampling_error")["lime"] < 2
    assert values(context, "explanation.additivity_gap")["shap"] == pytest.approx(0, abs=1e-9)
    data = small_models.divided(tmp_path)
    few, _ = explained(
        tmp_path / "few", small_models.ours("cnn"), data, questions=16, whole=False, sanity=False, methods=("shap",)
    )
    assert values(few, "explanation.sampling_error")["shap"] > 0.3
    assert any("too few questions" in line for line in few.said)
    enough, _ = explained(
        tmp_path / "enough", small_models.ours("cnn"), data, questions=None, whole=False, sanity=False,
        methods=("shap",), rows=5,
    )  # fmt: skip
    assert values(enough, "explanation.sampling_error")["shap"] == 0
    assert not any("too few questions" in line for line in enough.said)


def test_rules_of_a_text_model_ask_for_words(of_texts: Any) -> None:
    context, value = of_texts
    assert values(context, "explanation.surrogate_fidelity")[""] > 0.6
    tables = [one for one in value["blocks"] if one["kind"] == "table"]
    assert any("text ∋" in row[0] for table in tables for row in table["rows"])


def test_texts_are_marked_piece_by_piece_and_kept_out_when_asked(of_texts: Any, tmp_path: Path) -> None:
    _, value = of_texts
    tokens = next(one for one in value["blocks"] if one["kind"] == "tokens")
    marked = tokens["texts"][0]
    assert max(abs(weight) for _, weight in marked["pieces"]) == 1
    made = {f"test{place}": row[0] for place, row in enumerate(small_models.rows(120, 5))}
    assert "".join(piece for piece, _ in marked["pieces"]) == made[marked["note"]["values"]["row"]]
    data = tmp_path / "data"
    data.mkdir()
    small_models.divided(data)
    _, hidden = explained(
        tmp_path, small_models.ours("linear"), data, texts=False, whole=False, sanity=False, methods=("occlusion",)
    )
    assert not [one for one in hidden["blocks"] if one["kind"] == "tokens"]


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data, found = small_models.divided(tmp_path / "data"), []
    for name in ("a", "b"):
        explained(tmp_path / name, small_models.ours("blend"), data, rows=5, whole=False, sanity=False)
        found.append((tmp_path / name / "outputs" / "report" / "explanation.json").read_bytes())
    assert found[0] == found[1]


def test_a_format_without_gradients_is_explained_by_what_only_asks_and_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    model = small_models.exported("cnn", "onnx")
    context, _ = explained(tmp_path, model, small_models.divided(tmp_path / "data"), rows=5, whole=False)
    assert set(values(context, "explanation.deletion_auc")) == {"shap", "lime", "occlusion"}
    assert any("onnx" in line and "integrated_gradients" in line for line in context.said)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tables")
    splits = {"train": people(300), "validation": people(80, 1), "test": people(100, 2)}
    for target in ("class", "number"):
        data = write_table(root / target, splits, target)
        context = FakeContext(root / f"{target}-run", {"data": data})
        settings: dict[str, Any] = {"rounds": 40}
        tabular.run(tabular.Config(target=target, trees=settings), context)
    return root


def test_boosted_trees_are_explained_from_inside_and_as_a_whole(tables: Path, tmp_path: Path) -> None:
    model = tables / "class-run" / "outputs" / "model"
    context, value = explained(tmp_path, model, tables / "class", background=4)
    importance = values(context, "explanation.permutation_importance")
    assert set(importance) == {"age", "city", "income", "code"}
    assert min(importance["age"], importance["city"]) > importance["code"] + 0.02
    assert "tree_shap" in values(context, "explanation.faithfulness_gain")
    assert values(context, "explanation.surrogate_fidelity")[""] > 0.6
    kinds = [one["kind"] for one in value["blocks"]]
    assert {"bars", "lines", "table", "swarm", "forces", "figures"} <= set(kinds)
    by_title = {str(one["title"].get("template", one["title"]) if isinstance(one["title"], dict) else one["title"]): one
                for one in value["blocks"]}  # fmt: skip
    for row in by_title["The model as rules, nearly"]["rows"]:
        assert row[4] is None or 0 <= float(row[4]) <= 1
    assert sum(row[3] for row in by_title["The model as rules, nearly"]["rows"]) == 60
    assert len(by_title["The rule each row falls under"]["rows"]) == 10
    assert any(" < " in row[2] or "≤" in row[2] for row in by_title["Where {row} stays {answer}"]["rows"])
    assert by_title["What would have to be different"]["rows"]
    ends = {row["row_id"]: row["ends"]["tree_shap"] for row in value["data"]["rows"]}
    for one in value["blocks"]:
        if one["kind"] == "forces":
            base, whole = ends[one["title"]["values"]["row"]]
            assert one["base"] == base
            assert one["base"] + sum(push["value"] for push in one["pushes"]) == pytest.approx(whole)
    swarm = next(one for one in value["blocks"] if one["kind"] == "swarm")
    ages = next(one for one in swarm["lines"] if one["name"] == "age")["spots"]
    shares = [spot["share"] for spot in ages if spot["share"] is not None]
    assert min(shares) < 0.3 < 0.7 < max(shares)
    for row in value["data"]["rows"]:
        base, whole = row["ends"]["shap"]
        assert sum(row["values"]["shap"]) == pytest.approx(whole - base)
    assert any("gbdt" in line for line in context.said)


def test_what_sets_groups_apart_adds_up_to_the_difference_of_their_answers(tables: Path, tmp_path: Path) -> None:
    model = tables / "class-run" / "outputs" / "model"
    settings: dict[str, Any] = {"rows": 40, "background": 2, "methods": ("tree_shap",), "sanity": False, "whole": False}
    context, value = explained(tmp_path, model, tables / "class", group="city", **settings)
    found = {
        (one.slice["group"], one.slice["column"]): one.value
        for one in context.measurements if one.claim == "explanation.group_gap"
    }  # fmt: skip
    assert {group for group, _ in found} == {"Bonn", "Ulm", "重庆"}
    for group in ("Bonn", "Ulm"):
        parts = [found[group, column] for column in ("age", "city", "income", "code")]
        assert sum(parts) == pytest.approx(found[group, "all columns"])
        assert abs(found[group, "city"]) == max(map(abs, parts))
    assert found["Ulm", "city"] > 0.5 > -0.5 > found["Bonn", "city"]
    assert any(one["kind"] == "bars" and "city" in str(one["title"]) for one in value["blocks"])
    with pytest.raises(InputError, match="town"):
        explained(tmp_path / "no", model, tables / "class", group="town", **settings)


@pytest.mark.parametrize("method", ["tree_shap", "shap"])
def test_of_more_than_two_classes_each_is_compared_by_itself(method: str, tmp_path: Path) -> None:
    splits = {"train": people(300), "validation": people(80, 1), "test": people(100, 2)}
    for row in (row for rows in splits.values() for row in rows):
        row["label"] = {"Bonn": "north", "Ulm": "south"}.get(str(row["city"]), "far")
    data = write_table(tmp_path / "data", splits)
    context = FakeContext(tmp_path / "train", {"data": data})
    tabular.run(tabular.Config.model_validate({"trees": {"rounds": 20}}), context)
    model = tmp_path / "train" / "outputs" / "model"
    settings: dict[str, Any] = {"rows": 40, "background": 2, "questions": 16, "sanity": False, "whole": False}
    context, value = explained(tmp_path / "run", model, data, group="city", methods=(method,), **settings)
    found = {
        (one.slice["label"], one.slice["group"], one.slice["column"]): one.value
        for one in context.measurements if one.claim == "explanation.group_gap"
    }  # fmt: skip
    assert {label for label, _, _ in found} == {"north", "south", "far"}
    for label in ("north", "south", "far"):
        for group in ("Bonn", "Ulm"):
            parts = [found[label, group, column] for column in ("age", "city", "income", "code")]
            assert sum(parts) == pytest.approx(found[label, group, "all columns"])
            assert (found[label, group, "city"] > 0.3) == ((label, group) in {("north", "Bonn"), ("south", "Ulm")})
    said = [str(one["note"]) for one in value["blocks"] if one["kind"] == "bars" and "city" in str(one["title"])]
    assert {label for label in ("north", "south", "far") if any(label in one for one in said)} == {
        "north", "south", "far",
    }  # fmt: skip


def test_groups_too_small_to_compare_leave_the_rest_standing(tables: Path, tmp_path: Path) -> None:
    model = tables / "class-run" / "outputs" / "model"
    settings: dict[str, Any] = {"rows": 8, "background": 2, "sanity": False, "whole": False, "mistakes": 0}
    context, _ = explained(tmp_path / "many", model, tables / "class", group="city", methods=("tree_shap",),
                           **settings)  # fmt: skip
    claims = {one.claim for one in context.measurements}
    assert "explanation.group_gap" not in claims
    assert "explanation.deletion_auc" in claims
    assert any("group_gap" in line and "no two groups have 5 rows" in line for line in context.said)
    context, _ = explained(tmp_path / "lime", model, tables / "class", group="city", methods=("occlusion",), **settings)
    assert any("group_gap" in line and "SHAP" in line for line in context.said)
    context, _ = explained(tmp_path / "few", model, tables / "class", group="city", methods=("tree_shap",),
                           **settings | {"rows": 10})  # fmt: skip
    assert "explanation.group_gap" in {one.claim for one in context.measurements}


def test_the_sample_holds_enough_rows_of_each_group_that_fits() -> None:
    ids = [f"r{number}" for number in range(200)]
    groups = ["rare" if number % 20 == 0 else "b" if number % 3 == 0 else "a" for number in range(200)]
    drawn = with_groups(ids, groups, 10, 0, "explanation")
    assert drawn == sorted(set(drawn))
    counted = Counter(groups[place] for place in drawn)
    assert counted == {"a": 5, "b": 5}
    assert min(Counter(groups[place] for place in with_groups(ids, groups, 20, 0, "explanation")).values()) >= 5
    assert with_groups(ids, ["one"] * 200, 10, 3, "explanation") == sample(ids, 10, 3, "explanation")
    assert with_groups(ids, ids, 10, 3, "explanation") == sample(ids, 10, 3, "explanation")
    assert len(with_groups(ids[:4], groups[:4], 10, 0, "explanation")) == 4


def test_a_true_label_that_the_model_does_not_know_is_never_answered() -> None:
    import numpy as np

    from modelyard.methods.evaluation.explanation.permutation import wrongness

    outputs = np.array([[0.1, 0.9], [0.1, 0.9], [0.9, 0.1]])
    assert wrongness(["yes", "maybe", "no"], ["no", "yes"])(outputs).tolist() == [0, 1, 0]


def test_numbers_are_explained_too(tables: Path, tmp_path: Path) -> None:
    model = tables / "number-run" / "outputs" / "model"
    context, _ = explained(tmp_path, model, tables / "number", background=4)
    assert values(context, "explanation.permutation_importance")["city"] > 10
    assert 0 < values(context, "explanation.surrogate_fidelity")[""] <= 1
    assert values(context, "explanation.faithfulness_gain")["shap"] > 0


def test_a_task_that_has_no_single_answer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "model").mkdir()
    ModelCard("text-generation", "hf", (), {"kind": "tokens"}).write(tmp_path / "model")
    with pytest.raises(InputError, match="text-generation"):
        explained(tmp_path, tmp_path / "model", small_models.divided(tmp_path / "data"))


def test_pictures_are_explained_by_patches_and_maps(tmp_path: Path) -> None:
    import numpy as np
    import torch

    from modelyard.methods import networks
    from modelyard.methods.evaluation.explanation.players import png

    spec = {"kind": "image_cnn", "channels": 1, "num_labels": 2, "widths": [4, 8]}
    pixels = {"kind": "image", "height": 12, "width": 12, "channels": 1, "mean": [0.5], "std": [0.5], "fit": "stretch"}
    model, data = tmp_path / "model", tmp_path / "data"
    model.mkdir()
    data.mkdir()
    torch.manual_seed(0)
    networks.save(networks.build(spec), model)
    ModelCard("image-classification", "modelyard", ("a", "b"), pixels, spec).write(model)
    write_schema(
        data,
        [Column("row_id", "other", "string"), Column("image", "image", "binary"), Column("label", "label", "string")],
    )
    schema = pa.schema([("row_id", pa.string()), ("image", pa.binary()), ("label", pa.string())])
    generator = np.random.default_rng(0)
    for split in ("train", "test"):
        images = [png(generator.integers(0, 255, (12, 12, 1), dtype=np.uint8)) for _ in range(8)]
        rows = {"row_id": [f"{split}{place}" for place in range(8)], "image": images, "label": ["a", "b"] * 4}
        write_split(data, split, [pa.table(rows, schema=schema)], schema)
    context, value = explained(tmp_path, model, data, rows=6, grid=3)
    assert set(values(context, "explanation.deletion_auc")) == {
        "shap", "lime", "occlusion", "integrated_gradients", "gradient_input", "grad_cam",
    }  # fmt: skip
    assert [one for one in value["blocks"] if one["kind"] == "pictures"]
    assert len(value["data"]["rows"][0]["values"]["grad_cam"]) == 9
