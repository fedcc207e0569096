"""Preference tuning: the loss is the formula, the reference is the model as it began, computed once."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from support.tiny_language import tiny_model
from torch.nn import functional

from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import chats, preference
from modelyard.methods.training.language.learning import Job
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.rows import Pair
from modelyard.methods.training.settings import Compute

CPU = torch.device("cpu")
FOUND = [
    Pair([{"role": "user", "content": f"{name} likes"}], f"{name} {'tea' * size}.", "soup.", f"r{size}")
    for size, name in enumerate(("Ada", "Ben", "小明", "小红", "rice"), 1)
]


def job(scratch: Path) -> Job:
    return Job(CPU, "fp32", 1, Compute(compile="off"), 0, scratch, Hooks())


def encoded(tokenizer, context: int = 96) -> preference.Pairs:
    return preference.encode(FOUND, tokenizer, context, "cut", "train", Hooks())


def slow_likelihood(model, tokenizer, question: str, answer: str) -> float:
    """log p(answer with its end | question), a token at a time."""
    ids = tokenizer(question)["input_ids"]
    total = 0.0
    for token in tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]:
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1].double()
        total += functional.log_softmax(logits, 0)[token].item()
        ids = [*ids, token]
    return total


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_the_closed_form_over_slow_likelihoods(tmp_path: Path, chat: bool, smoothing: float) -> None:
    policy, tokenizer = tiny_model(context=96)
    reference, _ = tiny_model(context=96, seed=7)
    if chat:
        for model in (policy, reference):
            chats.learn_to_chat(model, tokenizer)
    policy.eval()
    reference.eval()
    pairs = preference.with_reference(TokenLosses(reference), encoded(tokenizer), 2, job(tmp_path), tmp_path / "ref")
    objective = preference.Preference(0.3, smoothing)
    found = objective(TokenLosses(policy), preference.batch_of(pairs, np.arange(5), CPU)).item()
    expected, margins = 0.0, []
    for pair in FOUND:
        question = chats.render(tokenizer, pair.prompt, asks=True) if chat else pair.prompt[0]["content"]
        if chat:
            tokenizer.backend_tokenizer.post_processor = None
        gains = [
            slow_likelihood(policy, tokenizer, question, answer)
            - slow_likelihood(reference, tokenizer, question, answer)
            for answer in (pair.chosen, pair.rejected)
        ]
        margin = 0.3 * (gains[0] - gains[1])
        margins.append(margin)
        right, wrong = (1 / (1 + math.exp(-sign * margin)) for sign in (1, -1))
        expected += -(1 - smoothing) * math.log(right) - smoothing * math.log(wrong)
    assert found == pytest.approx(expected, rel=1e-4)
    scores = preference.PairScores(pairs, objective, 2, CPU)(TokenLosses(policy))
    assert scores["reward_accuracy"] == np.mean(np.array(margins) > 0)
    assert scores["reward_margin"] == pytest.approx(np.mean(margins), rel=1e-3, abs=1e-5)
    assert scores["loss"] == pytest.approx(expected / 5, rel=1e-4)


def test_the_gradient_is_that_of_the_formula() -> None:
    policy, tokenizer = tiny_model(context=96)
    pairs = encoded(tokenizer)
    pairs = preference.Pairs(pairs.chosen, pairs.rejected, pairs.names, np.zeros((5, 2), np.float32))
    batch = preference.batch_of(pairs, np.arange(5), CPU)
    module = TokenLosses(policy).eval()
    # dL/dm = -sigma(-m): the gradient of the loss is that sum over pairs of beta times the likelihoods' gradients.
    preference.Preference(0.5)(module, batch).backward()
    found = policy.model.layers[0].mlp.up_proj.weight.grad.clone()
    module.zero_grad()
    chosen, rejected = preference.log_likelihoods(module, batch).chunk(2)
    pull = torch.sigmoid(-0.5 * (chosen - rejected)).detach()
    (-(pull * 0.5 * (chosen - rejected)).sum()).backward()
    torch.testing.assert_close(found, policy.model.layers[0].mlp.up_proj.weight.grad)


def test_at_the_start_the_margin_is_nothing_and_the_loss_that_of_a_coin(tmp_path: Path) -> None:
    model, tokenizer = tiny_model(context=96)
    pairs = preference.with_reference(TokenLosses(model), encoded(tokenizer), 5, job(tmp_path), tmp_path / "ref")
    scores = preference.PairScores(pairs, preference.Preference(0.1), 5, CPU)(TokenLosses(model))
    assert scores["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert scores["reward_accuracy"] == pytest.approx(0.5, abs=0.5)
    assert abs(scores["reward_margin"]) < 1e-5


def test_the_reference_is_computed_once_and_a_killed_run_goes_on(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(preference, "CHUNK", 2)
    model, tokenizer = tiny_model(context=96)
    pairs = encoded(tokenizer)
    whole = preference.with_reference(TokenLosses(model), pairs, 2, job(tmp_path), tmp_path / "whole")
    part = tmp_path / "part"
    preference.with_reference(TokenLosses(model), pairs, 2, job(tmp_path), part)
    (part / "000002.npy").unlink()
    calls = []
    plain = preference._likelihoods

    def counted(*arguments):
        calls.append(arguments[2].tolist())
        return plain(*arguments)

    monkeypatch.setattr(preference, "_likelihoods", counted)
    again = preference.with_reference(TokenLosses(model), pairs, 2, job(tmp_path), part)
    assert calls == [[4]]
    assert np.array_equal(again.reference, whole.reference)


def test_every_pair_is_learned_once_an_epoch_whatever_the_batch() -> None:
    _, tokenizer = tiny_model(context=96)
    feed = preference.PairFeed(encoded(tokenizer), 2, 2, 3, CPU)
    names = [name for step in range(feed.epoch_steps) for batch in feed.step(1, step) for name in batch.names]
    assert sorted(names) == ["r1", "r2", "r3", "r4", "r5"]
    assert feed.epoch_steps == 2


def test_a_batch_cut_into_pairs_has_the_loss_of_the_whole() -> None:
    policy, tokenizer = tiny_model(context=96)
    pairs = encoded(tokenizer)
    reference = np.arange(10, dtype=np.float32).reshape(5, 2) - 40
    pairs = preference.Pairs(pairs.chosen, pairs.rejected, pairs.names, reference)
    batch = preference.batch_of(pairs, np.arange(5), CPU)
    objective, module = preference.Preference(0.1, 0.1), TokenLosses(policy).eval()
    whole = objective(module, batch).item()
    for rows, sizes in ((5, [5]), (2, [2, 2, 1]), (1, [1] * 5)):
        parts = objective.split(batch, rows)
        assert [objective.rows(part) for part in parts] == sizes
        assert sum(objective(module, part).item() for part in parts) == pytest.approx(whole, rel=1e-5)
