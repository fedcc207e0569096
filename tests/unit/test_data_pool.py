"""data.select and data.pseudo_label: rows of a pool are asked about or join train, never validation, each once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.fake_context import FakeContext
from support.small_model import reviews, write_dataset, write_linear_model

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.labelling import queue
from modelyard.methods.data.row_random import ranks
from modelyard.methods.evaluation.label_quality import pseudo
from modelyard.methods.evaluation.rows import LabelledRows
from modelyard.methods.tasks.text_classification import Classification
from modelyard.stages.data import pseudo_label, select

NEW = ("很好吃，真的", "太难吃了，真的", "送餐很快", "味道很差，一般", "嗯", "还会再来吧")


def write_pool(folder, rows, label=False):
    """Rows of (row id, text) or (row id, text, label), with columns of other names than the data's."""
    folder.mkdir(parents=True)
    columns = [Column("row_id", "other", "string"), Column("message", "text", "string"),
               Column("shop", "feature", "string")]  # fmt: skip
    columns += [Column("said", "label", "string")] if label else []
    write_schema(folder, columns)
    schema = pa.schema([(column.name, pa.string()) for column in columns])
    values = [[row[0] for row in rows], [row[1] for row in rows], ["x"] * len(rows)]
    values += [[row[2] for row in rows]] if label else []
    write_split(folder, "all", [pa.table([pa.array(value, pa.string()) for value in values], schema)], schema)
    return folder


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    folder = tmp_path_factory.mktemp("known")
    splits = {"train": reviews(60, 0, mark="t"), "validation": reviews(400, 1, noise=0.0, mark="v")}
    return write_dataset(folder / "data", splits), write_linear_model(folder / "model", splits["train"])


def context_of(root, known, rows, label=False, model=True):
    ports = {"data": known[0], "pool": write_pool(root / "pool", rows, label)}
    return FakeContext(root, ports | ({"model": known[1]} if model else {}))


def known_rows(known):
    data = Dataset.open(known[0])
    return [
        ("again", data.column("train", "review")[0]),
        ("AGAIN", f"  {data.column('validation', 'review')[0].upper()}  "),
        ("train-5", "a text of its own"),
    ]


def pool_rows():
    return [(f"p{place}", text) for place, text in enumerate(NEW)]


@pytest.mark.parametrize("strategy", ["margin", "k_centre", "cluster_margin", "badge", "random"])
def test_only_new_rows_are_asked_about_and_each_text_once(strategy, known, tmp_path):
    rows = [*pool_rows(), ("twice", NEW[0]), ("empty", " "), *known_rows(known)]
    context = context_of(tmp_path, known, rows)
    select.run(select.Config(strategy=strategy, rows=50, dimensions=4), context)
    found = queue.read(tmp_path / "outputs" / "queue")
    assert sorted(item.row_id for item in found.items) == [f"p{place}" for place in range(len(NEW))]
    assert all(item.given is None and item.why == "next" and item.suggested in ("bad", "good") for item in found.items)
    assert found.labels == ("bad", "good")
    assert "4 rows of the pool are not asked about: known already" in context.said


def test_a_batch_is_as_large_as_it_is_set_and_the_least_certain_row_is_in_it(known, tmp_path):
    context = context_of(tmp_path, known, pool_rows())
    select.run(select.Config(strategy="margin", rows=2), context)
    found = queue.read(tmp_path / "outputs" / "queue").items
    assert len(found) == 2
    assert found[0].text == "嗯"  # it has no word that the model knows
    assert context.value("data.selected_rows") == 2


def test_rows_that_people_have_labelled_are_not_asked_about(known, tmp_path):
    rows = [(row_id, text, "good" if row_id == "p0" else None) for row_id, text in pool_rows()]
    context = context_of(tmp_path, known, rows, label=True)
    select.run(select.Config(rows=50), context)
    assert "p0" not in [item.row_id for item in queue.read(tmp_path / "outputs" / "queue").items]


def test_a_pool_without_anything_new_is_an_error(known, tmp_path):
    with pytest.raises(InputError, match="no row that is not known"):
        select.run(select.Config(), context_of(tmp_path, known, known_rows(known)))


def test_sure_answers_join_train_with_weight_and_origin_and_validation_stays(known, tmp_path):
    rows = [*pool_rows(), *known_rows(known)]
    context = context_of(tmp_path, known, rows)
    pseudo_label.run(pseudo_label.Config(precision=0.9), context)
    before, after = Dataset.open(known[0]), Dataset.open(tmp_path / "outputs" / "data")
    table = after.table("train").to_pylist()
    added = {row["row_id"]: row for row in table if row["origin"] == "model"}
    assert set(added) == {"p0", "p1", "p2", "p3", "p5"}
    assert (added["p0"]["y"], added["p1"]["y"]) == ("good", "bad")
    assert {row["weight"] for row in added.values()} == {0.5}
    assert {(row["origin"], row["weight"]) for row in table if row["row_id"] not in added} == {("given", 1.0)}
    assert after.table("validation", ["row_id", "review", "y"]).equals(before.table("validation"))
    assert set(after.column("validation", "origin")) == {"given"}
    log = Dataset.open(tmp_path / "outputs" / "removed").table("all").to_pylist()
    assert {row["row_id"] for row in log} == set(added)
    assert {(row["action"], row["reason"]) for row in log} == {("added", "pseudo-labelled")}
    assert context.value("data.pseudo_labels") == 5


def test_precision_is_measured_on_rows_that_did_not_choose_the_threshold(known, tmp_path):
    context = context_of(tmp_path, known, pool_rows())
    pseudo_label.run(pseudo_label.Config(precision=0.9, threshold="global"), context)
    (found,) = [one for one in context.measurements if one.claim == "data.pseudo_label_precision" and not one.slice]
    assert found.n <= 200  # of 400 rows of validation
    assert found.interval[0] <= found.value <= found.interval[1]
    assert found.on == "data/validation"


class Sure:
    """A predictor that always says good, surely."""

    labels = ("bad", "good")

    def predict(self, records):
        return [Classification("good", {"bad": 0.0, "good": 1.0}) for _ in records]


def test_the_half_that_chooses_does_not_measure():
    """All rows of one half are right, all of the other wrong: the one lets all through, the other shows it."""
    ids = tuple(f"v{place}" for place in range(200))
    first = set(ranks(0, pseudo.PURPOSE, ids).argsort(kind="stable")[:100].tolist())
    labels = tuple("good" if place in first else "bad" for place in range(200))
    found = pseudo.choose(Sure(), LabelledRows(ids, ids, labels), 0.9, 0.05, "global", 0)
    assert found.any
    assert (found.precision.right, found.precision.n) == (0, 100)


def test_a_target_out_of_reach_adds_nothing_and_says_so(known, tmp_path):
    noisy = write_dataset(tmp_path / "noisy", {"train": reviews(60, 0), "validation": reviews(200, 3, noise=0.4)})
    context = context_of(tmp_path, (noisy, known[1]), pool_rows())
    pseudo_label.run(pseudo_label.Config(precision=0.95), context)
    assert any("nothing is pseudo-labelled" in line for line in context.said)
    assert Dataset.open(tmp_path / "outputs" / "data").num_rows("train") == 60
    assert not [one for one in context.measurements if one.claim == "data.pseudo_label_precision"]


def test_labels_of_people_are_added_as_they_are_without_any_model(known, tmp_path):
    rows = [("p0", NEW[0], "bad"), ("p1", NEW[1], None)]
    context = context_of(tmp_path, known, rows, label=True, model=False)
    pseudo_label.run(pseudo_label.Config(pseudo=False), context)
    added = [
        row for row in Dataset.open(tmp_path / "outputs/data").table("train").to_pylist() if row["origin"] != "given"
    ]
    assert [(row["row_id"], row["y"], row["weight"], row["origin"]) for row in added] == [("p0", "bad", 1.0, "people")]


def test_pseudo_labels_without_a_model_are_an_error(known, tmp_path):
    with pytest.raises(InputError, match="no model"):
        pseudo_label.run(pseudo_label.Config(), context_of(tmp_path, known, pool_rows(), model=False))


def test_a_second_use_keeps_where_labels_are_from(known, tmp_path):
    first = context_of(tmp_path / "one", known, [("p0", NEW[0], "bad")], label=True)
    pseudo_label.run(pseudo_label.Config(pseudo=False), first)
    extended = (tmp_path / "one" / "outputs" / "data", known[1])
    second = context_of(tmp_path / "two", extended, pool_rows())
    pseudo_label.run(pseudo_label.Config(precision=0.9), second)
    table = Dataset.open(tmp_path / "two" / "outputs" / "data").table("train").to_pylist()
    assert {row["row_id"]: row["origin"] for row in table if row["row_id"].startswith("p")} == {
        "p0": "people", "p1": "model", "p2": "model", "p3": "model", "p5": "model",
    }  # fmt: skip


def test_equal_inputs_give_equal_bytes(known, tmp_path):
    def files(root):
        pseudo_label.run(pseudo_label.Config(precision=0.9), context_of(root, known, pool_rows()))
        select.run(
            select.Config(rows=3), FakeContext(root, {"data": known[0], "pool": root / "pool", "model": known[1]})
        )
        return {path.relative_to(root): path.read_bytes() for path in sorted((root / "outputs").rglob("*.*"))}

    assert files(tmp_path / "one") == files(tmp_path / "two")
