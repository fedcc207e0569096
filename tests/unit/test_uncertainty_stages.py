"""calibrate.* and evaluate.uncertainty on a small model of reviews: what they ship, measure, say and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import small_model
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.evaluation import calibrating
from modelyard.methods.evaluation.uncertainty import outside, reliability, selective
from modelyard.methods.runtimes import load
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.stages.calibrate import abstention, conformal, scores
from modelyard.stages.evaluate import uncertainty


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Folders of a data set and of a crude model that is less sure than it could be."""
    root = tmp_path_factory.mktemp("made")
    splits = {
        "train": small_model.reviews(200, 0),
        "calibration": small_model.reviews(400, 1, mark="c"),
        "test": small_model.reviews(300, 2, mark="t"),
    }
    return small_model.write_dataset(root / "data", splits), small_model.write_linear_model(root / "m", splits["train"])


def step(stage, root, model, data, **settings):
    context = FakeContext(root, {"model": model, "data": data})
    stage.run(stage.Config(**settings), context)
    return context, root / "outputs" / "model"


def ask(folder, texts):
    predictor = load(folder)
    try:
        assert check_golden(folder, predictor) == []
        return predictor.predict([{"text": text} for text in texts])
    finally:
        predictor.close()


def texts(count=50):
    return [text for text, _ in small_model.reviews(count, 9)]


def value(context, claim, **part):
    found = [one.value for one in context.measurements if one.claim == claim and dict(one.slice) == part]
    assert len(found) == 1, (claim, part, found)
    return found[0]


def test_one_chain_of_calibration_ships_in_the_model_and_is_measured_on_test(made, tmp_path):
    data, model = made
    honest, folder = step(scores, tmp_path / "1", model, data)
    assert value(honest, "calibrate.log_loss_gain") > 0
    _, folder = step(conformal, tmp_path / "2", folder, data, error=0.2)
    _, folder = step(abstention, tmp_path / "3", folder, data, error=0.25)
    kinds = [one["kind"] for one in ModelCard.read(folder).postprocessing]
    assert kinds[1:] == ["conformal_set", "abstention"]
    parts = [one["part"] for one in ModelCard.read(folder).postprocessing]
    assert parts == ["first", "second", "second"]
    answers = ask(folder, texts())
    assert all(one.set and one.abstained is not None for one in answers)
    found, _ = step(uncertainty, tmp_path / "4", folder, data)
    assert value(found, "uncertainty.coverage") >= 0.74
    assert value(found, "uncertainty.answered_error") <= 0.25
    assert value(found, "uncertainty.coverage", **{"class": "good"}) > 0.5
    assert value(found, "uncertainty.calibration_error") <= 0.1
    report = json.loads((tmp_path / "4/outputs/report/uncertainty.json").read_text())
    assert report["family"] == "uncertainty"
    shown = {name for block in report["blocks"] if block["kind"] == "figures" for name in block["claims"]}
    measured = {one.claim for one in found.measurements}
    assert shown <= measured
    assert measured <= {claim.name for claim in uncertainty.STAGE.claims}


def test_calibration_is_deterministic_and_reads_calibration_only(made, tmp_path):
    data, model = made
    _, one = step(scores, tmp_path / "1", model, data)
    _, other = step(scores, tmp_path / "2", model, data)
    assert (one / "model.json").read_bytes() == (other / "model.json").read_bytes()
    for stage in (scores, conformal, abstention):
        assert stage.STAGE.inputs["data"].splits == ("calibration",)


def test_temperature_changes_no_label(made, tmp_path):
    data, model = made
    context, folder = step(scores, tmp_path, model, data, method="temperature", part="all")
    assert value(context, "calibrate.changed_answers") == 0
    assert [one.label for one in ask(folder, texts())] == [one.label for one in ask(model, texts())]
    assert ModelCard.read(folder).postprocessing[0]["rows"] == 400


def test_fits_on_the_same_rows_are_said(made, tmp_path):
    data, model = made
    _, folder = step(scores, tmp_path / "1", model, data, part="all")
    context, _ = step(conformal, tmp_path / "2", folder, data)
    assert any("on some of the same rows" in line for line in context.said)
    _, folder = step(scores, tmp_path / "3", model, data)
    context, _ = step(conformal, tmp_path / "4", folder, data)
    assert not any("on some of the same rows" in line for line in context.said)


def test_without_scores_above_conformal_takes_all_rows(made, tmp_path):
    data, model = made
    context, _ = step(conformal, tmp_path, model, data)
    assert value(context, "calibrate.rows") == 400


def test_halves_are_disjoint_and_do_not_depend_on_the_order():
    ids = [str(number) for number in range(1000)]
    first, second = (calibrating.part(ids, which, 0) for which in ("first", "second"))
    assert (first ^ second).all()
    assert 400 < first.sum() < 600
    assert calibrating.part(ids[::-1], "first", 0).tolist() == first.tolist()[::-1]


@pytest.mark.parametrize(
    ("stage", "settings", "problem"),
    [
        (conformal, {"error": 0.001}, "too few for an error"),
        (conformal, {"by": "answer"}, "does not fit the task"),
        (conformal, {"by": "width"}, "does not fit the task"),
        (conformal, {"by": "sex"}, "no column `sex`"),
        (abstention, {"error": 0.0001}, "no threshold is proven"),
    ],
)
def test_what_cannot_be_promised_is_refused(made, tmp_path, stage, settings, problem):
    data, model = made
    with pytest.raises(InputError, match=problem):
        step(stage, tmp_path, model, data, **settings)


def test_rows_from_elsewhere(made, tmp_path):
    data, model = made
    other = small_model.write_dataset(tmp_path / "other", {"all": [("the weather", "x"), ("0x7f", "y")] * 30})
    context = FakeContext(tmp_path, {"model": model, "data": data, "outside": other})
    uncertainty.run(uncertainty.Config(), context)
    assert value(context, "uncertainty.outside_auroc", score="confidence") > 0.8
    assert value(context, "uncertainty.outside_auroc", score="energy") > 0.5
    assert any("60 rows from elsewhere" in line for line in context.said)


def test_labels_that_mark_rows_from_elsewhere_are_not_judged(made, tmp_path):
    _, model = made
    rows = [*small_model.reviews(100, 3), *(("the weather", "oos"),) * 40]
    data = small_model.write_dataset(Path(tmp_path) / "data", {"train": small_model.reviews(50, 0), "test": rows})
    context, _ = step(uncertainty, tmp_path, model, data, outside_labels=("oos",))
    assert next(one.n for one in context.measurements if one.claim == "uncertainty.log_loss") == 100
    assert value(context, "uncertainty.outside_auroc", score="entropy") > 0.8


def test_the_debiased_error_is_its_formula_and_zero_on_average_for_an_honest_model():
    rng = np.random.default_rng(0)
    squares, inside = [], 0
    for _ in range(200):
        sure = rng.random(300) / 2 + 0.5
        right = rng.random(300) < sure
        found = reliability.measure(right, sure)
        bins = found.bins
        chance = bins.accuracy * (1 - bins.accuracy) / (bins.count - 1)
        squares.append(float((bins.count / 300) @ ((bins.accuracy - bins.confidence) ** 2 - chance)))
        assert found.error == pytest.approx(np.sqrt(max(0, squares[-1])))
        inside += found.error <= found.null[1]
    assert abs(np.mean(squares)) < 3 * np.std(squares) / np.sqrt(200)
    assert 180 <= inside <= 199


def test_the_error_of_a_model_that_is_too_sure_is_found_and_its_interval_holds_it():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(100):
        sure = rng.random(1000) / 2 + 0.5
        found = reliability.measure(rng.random(1000) < sure - 0.1, sure)
        held += found.interval[0] <= 0.1 <= found.interval[1]
        assert found.p_value < 0.01
    assert held >= 95


def test_losses_fall_into_their_parts():
    rng = np.random.default_rng(2)
    sure = np.repeat(np.linspace(0.55, 0.95, 9), 200)  # one confidence a bin: nothing is hidden within
    right = rng.random(sure.size) < sure
    bins = reliability.measure(right, sure).bins
    log = reliability.log_parts(right, sure, bins)
    assert log.within == pytest.approx(0, abs=1e-9)
    brier = reliability.brier_parts(right, sure, bins)
    assert brier.loss == pytest.approx(((sure - right) ** 2).mean())
    assert brier.within == pytest.approx(0, abs=1e-3)
    assert abs(brier.reliability) < 0.005


def test_risk_over_coverage_by_hand_with_ties():
    wrong, sure = np.array([False, True, False, True]), np.array([0.9, 0.8, 0.7, 0.6])
    assert selective.risks(wrong, sure) == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert selective.aurc(wrong, np.full(4, 0.5)) == pytest.approx(0.5)
    assert selective.excess(np.array([False, False, True]), np.array([0.9, 0.8, 0.1])) == pytest.approx(0)


def test_scores_of_strangers_by_hand():
    logits = np.array([[0.0, 0.0], [9.0, 0.0]])
    assert outside.energy(logits) == pytest.approx(-np.log(np.exp(logits).sum(axis=1)))
    same = np.array([[[0.9, 0.1]], [[0.9, 0.1]]])
    split = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert outside.disagreement(same) == pytest.approx([0], abs=1e-12)
    assert outside.disagreement(split) == pytest.approx([np.log(2)])
    rng = np.random.default_rng(0)
    train, classes = rng.normal(size=(400, 3)) * [1, 1, 5], np.arange(400) % 2
    rows = np.array([[0, 0, 5.0], [0, 5.0, 0]])
    near = outside.mahalanobis(train, classes, rows)
    centred = train - np.stack([train[classes == one].mean(axis=0) for one in (0, 1)])[classes]
    inverse = np.linalg.inv(centred.T @ centred / 400)
    means = [train[classes == one].mean(axis=0) for one in (0, 1)]
    wanted = [min((row - mean) @ inverse @ (row - mean) for mean in means) for row in rows]
    assert near == pytest.approx(wanted, rel=1e-4)
    assert near[1] > near[0]
    unit = train / np.linalg.norm(train, axis=1, keepdims=True)
    place = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    brute = np.sort(np.linalg.norm(place[:, None] - unit[None], axis=2), axis=1)[:, 9]
    assert outside.neighbour(train, rows) == pytest.approx(brute)


def test_a_bound_that_is_not_proven_names_one_that_is(made, tmp_path):
    data, model = made
    with pytest.raises(InputError) as caught:
        step(abstention, tmp_path / "refused", model, data, error=0.0001)
    remedy = caught.value.problems[0].remedy
    assert "larger `calibration`" in remedy
    named = float(remedy.split("error: ")[1].split("`")[0])
    step(abstention, tmp_path / "proven", model, data, error=named)
    with pytest.raises(InputError, match="no threshold is proven"):
        step(abstention, tmp_path / "less", model, data, error=named - 0.01 if named > 0.01 else 1e-6)
