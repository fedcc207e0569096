"""The format `ensemble`: one predictor over whole model folders, checked like any model before it is opened."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from support import small_models

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.combination import Combination, Stack
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.combining.writing import write_ensemble

SOURCES = ("linear", "cnn", "hf")


def ensemble(folder: Path, combine: Combination | None = None, sources: tuple[Path, ...] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    found = sources or tuple(small_models.source(name) for name in SOURCES)
    write_ensemble(found, folder, combine or Combination("average"), {}, "unknown", small_models.records(8))
    return folder


def answers(folder: Path, count: int = 40):
    predictor = runtimes.load(folder, threads=1)
    try:
        return predictor.predict(small_models.records(count))
    finally:
        predictor.close()


def by_hand(count: int = 40) -> np.ndarray:
    """[members, records, labels] probabilities of the members alone."""
    return np.stack([small_models.scores(answers(small_models.source(name), count)) for name in SOURCES])


def edit(folder: Path, **network) -> None:
    value = json.loads((folder / "model.json").read_text())
    value["network"].update(network)
    (folder / "model.json").write_text(json.dumps(value))


def test_members_of_three_formats_answer_as_their_mean(tmp_path):
    found = small_models.scores(answers(ensemble(tmp_path)))
    np.testing.assert_allclose(found, by_hand().mean(0), atol=1e-6)


def test_weighted_logarithms_are_the_product_of_powers(tmp_path):
    weights = np.array([0.5, 0.2, 0.9])
    found = small_models.scores(answers(ensemble(tmp_path, Combination("average", "log_probabilities", weights))))
    products = np.prod(by_hand() ** weights[:, None, None], axis=0)
    np.testing.assert_allclose(found, products / products.sum(1, keepdims=True), atol=1e-5)


def test_votes_are_counted_and_a_tie_goes_to_the_larger_mean(tmp_path):
    sources = tuple(small_models.source(name) for name in ("linear", "cnn"))
    found = answers(ensemble(tmp_path, Combination("vote"), sources), 200)
    single = by_hand(200)[:2]
    chosen, mean = single.argmax(2), single.mean(0)
    tied = chosen[0] != chosen[1]
    assert tied.any()
    wanted = np.where(tied, mean.argmax(1), chosen[0])
    assert [answer.label for answer in found] == [small_models.LABELS[place] for place in wanted]
    assert all(abs(sum(answer.scores.values()) - 1) < 1e-9 for answer in found)


def test_a_stack_is_a_linear_layer_over_log_probabilities(tmp_path):
    stack = Stack(np.random.default_rng(0).normal(size=(2, 6)), np.array([0.3, -0.1]))
    found = small_models.scores(answers(ensemble(tmp_path, Combination("stack", stack=stack))))
    logs = np.log(np.maximum(by_hand(), 1e-7))
    for row in range(5):
        logits = [sum(stack.weight[c, m * 2 + k] * logs[m, row, k] for m in range(3) for k in range(2)) + stack.bias[c]
                  for c in range(2)]  # fmt: skip
        wanted = np.exp(logits) / np.exp(logits).sum()
        np.testing.assert_allclose(found[row], wanted, atol=1e-5)


def test_an_answer_is_the_same_alone_in_a_batch_and_from_several_threads(tmp_path):
    predictor = runtimes.load(ensemble(tmp_path), threads=1)
    records = small_models.records(24)
    together = small_models.scores(predictor.predict(records))
    with ThreadPoolExecutor(4) as threads:
        alone = list(threads.map(lambda record: predictor.predict([record])[0], records * 2))
    np.testing.assert_allclose(small_models.scores(alone[:24]), together, atol=1e-5)
    np.testing.assert_allclose(small_models.scores(alone[24:]), together, atol=1e-5)
    assert predictor.predict([]) == []


def test_the_digest_and_golden_answers_are_over_all_members(tmp_path):
    folder = ensemble(tmp_path)
    predictor = runtimes.load(folder, threads=1)
    assert predictor.digest == manifest(folder).digest
    assert not check_golden(folder, predictor)
    other = runtimes.load(ensemble(tmp_path / "other", None, (small_models.source("cnn"),)), threads=1)
    assert check_golden(folder, other)


def test_a_member_with_its_labels_in_another_order_is_read_by_name(tmp_path):
    turned = tmp_path / "turned"
    shutil.copytree(small_models.source("linear"), turned)
    value = json.loads((turned / "model.json").read_text())
    value["labels"] = value["labels"][::-1]
    (turned / "model.json").write_text(json.dumps(value))
    found = small_models.scores(answers(ensemble(tmp_path / "e", None, (small_models.source("linear"), turned))))
    np.testing.assert_allclose(found, 0.5, atol=1e-6)  # each says the opposite of the other


def test_one_member_answers_as_itself_and_ensembles_nest(tmp_path):
    one = ensemble(tmp_path / "one", None, (small_models.source("cnn"),))
    np.testing.assert_allclose(small_models.scores(answers(one)), by_hand()[1], atol=1e-6)
    nested = ensemble(tmp_path / "nested", None, (one, small_models.source("linear")))
    np.testing.assert_allclose(small_models.scores(answers(nested)), by_hand()[:2].mean(0), atol=1e-6)


def test_ensembles_nest_three_deep_and_no_deeper(tmp_path):
    folder = small_models.source("linear")
    for depth in range(3):
        folder = ensemble(tmp_path / str(depth), None, (folder,))
    with pytest.raises(InputError, match="deep"):
        ensemble(tmp_path / "deeper", None, (folder,))


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"members": ["../../etc"]}, "not a path inside"),
        ({"members": ["/etc"]}, "not a path inside"),
        ({"members": ["."]}, "not a path inside"),
        ({"members": []}, "no list"),
        ({"members": ["members/1", "members/1"]}, "no list"),
        ({"members": "members/1"}, "no list"),
        ({"members": ["members/9"]}, "model.json"),
        ({"kind": "magic"}, "no combination"),
        ({"weights": [1.0]}, "one weight"),
        ({"weights": [1.0, -1.0, 0.5]}, "from 0 on"),
        ({"weights": [0, 0, 0]}, "from 0 on"),
        ({"over": "moon"}, "over"),
        ({"kind": "stack"}, "missing"),
    ],
)
def test_a_manipulated_combination_is_refused_before_a_member_is_opened(tmp_path, network, words):
    folder = ensemble(tmp_path)
    edit(folder, **network)
    with pytest.raises(InputError, match=words):
        runtimes.load(folder)


def test_a_damaged_member_is_refused_and_named(tmp_path):
    folder = ensemble(tmp_path)
    path = folder / "members" / "2" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(InputError, match=r"members/2/model\.safetensors"):
        runtimes.load(folder)


def test_code_in_a_member_is_refused(tmp_path):
    folder = ensemble(tmp_path)
    (folder / "members" / "3" / "modeling.py").write_text("raise SystemExit\n")
    with pytest.raises(InputError, match="Python code"):
        runtimes.load(folder)


def test_a_link_out_of_a_member_is_refused(tmp_path):
    folder = ensemble(tmp_path / "e")
    outside = tmp_path / "outside.json"
    outside.write_text("{}")
    (folder / "members" / "1" / "more.json").symlink_to(outside)
    with pytest.raises(InputError, match="leaves the folder"):
        runtimes.load(folder)


def test_a_stack_of_another_shape_is_refused(tmp_path):
    stack = Stack(np.ones((2, 4)), np.zeros(2))
    with pytest.raises(InputError, match="shape"):
        ensemble(tmp_path, Combination("stack", stack=stack))


def test_models_of_other_tasks_and_labels_are_refused_together(tmp_path):
    other, third = tmp_path / "other", tmp_path / "third"
    for folder, change in ((other, {"task": "text-generation"}), (third, {"labels": ["bad", "fine"]})):
        shutil.copytree(small_models.source("linear"), folder)
        value = json.loads((folder / "model.json").read_text()) | change
        (folder / "model.json").write_text(json.dumps(value))
    with pytest.raises(InputError) as caught:
        ensemble(tmp_path / "e", None, (small_models.source("linear"), other, third))
    assert len(caught.value.problems) == 2
    assert "fine" in str(caught.value)


def test_the_bytes_of_an_ensemble_are_a_function_of_its_members(tmp_path):
    assert manifest(ensemble(tmp_path / "a")).digest == manifest(ensemble(tmp_path / "b")).digest


def test_the_card_says_what_is_combined(tmp_path):
    card = ModelCard.read(ensemble(tmp_path, Combination("average", weights=np.array([0.25, 0.5, 0.25]))))
    assert card.format == "ensemble"
    assert card.network["weights"] == [0.25, 0.5, 0.25]
    assert card.network["members"] == ["members/1", "members/2", "members/3"]
    assert card.labels == small_models.LABELS
