"""Dropout asked again and again, and ensembles: doubt in its parts, and whether it tells wrong answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from support import small_model, small_models
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.evaluation.uncertainty import doubt
from modelyard.methods.runtimes import batching
from modelyard.methods.runtimes.combination import Combination
from modelyard.methods.runtimes.dropout import layers, open_dropout
from modelyard.methods.training.combining.writing import write_ensemble
from modelyard.stages.evaluate import uncertainty

TEXTS = ["good food", "bad", "a very good film and a bad book", "fine"]


@pytest.fixture(scope="module")
def droppable(tmp_path_factory):
    """A small network whose card gives it dropout."""
    import shutil

    folder = tmp_path_factory.mktemp("cnn") / "model"
    shutil.copytree(small_models.ours("cnn"), folder)
    card = json.loads((folder / "model.json").read_text())
    card["network"]["dropout"] = 0.3
    (folder / "model.json").write_text(json.dumps(card))
    return folder


def asked(folder, texts, samples=8, seed=0):
    predictor = open_dropout(folder, samples, seed)
    try:
        return predictor.members([{"text": text} for text in texts])
    finally:
        predictor.close()


@pytest.mark.parametrize("kind", ["cnn", "hf"])
def test_a_record_gets_the_same_answer_alone_in_any_batch_and_order(droppable, kind):
    folder = droppable if kind == "cnn" else small_models.huggingface()
    together = asked(folder, TEXTS)
    for place, text in enumerate(TEXTS):
        np.testing.assert_array_equal(asked(folder, [text])[:, 0], together[:, place])
    np.testing.assert_array_equal(asked(folder, TEXTS[::-1])[:, ::-1], together)
    assert together.shape == (8, len(TEXTS), 2)
    np.testing.assert_allclose(together.sum(axis=2), 1)
    assert np.ptp(together[:, 0, 0]) > 0
    assert (asked(folder, TEXTS, seed=1) != together).any()


def test_samples_are_spread_as_those_of_torch_in_training(droppable):
    own = asked(droppable, [TEXTS[2]], samples=600)[:, 0, 1]
    predictor = runtimes.load(droppable)
    module, encoder = predictor.network.module, predictor.preprocessor
    arrays = encoder.encode([TEXTS[2]] * 600)
    torch.manual_seed(0)
    for layer in layers(module):
        layer.train()
    with torch.no_grad():
        logits = module(**{name: torch.from_numpy(arrays[name]) for name in predictor.network.input_names})
    peer = torch.softmax(logits, 1)[:, 1].numpy()
    spread = np.hypot(own.std(), peer.std()) / np.sqrt(600)
    assert abs(own.mean() - peer.mean()) < 4 * spread
    assert own.std() == pytest.approx(peer.std(), rel=0.2)


def test_the_answer_is_the_mean_of_the_samples_through_the_decision_layer(droppable):
    predictor = open_dropout(droppable, 5)
    records = [{"text": text} for text in TEXTS]
    mean = predictor.members(records).mean(axis=0)
    answers = predictor.predict(records)
    assert [list(one.scores.values()) for one in answers] == [pytest.approx(row) for row in mean.tolist()]
    assert predictor.predict([]) == []
    assert "5 samples of dropout" in predictor.runtime


def test_padding_is_no_part_of_a_record(droppable):
    predictor = runtimes.load(droppable)
    arrays = predictor.preprocessor.encode(["bad", TEXTS[2]])
    widths = batching.presence({name: arrays[name] for name in predictor.network.input_names})
    assert widths["attention_mask"][0] < arrays["attention_mask"].shape[1]


def test_models_without_dropout_are_refused(tmp_path):
    rows = small_model.reviews(60, 0)
    linear = small_model.write_linear_model(tmp_path / "linear", rows)
    with pytest.raises(InputError, match="no layer of dropout"):
        open_dropout(linear, 4)
    with pytest.raises(InputError, match="has no dropout here"):
        open_dropout(small_models.exported("cnn", "onnx"), 4)
    data = small_model.write_dataset(tmp_path / "data", {"train": rows, "test": rows})
    with pytest.raises(InputError, match="no layer of dropout"):
        uncertainty.run(uncertainty.Config(dropout_samples=4), FakeContext(tmp_path, {"model": linear, "data": data}))


def test_doubt_in_parts_is_its_formula():
    members = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.5, 0.5]]])
    found = doubt.parts(members)
    own = -(0.9 * np.log(0.9) + 0.1 * np.log(0.1))
    assert found["predictive_entropy"] == pytest.approx([np.log(2)] * 2)
    assert found["aleatoric"] == pytest.approx([own, np.log(2)])
    assert found["epistemic"] == pytest.approx([np.log(2) - own, 0], abs=1e-12)


def test_how_well_doubt_tells_errors_is_scikit_learn_s():
    rng = np.random.default_rng(0)
    wrong = rng.random(300) < 0.3
    score = np.round(rng.normal(size=300) + wrong, 1)
    found = {one.name: one for one in doubt.of_errors({"entropy": score}, wrong, 0)}
    assert found["error_auroc"].value == pytest.approx(roc_auc_score(wrong, score), abs=1e-12)
    assert found["error_auroc"].interval[0] < found["error_auroc"].value < found["error_auroc"].interval[1]
    assert found["error_aurc"].value < wrong.mean()
    assert doubt.of_errors({"entropy": score}, np.zeros(300, bool), 0) == []


def values(context):
    return {(one.claim.removeprefix("uncertainty."), one.slice.get("score", "")): one.value
            for one in context.measurements if set(one.slice) <= {"score"}}  # fmt: skip


def test_an_ensemble_s_doubt_is_split_and_measured(tmp_path):
    sources = [small_model.write_linear_model(tmp_path / str(place), small_model.reviews(40, place, 0.3))
               for place in range(3)]  # fmt: skip
    folder = tmp_path / "together"
    folder.mkdir()
    write_ensemble(sources, folder, Combination("average"), {}, "unknown", [{"text": "good"}])
    splits = {"train": small_model.reviews(40, 5), "test": small_model.reviews(200, 6, mark="t")}
    data = small_model.write_dataset(tmp_path / "data", splits)
    other = small_model.write_dataset(tmp_path / "other", {"all": [("the weather", "x"), ("0x7f", "y")] * 30})
    context = FakeContext(tmp_path, {"model": folder, "data": data, "outside": other})
    uncertainty.run(uncertainty.Config(), context)
    found = values(context)
    whole = found["predictive_entropy", ""]
    assert whole == pytest.approx(found["aleatoric", ""] + found["epistemic", ""], rel=1e-9)
    assert found["epistemic", ""] > 0
    assert {score for name, score in found if name == "error_auroc"} == {
        "confidence", "entropy", "predictive_entropy", "aleatoric", "epistemic",
    }  # fmt: skip
    assert ("outside_auroc", "disagreement") in found


def test_dropout_splits_the_doubt_of_a_network(droppable, tmp_path):
    rows = small_models.rows(120)
    data = small_model.write_dataset(tmp_path / "data", {"train": rows[:40], "test": rows[40:]})
    context = FakeContext(tmp_path, {"model": droppable, "data": data})
    uncertainty.run(uncertainty.Config(dropout_samples=6), context)
    found = values(context)
    assert found["epistemic", ""] > 0
    again = FakeContext(tmp_path / "again", {"model": droppable, "data": data})
    uncertainty.run(uncertainty.Config(dropout_samples=6, batch_rows=7), again)
    assert values(again)["epistemic", ""] == found["epistemic", ""]
    assert (tmp_path / "outputs/report/uncertainty.json").read_bytes() == (
        tmp_path / "again/outputs/report/uncertainty.json"
    ).read_bytes()
