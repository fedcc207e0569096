"""Every family of tasks through evaluate.quality and evaluate.validation, with predictors whose answers are known."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics
from support.fake_context import FakeContext

from modelyard.errors import InputError, StageError
from modelyard.methods import runtimes, tasks
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.evaluation import measuring
from modelyard.methods.tasks.tabular_regression import Quantity
from modelyard.methods.tasks.text_classification import Classification
from modelyard.stages.evaluate import quality, validation

RNG = np.random.default_rng(11)


def dataset(folder, columns, splits):
    """A data set from `{name: role}` and rows as tuples."""
    folder.mkdir(parents=True, exist_ok=True)
    rows_of = {split: [dict(zip(columns, row, strict=True)) for row in rows] for split, rows in splits.items()}
    some = [row for rows in rows_of.values() for row in rows]
    kinds = {name: pa.array([row[name] for row in some]).type for name in columns}
    schema = pa.schema([("row_id", pa.string()), *kinds.items()])
    write_schema(folder, [Column("row_id", "other", "string"),
                          *(Column(name, role, str(kinds[name])) for name, role in columns.items())])  # fmt: skip
    for split in ("train", "validation", "test"):
        rows = [{"row_id": f"{split}-{at}", **row} for at, row in enumerate(rows_of.get(split, []))]
        write_split(folder, split, [pa.Table.from_pylist(rows, schema=schema)], schema)
    return folder


class Fake:
    """A predictor of any task; `say` answers one record."""

    digest, runtime = "sha256:0", "fake 1"

    def __init__(self, task, say, labels=()):
        self.task, self.say, self.labels = task, say, tuple(labels)
        self.seen = []

    def predict(self, records):
        self.seen += records
        return [self.say(record) for record in records]

    def close(self): ...


@pytest.fixture
def measure(tmp_path, monkeypatch):
    def run(predictor, columns, splits, stage=quality, **settings):
        data = dataset(tmp_path / "data", columns, splits)
        monkeypatch.setattr(runtimes, "load", lambda path, **_: predictor)
        context = FakeContext(tmp_path, {"model": tmp_path, "data": data})
        stage.STAGE.run(stage.Config(**settings), context)
        name = "quality.json" if stage is quality else "validation.json"
        report = json.loads((tmp_path / "outputs/report" / name).read_text(encoding="utf-8"))
        values = {(m.claim.removeprefix("quality."), *m.slice.values()): m for m in context.measurements}
        assert {m.claim for m in context.measurements} <= {claim.name for claim in stage.STAGE.claims}
        return SimpleNamespace(context=context, report=report, values=values, folder=tmp_path / "outputs/report")

    return run


def test_every_task_has_a_family_and_every_family_a_task():
    assert set(tasks.NAMES) <= set(measuring.FAMILIES)
    for task in measuring.FAMILIES:
        assert measuring.find(task).measure
    with pytest.raises(InputError, match="cannot be measured"):
        measuring.find("clairvoyance")


def table(n, seed):
    rng = np.random.default_rng(seed)
    size, kind = rng.normal(size=n), rng.choice(["flat", "house"], n)
    value = 3 * size + 2.0 * (kind == "house") + rng.normal(0, 0.3, n) + 10
    return [
        (float(a), str(b), float(c), f"u{at % 9}") for at, (a, b, c) in enumerate(zip(size, kind, value, strict=True))
    ]


TABLE = {"size": "feature", "kind": "feature", "price": "label", "user": "group"}


def test_numbers_from_a_table_with_baselines_and_a_paired_skill(measure):
    fake = Fake("tabular-regression", lambda row: Quantity(3 * row["size"] + 2 * (row["kind"] == "house") + 10))
    test = table(150, 3)
    found = measure(fake, TABLE, {"train": table(200, 1), "validation": table(50, 2), "test": test}, rank_by="user")
    said = [3 * a + 2 * (b == "house") + 10 for a, b, _, _ in test]
    expected = metrics.root_mean_squared_error([row[2] for row in test], said)
    assert found.values[("rmse",)].value == pytest.approx(expected, abs=1e-12)
    assert found.values[("rmse",)].n == 150
    linear, mean = (found.values[(f"baseline_{name}_rmse",)] for name in ("linear", "mean"))
    assert linear.about == mean.about == "data"
    assert linear.value < 0.4 < mean.value
    skill = found.values[("skill_over_linear",)]
    assert skill.value == pytest.approx(1 - (expected / linear.value) ** 2)
    assert skill.interval[0] < skill.value < skill.interval[1]
    assert ("ndcg", "5") in found.values
    assert all("price" not in record for record in fake.seen)
    report = found.report
    assert report["task"] == "tabular-regression"
    assert report["residuals"]["points"][0] == pytest.approx([test[0][2], said[0]], rel=1e-5)
    assert sum(band["n"] for band in report["residuals"]["bands"]) == 150
    worst = report["largest_errors"][0]
    assert abs(worst["actual"] - worst["predicted"]) == pytest.approx(
        max(abs(a[2] - b) for a, b in zip(test, said, strict=True))
    )
    assert "kind=" in worst["text"]
    assert pq.read_table(found.folder / "predictions.parquet").column_names == ["row_id", "actual", "predicted"]


def test_a_number_that_is_none_stops_and_targets_that_are_none_are_left_out(measure):
    fake = Fake("text-regression", lambda row: Quantity(float("nan")))
    with pytest.raises(StageError, match="not a number"):
        measure(fake, {"text": "text", "y": "label"}, {"test": [("a", 1.0)]}, baselines=False)
    fake = Fake("text-regression", lambda row: Quantity(1.0))
    rows = [("a", 1.0), (None, 2.0), ("c", None), ("d", 2.0)]
    found = measure(fake, {"text": "text", "y": "label"}, {"train": rows[:1], "test": rows})
    assert found.report["left_out"] == ["test-1", "test-2"]
    assert any("2 test rows" in line for line in found.context.said)
    assert found.report["contamination"]["rows"] == 1
    assert found.values[("mae", "not in train")].value == 1.0


def classified(label, a):
    return Classification(label, {"a": a, "b": 1 - a})


def test_tables_have_a_logistic_baseline_and_twins_share_their_label(measure):
    def rows(n, seed):
        return [(a, k, "b" if v > 11 else "a", u) for a, k, v, u in table(n, seed)]

    columns = {"size": "feature", "kind": "feature", "label": "label", "user": "group"}
    train = rows(200, 1)
    test = [*rows(120, 3), train[0], (*train[1][:2], "a" if train[1][2] == "b" else "b", "u1")]
    fake = Fake("tabular-classification", lambda row: classified("ba"[row["size"] < 0], float(row["size"] < 0)), "ab")
    splits = {"train": train, "validation": rows(50, 2), "test": test}
    found = measure(fake, columns, splits, order=("a", "b"), costs={"b": {"a": 3}}, rank_by="user", cutoffs=(2,))
    assert found.values[("baseline_linear_accuracy",)].value > 0.85
    assert found.report["contamination"]["rows"] == 1  # the other has the same features and another label
    actual, said = [row[2] for row in test], ["a" if row[0] < 0 else "b" for row in test]
    assert found.values[("kappa_quadratic",)].value == pytest.approx(
        metrics.cohen_kappa_score(actual, said, weights="quadratic")
    )
    costs = [0 if x == y else (3 if x == "b" else 1) for x, y in zip(actual, said, strict=True)]
    assert found.values[("mean_cost",)].value == pytest.approx(np.mean(costs))
    assert found.values[("hit_rate", "2")].n == 9
    assert {row["name"] for row in found.report["ranked"]} == {"map", "mrr", "ndcg", "recall_at_k", "hit_rate"}
    assert "top_k" in found.report
    assert found.report["top_k"] == []


def test_settings_that_name_other_classes_are_refused(measure):
    fake = Fake("text-classification", lambda row: classified("a", 0.9), "ab")
    for settings in ({"order": ("a", "c")}, {"costs": {"a": {"z": 1}}}):
        with pytest.raises(InputError, match="does not fit the labels"):
            measure(fake, {"text": "text", "y": "label"}, {"test": [("x", "a")]}, **settings)


def test_pictures_are_measured_beside_the_commonest_class(measure):
    said = {True: classified("a", 0.9), False: classified("b", 0.2)}
    fake = Fake("image-classification", lambda row: said[row["image"] == b"1"], "ab")
    rows = [(b"1", "a"), (b"2", "b"), (b"1", "b"), (b"3", "b")]
    found = measure(fake, {"photo": "image", "y": "label"}, {"train": rows[2:], "test": rows})
    assert found.values[("accuracy",)].value == 0.75
    assert found.values[("baseline_majority_accuracy",)].value == 0.75
    assert ("baseline_linear_accuracy",) not in found.values
    assert found.report["contamination"]["rows"] == 3
    assert found.report["mistakes"][0]["row_id"] == "test-2"


def test_several_labels_and_a_cell_that_is_no_list(measure):
    def say(row):
        given = tuple(name for name in "xyz" if name in row["text"])
        return SimpleNamespace(labels=given, scores={name: 0.9 if name in given else 0.1 for name in "xyz"})

    rows = [("x y", '["x", "y"]'), ("z", "z"), ("x", "x;z"), ("", "[]"), ("y", "[broken")]
    found = measure(Fake("text-multi-label", say, "xyz"), {"text": "text", "y": "label"}, {"train": rows, "test": rows})
    assert found.values[("subset_accuracy",)].value == 0.75
    assert found.values[("hamming_loss",)].value == pytest.approx(1 / 12)
    assert found.values[("recall", "z")].value == 0.5
    assert found.report["left_out"] == ["test-4"]
    assert found.report["mistakes"][0] == {"row_id": "test-2", "text": "x", "label": "x, z", "predicted": "x"}
    assert [row["label"] for row in found.report["per_class"]] == ["x", "y", "z"]


def test_spans_by_type_with_what_was_missed(measure):
    def say(row):
        at = row["text"].find("Ada")
        found = [SimpleNamespace(start=at, end=at + 3, label="PER")] if at >= 0 else []
        return SimpleNamespace(spans=found)

    marked = json.dumps([{"start": 0, "end": 3, "label": "PER"}, {"start": 13, "end": 18, "label": "LOC"}])
    rows = [("Ada lives in Paris", marked), ("Bob knows Ada", '[{"start": 0, "end": 3, "label": "PER"}]')]
    found = measure(
        Fake("token-classification", say), {"text": "text", "spans": "other"}, {"train": [], "test": rows * 6}
    )
    assert found.values[("span_precision",)].value == 0.5
    assert found.values[("span_recall",)].value == pytest.approx(1 / 3)
    assert found.values[("span_f1", "LOC")].value == 0
    assert found.report["span_types"][0] | {"precision": 0, "recall": 0, "f1": 0} == {
        "type": "LOC", "n": 6, "found": 0, "precision": 0, "recall": 0, "f1": 0}  # fmt: skip
    first = next(row for row in found.report["span_mistakes"] if row["row_id"] == "test-1")
    assert (first["missed"], first["wrong"]) == (["PER: Bob"], ["PER: Ada"])


class Speaker(Fake):
    """Writes what `say` gives; a text is the likelier the shorter it is."""

    def log_likelihood(self, records):
        texts = [record.get("answer", record.get("prompt", record.get("text"))) for record in records]
        return [
            SimpleNamespace(log_probability=-0.5 * len(text), tokens=len(text), bytes=len(text.encode()))
            for text in texts
        ]


def test_written_answers_beside_the_wanted_ones(measure):
    fake = Speaker("text-generation", lambda row: SimpleNamespace(text=row["text"].upper(), unread=0))
    rows = [(f"word {n}", f"Word {n}." if n % 2 else "else") for n in range(24)]
    found = measure(fake, {"question": "text", "answer": "other"}, {"train": [], "test": rows})
    assert found.values[("exact_match",)].value == 0.5
    assert found.values[("perplexity_token",)].value == pytest.approx(np.exp(0.5))
    assert found.values[("bits_per_byte",)].value == pytest.approx(0.5 / np.log(2))
    assert 0 < found.values[("chrf",)].value < 100
    assert found.report["samples"][1] == {"row_id": "test-1", "text": "word 1", "wanted": "Word 1.", "said": "WORD 1"}


def test_several_draws_measure_the_chance_of_a_pass(measure):
    fake = Speaker("text-generation", lambda row: SimpleNamespace(text="yes" if row["seed"] < 2 else "no", unread=0))
    found = measure(
        fake, {"text": "text", "answer": "other"}, {"test": [("q", "yes")] * 5}, samples=4, cutoffs=(1, 2, 8)
    )
    assert found.values[("pass_at_k", "1")].value == 0.5
    assert found.values[("pass_at_k", "2")].value == pytest.approx(1 - 1 / 6)
    assert ("pass_at_k", "8") not in found.values


def test_choices_by_likelihood_and_by_likelihood_a_byte(measure):
    fake = Speaker("text-generation", lambda row: None)
    fake.log_likelihood = lambda records: [
        SimpleNamespace(
            log_probability={"no": -2.0, "certainly": -3.0}[one["answer"]], tokens=1, bytes=len(one["answer"])
        )
        for one in records
    ]
    rows = [("q1", '["no", "certainly"]', "no"), ("q2", '["no", "certainly"]', "1"), ("q3", '["no"]', "what")]
    columns = {"text": "text", "options": "other", "y": "label"}
    found = measure(fake, columns, {"test": rows}, choices="options", baselines=False)
    assert found.values[("choice_accuracy",)].value == 0.5
    assert found.values[("choice_accuracy_normalised",)].value == 0.5
    assert found.report["left_out"] == ["test-2"]
    assert found.report["samples"][1]["said"] == "no"


def test_a_chat_is_asked_without_its_last_turn_and_texts_alone_get_perplexity(measure):
    fake = Speaker("text-generation", lambda row: SimpleNamespace(text=row["messages"][-1]["content"], unread=2))
    chat = json.dumps([{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hi"}])
    fake.log_likelihood = lambda records: [SimpleNamespace(log_probability=-1.0, tokens=1, bytes=2) for _ in records]
    found = measure(fake, {"messages": "other"}, {"test": [(chat,), ("[]",)]}, baselines=False)
    assert found.values[("exact_match",)].value == 1.0
    assert found.report["left_out"] == ["test-1"]
    assert found.report["cut_prompts"] == 1
    silent = Speaker("text-generation", lambda row: None)
    found = measure(silent, {"text": "text"}, {"train": [], "validation": [("abc",)] * 6, "test": []}, stage=validation)
    assert found.values[("perplexity_byte",)].value == pytest.approx(np.exp(0.5))
    with pytest.raises(InputError, match="no likelihoods"):
        measure(Fake("text-generation", lambda row: None), {"text": "text"}, {"test": [("abc",)]})


def test_embeddings_by_rank_and_by_search(measure):
    vectors = {"a": [1, 0], "a2": [0.9, 0.1], "b": [0, 1], "b2": [0.1, 0.9], "c": [0.7, 0.7], "c2": [-1, 0]}
    fake = Fake("sentence-embedding", lambda row: SimpleNamespace(vector=vectors[row["text"]]))
    columns = {"text": "text", "text_b": "other", "y": "label"}
    found = measure(fake, columns, {"test": [("a", "a2", 1.0), ("b", "b2", 1.0), ("c", "c2", 1.0)]}, cutoffs=(1, 3))
    assert found.values[("retrieval_recall", "1")].value == pytest.approx(2 / 3)
    assert found.values[("retrieval_recall", "3")].value == 1.0
    graded = [("a", "a2", 5.0), ("a", "c", 3.0), ("a", "b", 1.0), ("a", "c2", 0.0)]
    found = measure(fake, columns, {"test": graded})
    assert found.values[("spearman",)].value == pytest.approx(1.0)
    assert not [key for key in found.values if key[0] == "retrieval_recall"]
    renamed = {"text": "text", "sentence2": "other", "y": "label"}
    named = measure(fake, renamed, {"test": graded}, answer="sentence2")
    assert named.values[("spearman",)].value == pytest.approx(1.0)


def test_masks_of_the_data_and_masks_in_turn(measure):
    def say(row):
        assert row["top_k"] == 2
        return SimpleNamespace(candidates=[SimpleNamespace(token=token, mask=0) for token in ("tea", "rice")])

    rows = [("I like [MASK]", "tea"), ("I eat [MASK]", "rice"), ("I am [MASK]", "well")]
    found = measure(Fake("fill-mask", say), {"text": "text", "y": "label"}, {"test": rows}, cutoffs=(1, 2))
    assert found.values[("mask_accuracy", "1")].value == pytest.approx(1 / 3)
    assert found.values[("mask_accuracy", "2")].value == pytest.approx(2 / 3)
    fake = Fake("fill-mask", say)
    fake.pseudo_likelihood = lambda records, most: [
        SimpleNamespace(ranks=(1, 7), log_probabilities=(-1.0, -3.0)) for _ in records
    ]
    found = measure(fake, {"text": "text"}, {"test": [(f"abc {n}",) for n in range(6)]}, cutoffs=(1,))
    assert found.values[("mask_accuracy", "1")].value == 0.5
    assert found.values[("pseudo_perplexity",)].value == pytest.approx(np.exp(2))


def test_validation_and_test_share_one_table_of_claims():
    of_validation = {claim.name: claim for claim in validation.STAGE.claims}
    of_test = {claim.name: claim for claim in quality.STAGE.claims}
    assert {name: of_test[name] for name in of_validation} == of_validation
    assert set(of_test) - set(of_validation) == {claim.name for claim in quality.claims.BESIDE}


def test_programs_that_pass_their_tests_are_pass_at_k(measure):
    said = {
        0: "    return a + b\n",
        1: "    return a - b\n",
        2: "```python\ndef add(a, b):\n    return b + a\n```",
        3: "((",
    }
    fake = Fake("text-generation", lambda row: SimpleNamespace(text=said[row["seed"]], unread=0))
    rows = [("def add(a, b):\n", "assert add(2, 3) == 5"), ("def add(a, b):\n", "assert add(2, 3) == 6")]
    columns = {"prompt": "text", "tests": "other"}
    settings = {"tests": "tests", "run_code": True, "samples": 4, "cutoffs": (1, 2)}
    found = measure(fake, columns, {"test": rows}, **settings)
    assert found.values[("pass_at_k", "1")].value == 0.25
    assert found.values[("pass_at_k", "2")].value == pytest.approx((1 - 1 / 6) / 2)
    assert not any(name[0] == "exact_match" for name in found.values)


def test_code_runs_only_where_it_is_said(measure):
    with pytest.raises(ValueError, match="run_code"):
        quality.Config(tests="tests")
