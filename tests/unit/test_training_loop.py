"""The loop's axes, each by what it must do: batches, accumulation, early stopping, precision, broken numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_reviews import reviews

from modelyard.errors import InputError, StageError
from modelyard.methods import networks
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import batching, classification, devices, loop, objectives, precision, random
from modelyard.methods.training.early_stopping import Watch
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.settings import EarlyStopping, Optimizer, Regularization, Schedule

CPU = torch.device("cpu")
LENGTHS = np.random.default_rng(0).integers(3, 200, 1000)


@pytest.mark.parametrize("rows", [1, 7, 32, 1000, 5000])
def test_an_epoch_holds_every_row_once(rows: int) -> None:
    batches = batching.order(LENGTHS, rows, seed=1, epoch=0)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    assert max(map(len, batches)) <= rows
    assert len(batches) == batching.num_steps(1000, rows, 1)


def test_the_order_depends_on_seed_and_epoch_and_on_nothing_drawn_before() -> None:
    first = [batch.tolist() for batch in batching.order(LENGTHS, 32, 1, 0)]
    np.random.default_rng(0).random(100)
    torch.rand(5)
    assert [batch.tolist() for batch in batching.order(LENGTHS, 32, 1, 0)] == first
    assert [batch.tolist() for batch in batching.order(LENGTHS, 32, 1, 1)] != first
    assert [batch.tolist() for batch in batching.order(LENGTHS, 32, 2, 0)] != first


def test_bucketing_leaves_a_tenth_of_the_padding_of_chance() -> None:
    def padding(batches) -> int:
        return sum(int((LENGTHS[batch].max() - LENGTHS[batch]).sum()) for batch in batches)

    chance = np.array_split(np.random.default_rng(1).permutation(1000), 63)
    assert padding(batching.order(LENGTHS, 16, 0, 0)) < padding(chance) / 10


def test_evaluation_batches_keep_to_their_tokens_and_hold_every_row_once() -> None:
    batches = batching.by_length(LENGTHS, 400)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1000))
    assert all(len(batch) * LENGTHS[batch].max() <= 400 for batch in batches)


def test_rows_become_padded_tensors() -> None:
    rows = batching.token_rows([[5, 6, 7], [8], []], 0, np.zeros(3, np.int64), ["a", "b", "c"])
    found = rows.batch(np.array([1, 0, 2]), CPU)
    assert found["input_ids"].tolist() == [[8, 0, 0], [5, 6, 7], [0, 0, 0]]
    assert found["attention_mask"].tolist() == [[1, 0, 0], [1, 1, 1], [0, 0, 0]]


def test_ngram_rows_become_the_preprocessors_arrays() -> None:
    from modelyard.methods.preprocessing import ngrams

    texts = [text for text, _ in reviews(6)]
    fitted = ngrams.fit(texts)
    rows = batching.ngram_rows(fitted.sparse(texts), np.zeros(6, np.int64), list("abcdef"))
    found = rows.batch(np.arange(6), CPU)
    for name, array in fitted.encode(texts).items():
        assert np.array_equal(found[name].numpy(), array)


def test_random_numbers_of_two_purposes_differ_and_those_of_one_repeat() -> None:
    draws = [random.generator(0, purpose, step).random() for purpose in ("a", "b") for step in (0, 1)]
    assert len(set(draws)) == 4
    assert random.generator(0, "a", 0).random() == draws[0]


def test_training_leaves_torchs_settings_and_generator_as_they_were() -> None:
    torch.manual_seed(9)
    expected = torch.rand(1)
    torch.manual_seed(9)
    threads = torch.get_num_threads()
    with devices.reproducible(CPU, threads + 1):
        random.seed_torch(0, "forward", 0)
        assert torch.get_num_threads() == threads + 1
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.rand(1), expected)


def test_precision_is_what_the_hardware_computes() -> None:
    assert precision.resolve("auto", CPU) in ("bf16", "fp32")
    assert precision.resolve("fp32", CPU) == "fp32"
    with pytest.raises(InputError, match="fp16"):
        precision.resolve("fp16", CPU)


def test_a_device_that_is_not_there_is_an_input_error() -> None:
    absent = "mps" if not torch.backends.mps.is_available() else "npu"
    with pytest.raises(InputError, match=absent):
        devices.pick(absent)


def make_loop(
    scratch: Path, plan: loop.Plan, hooks: Hooks | None = None, dropout: float = 0.0, weights: str = "none"
) -> loop.Loop:
    splits = [reviews(32, 1), reviews(16, 2)]
    reader = tokens.wrap(bpe.learn([text for text, _ in splits[0]], 400), 32, 0)
    rows = [
        batching.token_rows(
            reader.ids([text for text, _ in split]),
            0,
            np.array([label == "good" for _, label in split], np.int64),
            [f"row-{position}" for position in range(len(split))],
        )
        for split in splits
    ]
    torch.manual_seed(5)
    spec = {"kind": "cnn", "vocabulary_size": reader.tokenizer.get_vocab_size(), "num_labels": 2}
    module = networks.build({**spec, "embedding": 8, "filters": 4, "widths": [2, 3], "dropout": dropout})
    training, validation = rows
    of_class = objectives.class_weights(training.labels, 2, weights)
    feed = classification.RowFeed(training, of_class[training.labels] * training.weights, plan, CPU)
    objective = classification.CrossEntropy(plan.regularization.label_smoothing)
    scores = classification.ClassScores(validation, CPU)
    return loop.Loop(module, feed, objective, scores, plan, CPU, scratch, hooks or Hooks())


def step(run: loop.Loop, *batches: np.ndarray) -> None:
    """One optimizer step over these rows."""
    run.one_step([run.feed.batch(rows) for rows in batches])


def to_the_end(run: loop.Loop) -> None:
    while not run.finished:
        run.advance()


def plan(**settings) -> loop.Plan:
    return loop.Plan(**{"epochs": 3, "batch_size": 8, "learning_rate": 1e-2, **settings})


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_two_accumulated_batches_are_one_large_one(tmp_path: Path, weights: str) -> None:
    settings = plan(
        regularization=Regularization(l1=1e-3, label_smoothing=0.1),
        optimizer=Optimizer(name="sgd"),
    )
    whole, halves = (make_loop(tmp_path / name, settings, weights=weights) for name in "ab")
    rows = np.arange(16)
    for one in (whole, halves):
        one.module.train()
    step(whole, rows)
    step(halves, rows[:5], rows[5:])
    for name, parameter in whole.module.state_dict().items():
        assert torch.allclose(parameter, halves.module.state_dict()[name], atol=1e-6), name
    assert whole.step == halves.step == 1


def test_clipping_bounds_the_step(tmp_path: Path) -> None:
    settings = plan(optimizer=Optimizer(name="sgd", momentum=0, weight_decay=0, clip=0.01), schedule=Schedule(warmup=0))
    run = make_loop(tmp_path, settings)
    before = torch.cat([parameter.detach().flatten().clone() for parameter in run.module.parameters()])
    step(run, np.arange(32))
    after = torch.cat([parameter.detach().flatten() for parameter in run.module.parameters()])
    assert (after - before).norm().item() == pytest.approx(1e-2 * 0.01, rel=1e-3)


def test_numbers_that_break_stop_the_run_with_step_and_rows(tmp_path: Path) -> None:
    run = make_loop(tmp_path, plan())
    step(run, np.arange(8))
    with torch.no_grad():
        run.module.classifier.bias.fill_(float("nan"))
    with pytest.raises(StageError, match=r"step 2 of 12.*row-8"):
        step(run, np.arange(8, 16))


def test_a_rate_far_too_high_is_a_stage_error_and_no_silent_rubbish(tmp_path: Path) -> None:
    settings = plan(
        learning_rate=1e30,
        epochs=5,
        optimizer=Optimizer(name="sgd", clip=0),
        schedule=Schedule(name="constant", warmup=0),
    )
    run = make_loop(tmp_path, settings)
    with pytest.raises(StageError, match="learning_rate"):
        to_the_end(run)


def test_the_best_weights_are_given_back_and_patience_ends_the_run(tmp_path: Path) -> None:
    curves: list[tuple[int, dict[str, float]]] = []
    settings = plan(
        epochs=60,
        learning_rate=0.05,
        early_stopping=EarlyStopping(metric="loss", patience=2),
        schedule=Schedule(name="constant", warmup=0),
    )
    run = make_loop(tmp_path, settings, Hooks(log=lambda step, **values: curves.append((step, values))))
    to_the_end(run)
    outcome = run.outcome()
    losses = {int(entry["step"]): entry["loss"] for entry in outcome.history}
    assert outcome.steps < 60 * 4
    assert outcome.best_step == min(losses, key=losses.__getitem__)
    assert outcome.steps == outcome.best_step + 2 * 4
    assert outcome.metrics["loss"] == pytest.approx(losses[outcome.best_step], rel=1e-6)
    logged = {name for _, values in curves for name in values}
    assert {"loss", "learning_rate", "gradient_norm", "tokens_per_second", "validation_accuracy"} <= logged


def test_equal_metrics_are_decided_by_the_loss_and_still_use_up_patience() -> None:
    settings = EarlyStopping(metric="accuracy", patience=2)
    watch = Watch().update(settings, {"accuracy": 0.8, "f1_macro": 0.8, "loss": 0.5}, 1)
    watch = watch.update(settings, {"accuracy": 0.8, "f1_macro": 0.8, "loss": 0.4}, 2)
    assert watch.best_step == 2
    for step in (3, 4):
        watch = watch.update(settings, {"accuracy": 0.7, "f1_macro": 0.7, "loss": 0.1}, step)
    assert watch.best_step == 2
    assert watch.done(settings)
    assert not watch.done(EarlyStopping(patience=0))


def test_a_network_that_gives_one_class_to_every_row_is_waited_for() -> None:
    settings = EarlyStopping(patience=3)
    still = {"accuracy": 0.6, "loss": 0.70}
    watch = Watch().update(settings, still, 1)
    for step in range(2, 10):
        watch = watch.update(settings, {**still, "loss": 0.70 + step / 1000}, step)
    assert not watch.done(settings)
    learning = watch.update(settings, {"accuracy": 0.61, "loss": 0.69}, 10)
    assert (learning.best_step, learning.since) == (10, 0)
    assert watch.update(settings, still, 10).update(settings, {**still, "loss": 0.8}, 11).done(settings)
    moved = watch.update(settings, {"accuracy": 0.59, "loss": 0.71}, 10)
    assert moved.done(settings), "what has moved and got worse is not waited for"
    falling = EarlyStopping(metric="loss", patience=2)
    watch = Watch().update(falling, still, 1)
    for step in (2, 3):
        watch = watch.update(falling, {"accuracy": 0.6, "loss": 0.8}, step)
    assert watch.done(falling)


def test_the_environment_may_ask_for_fewer_threads(monkeypatch) -> None:
    monkeypatch.delenv(devices.THREADS, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert devices.usable_cores() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "100000")
    most = devices.usable_cores()
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert devices.usable_cores() == most < 100_000
    monkeypatch.setenv(devices.THREADS, "1")
    assert devices.usable_cores() == 1


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("number", ["fp32", "bf16"])
def test_the_same_run_twice_gives_the_same_bits(tmp_path: Path, number: str, threads: int) -> None:
    found = []
    for name in ("a", "b"):
        run = make_loop(tmp_path / name, plan(precision=number), dropout=0.5)
        with devices.reproducible(CPU, threads):
            to_the_end(run)
            found.append((run.outcome(), run.module.state_dict()))
    assert found[0][0].history == found[1][0].history
    assert all(torch.equal(found[0][1][name], found[1][1][name]) for name in found[0][1])
