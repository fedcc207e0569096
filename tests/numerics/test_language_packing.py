"""Packing changes nothing: losses, logits and gradients are those of each document alone."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from support.tiny_language import stories, tiny_model
from torch.nn import functional

from modelyard.methods.training.language import network
from modelyard.methods.training.language.documents import HeldDocuments
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.objectives import NextToken, TokenScores
from modelyard.methods.training.language.packing import Layout, PackedFeed

CPU = torch.device("cpu")
FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "gpt2"]


def made(family: str, masked: bool = False, num: int = 12):
    model, tokenizer = tiny_model(family)
    rows = [tokenizer(text, max_length=60, truncation=True)["input_ids"] for text in stories(num, 3)]
    draw = np.random.default_rng(0)
    marks = [(draw.random(len(row)) < 0.4).tolist() if masked else [True] * len(row) for row in rows]
    return model.double().eval(), rows, marks, HeldDocuments.of(rows, marks, [f"r{place}" for place in range(num)])


def slow_losses(model, rows, marks) -> list[torch.Tensor]:
    """Each document alone through the model's own logits; the losses of its marked targets."""
    found = []
    for row, mark in zip(rows, marks, strict=True):
        logits = model(input_ids=torch.tensor([row])).logits[0, :-1]
        losses = functional.cross_entropy(logits, torch.tensor(row[1:]), reduction="none")
        found.append(losses[torch.tensor(mark[1:])])
    return found


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("masked", [False, True])
def test_loss_and_gradient_of_packed_documents_are_those_of_each_alone(family: str, masked: bool) -> None:
    model, rows, marks, documents = made(family, masked)
    feed = PackedFeed(documents, Layout(context=64, lines=3, seed=1), CPU)
    batches = [batch for step in range(feed.epoch_steps) for batch in feed.step(0, step)]
    assert max(batch.inputs["input_ids"].shape[1] for batch in batches) <= 64
    assert any("attention_mask" in batch.inputs for batch in batches), "nothing was packed: nothing is proved"
    total = sum(NextToken()(TokenLosses(model), batch) for batch in batches)
    total.backward()
    found = gradients(model)
    model.zero_grad()
    slow = torch.cat(slow_losses(model, rows, marks))
    slow.sum().backward()
    assert total.item() == pytest.approx(slow.sum().item(), rel=1e-6)
    assert sum(batch.weight for batch in batches) == len(slow)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=5e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_another_document_says_changes_no_loss_beside_it(family: str) -> None:
    model, rows, marks, _ = made(family, num=2)
    losses = []
    for other in (rows[1], [7] * len(rows[1])):
        documents = HeldDocuments.of([rows[0], other], [marks[0], [False] * len(other)], ["a", "b"])
        batch = PackedFeed(documents, Layout(64 * 4, 1), CPU).step(0, 0)[0]
        assert batch.inputs["input_ids"].shape[0] == 1
        losses.append(TokenLosses(model)(**batch.inputs))
    assert torch.equal(losses[0], losses[1])


def test_a_document_longer_than_a_line_has_every_token_as_a_target_once() -> None:
    ids = list(range(5, 5 + 200))
    documents = HeldDocuments.of([ids, [1, 2], [9]], [[True] * 200, [True] * 2, [True]], ["long", "short", "single"])
    feed = PackedFeed(documents, Layout(context=64, lines=2), CPU)
    pairs = []
    for step in range(feed.epoch_steps):
        for batch in feed.step(3, step):
            flat = batch.inputs["input_ids"].flatten()
            places = batch.inputs.get("places", torch.arange(len(flat)))
            pairs += list(zip(flat[places].tolist(), batch.inputs["labels"].tolist(), strict=True))
    assert sorted(pairs) == sorted([*itertools.pairwise(ids), (1, 2)])


def test_large_vocabularies_in_pieces_give_the_same_loss_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _, _, documents = made("llama")
    batch = PackedFeed(documents, Layout(64, 4), CPU).step(0, 0)[0]
    results = []
    for at_once in (1 << 26, 37 * model.config.vocab_size):
        monkeypatch.setattr(network, "LOGITS_AT_ONCE", at_once)
        model.zero_grad()
        NextToken()(TokenLosses(model), batch).backward()
        results.append(gradients(model))
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, rtol=1e-6, atol=1e-9)


def test_validation_covers_the_whole_split_and_bits_are_per_byte() -> None:
    model, rows, marks, documents = made("llama")
    slow = torch.cat(slow_losses(model, rows, marks))
    module = TokenLosses(model).train()
    found = TokenScores(PackedFeed(documents, Layout(64, 2), CPU), CPU, num_bytes=1000)(module)
    assert module.training
    assert found["loss"] == pytest.approx(float(slow.mean()), rel=1e-6)
    assert found["perplexity"] == pytest.approx(math.exp(float(slow.mean())), rel=1e-5)
    assert found["bits_per_byte"] == pytest.approx(float(slow.sum()) / math.log(2) / 1000, rel=1e-6)


def test_accumulated_small_batches_are_one_large_one() -> None:
    model, _, _, documents = made("llama", masked=True)
    results = []
    for lines, accumulation in ((100, 1), (1, 100)):
        batches = PackedFeed(documents, Layout(64, lines, accumulation), CPU).step(0, 0)
        model.zero_grad()
        weight = sum(batch.weight for batch in batches)
        for batch in batches:
            (NextToken()(TokenLosses(model), batch) / weight).backward()
        results.append((weight, gradients(model)))
    assert results[0][0] == results[1][0]
    for name, gradient in results[0][1].items():
        torch.testing.assert_close(results[1][1][name], gradient, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("seed", "epoch"), [(1, 0), (1, 1), (2, 0)])
def test_order_is_a_function_of_seed_and_epoch(seed: int, epoch: int) -> None:
    _, _, _, documents = made("llama", num=40)

    def order(seed: int, epoch: int) -> list[list[int]]:
        feed = PackedFeed(documents, Layout(64, 2, seed=seed), CPU)
        batches = [batch for step in range(feed.epoch_steps) for batch in feed.step(epoch, step)]
        return [batch.inputs["labels"].tolist() for batch in batches]

    found = order(seed, epoch)
    assert found == order(seed, epoch)
    assert (found == order(1, 0)) == ((seed, epoch) == (1, 0))
    assert sorted(itertools.chain(*found)) == sorted(itertools.chain(*order(1, 0)))


def test_a_batch_cut_into_lines_has_the_loss_and_gradient_of_the_whole() -> None:
    model, _, _, documents = made("llama", masked=True, num=30)
    objective = NextToken()
    feed = PackedFeed(documents, Layout(64, 6), CPU)
    batch = max((feed.batch(0, number) for number in range(feed.num_batches)), key=objective.rows)
    results = []
    for rows in (6, 4, 1):
        parts = objective.split(batch, rows)
        assert [objective.rows(part) for part in parts] == {6: [6], 4: [4, 2], 1: [1] * 6}[rows]
        assert sum(part.weight for part in parts) == batch.weight
        model.zero_grad()
        loss = sum(objective(TokenLosses(model), part) for part in parts)
        loss.backward()
        results.append((loss.item(), gradients(model)))
    for loss, found in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-6)
        for name, gradient in results[0][1].items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-7)
