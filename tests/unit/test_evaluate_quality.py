"""The stage evaluate.quality on a real model, and what it does when answers or data are not as they should be."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn import metrics
from support.fake_context import FakeContext
from support.small_model import reviews, write_dataset, write_linear_model

from modelyard.errors import InputError, StageError
from modelyard.methods import runtimes
from modelyard.methods.evaluation import baselines, claims
from modelyard.methods.evaluation.quality import Answers, measure
from modelyard.methods.tasks.text_classification import Classification
from modelyard.stages.evaluate import quality


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model, its data (30 of 200 test texts stand in train), the context after the stage ran, and its report."""
    root = tmp_path_factory.mktemp("quality")
    train = reviews(300, 1, mark="a")
    test = reviews(170, 2, mark="b") + [(f"  {text.upper()} ", label) for text, label in train[:30]]
    data = write_dataset(root / "data", {"train": train, "validation": reviews(60, 3, mark="c"), "test": test})
    model = write_linear_model(root / "model", train)
    context = FakeContext(root, {"model": model, "data": data})
    quality.STAGE.run(quality.Config(), context)
    return context, json.loads((root / "outputs/report/quality.json").read_text(encoding="utf-8")), test


def found(context: FakeContext, claim: str, **part: str):
    wanted = {key.rstrip("_"): value for key, value in part.items()}
    return next(m for m in context.measurements if m.claim == claim and dict(m.slice) == wanted)


def test_the_measured_numbers_are_scikit_learn_s_on_the_written_predictions(made):
    context, _, test = made
    table = pq.read_table(context.root / "outputs/report/predictions.parquet")
    labels = json.loads(table.schema.metadata[b"labels"])
    rows = table.to_pydict()
    assert rows["label"] == [label for _, label in test]
    assert rows["row_id"] == [f"test-{number}" for number in range(200)]
    actual, predicted, scores = rows["label"], rows["predicted"], np.array(rows["scores"])
    assert labels == ["bad", "good"]
    expected = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "f1_macro": metrics.f1_score(actual, predicted, average="macro"),
        "f1_micro": metrics.f1_score(actual, predicted, average="micro"),
        "precision_weighted": metrics.precision_score(actual, predicted, average="weighted"),
        "roc_auc": metrics.roc_auc_score(np.array(actual) == "good", scores[:, 1]),
        "pr_auc": metrics.average_precision_score(np.array(actual) == "good", scores[:, 1]),
        "log_loss": metrics.log_loss(actual, scores, labels=labels),
        "mcc": metrics.matthews_corrcoef(actual, predicted),
    }
    for name, value in expected.items():
        assert found(context, f"quality.{name}").value == pytest.approx(value, abs=1e-12), name
    assert 0.6 < expected["accuracy"] < 1.0


def test_every_declared_claim_is_measured_and_every_measured_one_declared(made):
    context, _, _ = made
    of_classifiers = {claim.name for claim in (*claims.CLASSIFICATION, *claims.BESIDE)}
    others = {"quality.top_k_accuracy"}
    elsewhere = {"quality.skill_over_linear", "quality.baseline_mean_rmse", "quality.baseline_linear_rmse"}
    assert {m.claim for m in context.measurements} | others == of_classifiers - elsewhere
    assert of_classifiers < {claim.name for claim in quality.STAGE.claims}


def test_every_measurement_is_about_the_model_or_the_data_on_test_with_rows_and_an_interval_around_it(made):
    context, _, _ = made
    for m in context.measurements:
        assert m.on == "data/test"
        of_data = m.claim.startswith(("data.", "quality.baseline_"))
        assert m.about == ("data" if of_data else "model")
        assert m.n > 0
        if m.interval != "exact":
            low, high = m.interval
            assert low <= m.value <= high, m.claim
            assert high > low, m.claim


def test_per_class_numbers_bear_their_class_and_rest_on_its_rows(made):
    context, report, test = made
    good = sum(label == "good" for _, label in test)
    assert found(context, "quality.recall", class_="good").n == good
    one = next(row for row in report["per_class"] if row["label"] == "good")
    assert (one["n"], one["recall"]["n"]) == (good, good)
    assert one["precision"]["n"] == one["predicted"]


def test_texts_that_stand_in_train_are_counted_exactly_said_and_measured_apart(made):
    context, report, _ = made
    m = found(context, "data.test_contamination")
    assert (m.value, m.n, m.interval, m.about) == (30 / 200, 200, "exact", "data")
    assert report["contamination"] == {"rows": 30, "share": 0.15}
    assert any("30 of 200 test rows also stand in train" in line for line in context.said)
    assert found(context, "quality.accuracy", text="not in train").n == 170


def test_baselines_are_measured_on_the_same_rows_with_a_paired_gain(made):
    context, report, test = made
    linear = found(context, "quality.baseline_linear_accuracy").value
    gain = found(context, "quality.gain_over_linear")
    assert gain.value == pytest.approx(found(context, "quality.accuracy").value - linear, abs=1e-12)
    majority = found(context, "quality.baseline_majority_accuracy").value
    assert majority in {sum(label == one for _, label in test) / 200 for one in ("good", "bad")}
    assert linear > majority + 0.2
    assert [entry["name"] for entry in report["baselines"]] == ["majority", "linear"]
    assert report["baselines"][1]["units"] == "char"
    assert len(report["baselines"][1]["validation"]) == len(baselines.GRID)
    assert 0 <= report["gain_over_linear"]["mcnemar_mid_p"] <= 1


def test_mistakes_are_the_surest_wrong_answers_first(made):
    _, report, test = made
    rows = report["mistakes"]
    assert 0 < len(rows) <= 20
    assert [row["confidence"] for row in rows] == sorted((row["confidence"] for row in rows), reverse=True)
    for row in rows:
        text, label = test[int(row["row_id"].removeprefix("test-"))]
        assert (row["text"], row["label"]) == (text, label)
        assert row["predicted"] != label


def test_the_report_has_what_a_page_draws_and_progress_was_told(made):
    context, report, _ = made
    assert sum(map(sum, report["confusion"])) == report["n"] == 200
    assert [curve["label"] for curve in report["roc"]] == ["good"]
    assert len(report["roc"][0]["fpr"]) == len(report["roc"][0]["tpr"]) <= 200
    assert sum(row["n"] for row in report["reliability"]["bins"]) == 200
    assert report["reliability"]["null_median"] < report["reliability"]["null_95"]
    assert context.progressed[-1][2] == "fits"
    assert (200, 200, "rows") in context.progressed


def test_the_same_inputs_give_the_same_bytes_in_any_language(made, tmp_path, monkeypatch):
    context, _, _ = made
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    again = FakeContext(tmp_path, context.ports)
    quality.STAGE.run(quality.Config(), again)
    for name in ("quality.json", "predictions.parquet"):
        first, second = context.root / "outputs/report" / name, tmp_path / "outputs/report" / name
        assert first.read_bytes() == second.read_bytes()
    assert any("训练集" in line for line in again.said)


def test_texts_can_be_kept_out_of_the_report_and_long_ones_are_cut(made, tmp_path):
    context, _, _ = made
    quiet = FakeContext(tmp_path / "a", context.ports)
    quality.STAGE.run(quality.Config(texts=False, examples=3, baselines=False), quiet)
    report = json.loads((tmp_path / "a/outputs/report/quality.json").read_text(encoding="utf-8"))
    assert len(report["mistakes"]) == 3
    assert all("text" not in row for row in report["mistakes"])
    assert report["baselines"] == []
    assert not [m for m in quiet.measurements if "linear" in m.claim]


class Stub:
    """A predictor that answers with given scores for the class `b`, in the order asked."""

    digest, task, labels, runtime = "sha256:0", "text-classification", ("a", "b", "c"), "stub 1"

    def __init__(self, score) -> None:
        self.score = score
        self.closed = False

    def predict(self, records):
        answers = []
        for record in records:
            b = self.score(record["text"])
            scores = {"a": 0.9 - b, "b": b, "c": 0.1}
            answers.append(Classification(max(scores, key=scores.get), scores))
        return answers

    def close(self) -> None:
        self.closed = True


def run_stub(monkeypatch, tmp_path, test, stub, **settings):
    data = write_dataset(tmp_path / "data", {"train": [("x", "a"), ("y", "b")], "validation": [], "test": test})
    monkeypatch.setattr(runtimes, "load", lambda path, **_: stub)
    context = FakeContext(tmp_path, {"model": tmp_path, "data": data})
    quality.STAGE.run(quality.Config(**settings), context)
    return context


def test_labels_the_model_does_not_know_are_an_error_that_names_them(monkeypatch, tmp_path):
    stub = Stub(lambda text: 0.5)
    with pytest.raises(InputError, match=r"`d` \(2\), `e` \(1\)") as error:
        run_stub(monkeypatch, tmp_path, [("p", "a"), ("q", "d"), ("r", "d"), ("s", "e")], stub)
    assert "`a`, `b`, `c`" in str(error.value)
    assert stub.closed


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_score_that_is_no_number_stops_the_stage_and_names_the_row(monkeypatch, tmp_path, bad):
    with pytest.raises(StageError, match="test-1"):
        run_stub(monkeypatch, tmp_path, [("p", "a"), ("q", "b")], Stub(lambda text: bad if text == "q" else 0.5))


def test_an_empty_test_split_is_an_error_not_a_perfect_score(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="no row"):
        run_stub(monkeypatch, tmp_path, [], Stub(lambda text: 0.5))


def test_rows_without_text_or_label_are_left_out_counted_and_said(monkeypatch, tmp_path):
    context = run_stub(monkeypatch, tmp_path, [("p", "b"), (None, "b"), ("q", None), ("r", "a")], Stub(lambda t: 0.8))
    assert found(context, "quality.accuracy").n == 2
    assert any("2 test rows without a text or a label" in line for line in context.said)
    report = json.loads((tmp_path / "outputs/report/quality.json").read_text())
    assert report["left_out"] == ["test-1", "test-2"]


def test_one_class_in_test_gives_no_auc_and_says_so(monkeypatch, tmp_path):
    context = run_stub(monkeypatch, tmp_path, [("p", "b"), ("q", "b"), ("r", "b")], Stub(lambda text: 0.8))
    assert not [m for m in context.measurements if m.claim in ("quality.roc_auc", "quality.pr_auc", "quality.mcc")]
    assert any("quality" not in line and "roc_auc" in line for line in context.said)
    assert found(context, "quality.accuracy").value == 1.0


def test_a_class_the_model_never_meets_is_said_and_left_out_of_macro_averages(monkeypatch, tmp_path):
    rows = [(str(number), "ab"[number % 2]) for number in range(60)]
    context = run_stub(monkeypatch, tmp_path, rows, Stub(lambda text: 0.8 if int(text) % 2 else 0.1))
    assert found(context, "quality.f1_macro").value == 1.0
    assert any("recall of c" in line for line in context.said)
    assert not [m for m in context.measurements if dict(m.slice) == {"class": "c"} and m.claim == "quality.recall"]


def test_many_classes_get_top_k_and_macro_averages_of_one_against_the_rest():
    generator = np.random.default_rng(0)
    actual = generator.integers(0, 10, 400)
    logits = generator.normal(size=(400, 10)) + 2 * np.eye(10)[actual]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = tuple(f"c{number}" for number in range(10))
    measured = measure(Answers(labels, actual, scores.argmax(axis=1), scores))
    expected = metrics.roc_auc_score(actual, scores, multi_class="ovr", average="macro")
    assert measured.get("roc_auc").value == pytest.approx(expected, abs=1e-12)
    assert measured.get("pr_auc").value == pytest.approx(
        metrics.average_precision_score(np.eye(10)[actual], scores, average="macro"), abs=1e-12
    )
    assert measured.get("top_k_accuracy", k="3").value == metrics.top_k_accuracy_score(actual, scores, k=3)
    assert measured.get("top_k_accuracy", k="5").value == metrics.top_k_accuracy_score(actual, scores, k=5)
    assert all(estimate.interval is not None for estimate in measured.estimates)


def test_the_linear_baseline_is_deterministic_and_knows_english_from_chinese():
    english = [
        (f"the {word} product number {n}", label) for n in range(40) for word, label in (("good", "p"), ("bad", "n"))
    ]
    texts, labels = [text for text, _ in english], [label for _, label in english]
    first = baselines.linear((texts, labels), (texts[:20], labels[:20]), ["a good thing", "a bad thing"], seed=3)
    assert first == baselines.linear(
        (texts, labels), (texts[:20], labels[:20]), ["a good thing", "a bad thing"], seed=3
    )
    assert first.predicted == ("p", "n")
    assert first.units == "word+char"


def test_baselines_survive_one_class_no_validation_and_texts_without_letters():
    assert baselines.linear((["a", "b"], ["p", "p"]), ([], []), ["c"]).predicted == ("p",)
    assert baselines.linear((["", ""], ["p", "n"]), ([], []), ["c"]).predicted == ("n",)
    no_validation = baselines.linear((["很好", "很差"], ["p", "n"]), ([], []), ["很好"])
    assert (no_validation.predicted, no_validation.c, no_validation.validation) == (("p",), 1.0, {})
    assert baselines.majority(["b", "a", "a", "b"]) == "a"


@pytest.mark.parametrize("certain", [1.0, 0.9])
def test_labels_passed_for_scores_have_no_area_and_no_loss(certain):
    """Scores that only repeat the answer, as of a service that gives labels, are no evidence for what needs scores."""
    draw = np.random.default_rng(0)
    actual, predicted = draw.integers(0, 2, 200), draw.integers(0, 2, 200)
    scores = np.where(np.arange(2) == predicted[:, None], certain, 1 - certain)
    found = measure(Answers(("no", "yes"), actual, predicted, scores))
    assert found.get("accuracy") is not None
    for name in ("roc_auc", "pr_auc", "log_loss", "brier", "ece"):
        assert found.get(name) is None
        assert "hard labels" in found.missing[name]
    scores[0] += [0.01, -0.01]
    assert measure(Answers(("no", "yes"), actual, predicted, scores)).get("roc_auc") is not None


def test_balanced_accuracy_is_not_measured_on_rows_of_one_class():
    scores = np.array([[0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    found = measure(Answers(("no", "yes"), np.ones(3, np.int64), scores.argmax(axis=1), scores))
    assert found.get("accuracy").value == 1
    assert found.get("balanced_accuracy") is None  # always `yes` is no answer of two classes
    assert found.missing["balanced_accuracy"] == "needs rows of at least two classes"
