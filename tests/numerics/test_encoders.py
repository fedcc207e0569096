"""Masked tokens, embeddings and answers against slow references."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from support.tiny_encoders import CPU, job, texts_data, tiny_encoder, tiny_tokenizer

from modelyard.methods.training.encoders import contrast, corpus, masking, models, rewriting, sequences, words
from modelyard.methods.training.encoders.masking import Kinds, MaskedFeed, hide
from modelyard.methods.training.encoders.settings import Masking, Rewriter
from modelyard.methods.training.language.learning import Learning
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.objectives import NextToken
from modelyard.methods.training.language.packing import Layout
from modelyard.methods.training.random import uniform

KINDS = Kinds(4, 0, np.arange(5, 100), np.arange(100) >= 5)


def pieces(sizes: list[int], seed: int = 0) -> tuple[np.ndarray, ...]:
    """Ids with marks at both ends, words of two tokens, numbers of pieces, places."""
    draw = np.random.default_rng(seed)
    ids = np.concatenate([[2, *draw.integers(5, 100, size - 2), 3] for size in sizes])
    places = np.concatenate([np.arange(size) for size in sizes])
    begins = np.concatenate([[at == 0 or at == size - 1 or at % 2 == 1 for at in range(size)] for size in sizes])
    return ids, begins, np.repeat(np.arange(len(sizes)), sizes), places


def test_numbers_of_places_are_uniform_and_depend_on_nothing_else() -> None:
    rows, places = np.repeat(np.arange(300), 400), np.tile(np.arange(400), 300)
    found = uniform(7, "hide", 1, rows, places)
    assert abs(np.histogram(found, 20, (0, 1))[0] / len(found) - 0.05).max() < 0.003
    assert abs(np.corrcoef(found[:-1], found[1:])[0, 1]) < 0.01
    some = np.random.default_rng(0).permutation(len(rows))[:1000]
    assert (uniform(7, "hide", 1, rows[some], places[some]) == found[some]).all()
    assert (uniform(7, "hide", 2, rows, places) != found).mean() > 0.999
    assert (uniform(8, "hide", 1, rows, places) != found).mean() > 0.999


def test_shares_are_those_of_the_settings_and_words_are_hidden_whole() -> None:
    ids, begins, rows, places = pieces([102] * 600)
    seen, targets = hide(ids, begins, rows, places, KINDS, Masking(), 3, 5)
    hidden = targets >= 0
    assert (targets[hidden] == ids[hidden]).all()
    assert not hidden[ids < 5].any()
    assert hidden.sum() / (ids >= 5).sum() == pytest.approx(0.15, abs=0.006)
    assert (seen[hidden] == 4).mean() == pytest.approx(0.8, abs=0.02)
    assert (seen[hidden] == ids[hidden]).mean() == pytest.approx(0.1, abs=0.02)
    assert (seen[~hidden] == ids[~hidden]).all()
    both = hidden.reshape(600, 102)[:, 1:101].reshape(-1, 2)
    assert (both[:, 0] == both[:, 1]).all()
    alone = hide(ids, np.ones(len(ids), bool), rows, places, KINDS, Masking(), 3, 5)[1] >= 0
    assert (alone[1:-1:2] & alone[2::2]).mean() < 0.05, "tokens by themselves are drawn by themselves"


def test_what_is_hidden_depends_on_seed_epoch_row_and_place_alone() -> None:
    ids, begins, rows, places = pieces([20, 3, 30, 12])
    whole = hide(ids, begins, rows, places, KINDS, Masking(), 3, 5)
    for row in range(4):
        mine = rows == row
        found = hide(ids[mine], begins[mine], rows[mine], places[mine], KINDS, Masking(), 3, 5)
        assert all((one == both[mine]).all() for one, both in zip(found, whole, strict=True))
        assert (found[1] >= 0).any(), "something of every piece is hidden"
    assert (hide(ids, begins, rows, places, KINDS, Masking(), 3, 6)[1] != whole[1]).any()
    assert (hide(ids, begins, rows, places, KINDS, Masking(), 4, 5)[1] != whole[1]).any()


def test_words_begin_where_words_do() -> None:
    learned = words.LearnedWords(["这家酒店很好", "酒店的早餐", "住酒店", "酒店酒店"] * 20 + ["a hotel"] * 9, 400)
    text = "在酒店, a hotel"
    found = learned.begins([text])[0]
    starts = {place for place in range(len(text)) if found[place]}
    assert {0, 1, 3, 5, 7} <= starts
    assert 2 not in starts, "酒店 is one word"
    assert not starts & set(range(8, len(text))), "hotel is one word, whatever its merges"
    offsets = [(0, 1), (1, 2), (1, 2), (2, 3)]
    assert words.of_tokens(offsets, found).tolist() == [True, True, False, False]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_losses_of_packed_pieces_and_their_gradients_are_those_of_each_alone(tmp_path: Path, family: str) -> None:
    model, tokenizer = tiny_encoder(family)
    model.eval()
    cutter = corpus.Cutter(tokenizer, words.EachToken(), 24)
    made = corpus.make(texts_data(tmp_path / "data", 30), "train", "text", cutter, tmp_path)
    kinds = Kinds.of(tokenizer)
    first = models.first_position(family, 0)
    feed = MaskedFeed(made, Layout(24, 8, seed=3), CPU, kinds, Masking(), first)
    loss, weight = torch.zeros(()), 0.0
    for number in range(feed.num_batches):
        batch = feed.batch(2, number)
        loss, weight = loss + NextToken()(TokenLosses(model), batch), weight + batch.weight
    loss.backward()
    found = {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}
    model.zero_grad()
    expected, count = torch.zeros(()), 0
    for row in range(len(made)):
        ids, begins = (part[made.starts[row] : made.starts[row + 1]] for part in (made.ids, made.begins))
        places = np.arange(len(ids))
        seen, targets = hide(ids.astype(np.int64), begins, np.full(len(ids), row), places, kinds, Masking(), 3, 2)
        labels = torch.from_numpy(np.where(targets < 0, -100, targets))[None]
        answer = model(input_ids=torch.from_numpy(seen)[None], labels=labels)
        expected, count = expected + answer.loss * (labels >= 0).sum(), count + int((labels >= 0).sum())
    expected.backward()
    assert weight == count
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, one in model.named_parameters():
        if one.grad is not None:
            torch.testing.assert_close(found[name], one.grad, rtol=1e-3, atol=2e-5)


def test_a_long_text_goes_on_in_other_pieces_and_no_token_is_lost(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    data = texts_data(tmp_path / "data", 20)
    made = corpus.make(data, "train", "text", corpus.Cutter(tokenizer, words.EachToken(), 8), tmp_path / "a")
    texts = data.table("train", ["text"]).column(0).to_pylist()
    tokenizer.backend_tokenizer.no_truncation()
    start, end = tokenizer.cls_token_id, tokenizer.sep_token_id
    for row, text in enumerate(texts):
        mine = [made.ids[made.starts[one] : made.starts[one + 1]].tolist() for one in np.flatnonzero(made.rows == row)]
        assert all(one[0] == start and one[-1] == end and len(one) <= 8 for one in mine)
        expected = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
        assert [token for one in mine for token in one[1:-1]] == expected


def unit(rows: int, width: int, seed: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(rows, width, generator=draw, dtype=torch.float64), dim=1)


def test_contrastive_is_the_slow_sum_and_equal_texts_do_not_count_against_each_other() -> None:
    first, others = unit(4, 6, 1), unit(8, 6, 2)
    same = torch.tensor([[0, 1, 2, 3], [10, 11, 10, 13], [20, 1, 22, 23]])
    expected = 0.0
    for row in range(4):
        terms = []
        for place in range(8):
            number = same[1:].flatten()[place]
            if place != row and (number == same[1][row] or number == same[0][row]):
                continue
            terms.append(float(first[row] @ others[place]) / 0.1)
        expected -= float(first[row] @ others[row]) / 0.1 - math.log(sum(map(math.exp, terms)))
    assert float(contrast.contrastive(first, others, same, 0.1)) == pytest.approx(expected, rel=1e-12)


def test_cosent_and_cosine_are_the_slow_sums() -> None:
    first, others = unit(5, 6, 1), unit(5, 6, 2)
    scores = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0])
    cosines = [float(first[row] @ others[row]) for row in range(5)]
    terms = [
        math.exp((cosines[low] - cosines[high]) / 0.05)
        for high in range(5) for low in range(5) if scores[high] > scores[low]
    ]  # fmt: skip
    assert float(contrast.cosent(first, others, scores, 0.05)) == pytest.approx(math.log1p(sum(terms)), rel=1e-12)
    assert float(contrast.cosent(first, others, torch.ones(5), 0.05)) == 0.0
    slow = sum((value - float(score)) ** 2 for value, score in zip(cosines, scores, strict=True))
    assert float(contrast.cosine(first, others, scores)) == pytest.approx(slow, rel=1e-12)


def test_shorter_vectors_are_learned_as_vectors_of_their_own() -> None:
    from modelyard.methods.training.axes import Batch

    raw = unit(8, 6, 3) * 5
    targets = {"scores": torch.ones(4), "same": torch.arange(8).reshape(2, 4)}
    batch = Batch(inputs={}, targets=targets, weight=4)

    def loss(width: int) -> float:
        cut = torch.nn.functional.normalize(raw[:, :width].float(), dim=1)
        return float(contrast.contrastive(cut[:4], cut[4:], targets["same"], 0.05))

    found = contrast.Contrast("contrastive", 0.05, (2, 4, 99))(lambda: raw, batch)
    assert float(found) == pytest.approx((loss(6) + loss(2) + loss(4)) / 3, rel=1e-5)


def test_agreement_is_that_of_scipy_and_sklearn() -> None:
    draw = np.random.default_rng(0)
    cosines, scores = draw.normal(size=200).round(1), draw.integers(0, 2, 200).astype(np.float32)
    found = contrast.agreement(cosines, scores)
    assert found["spearman"] == pytest.approx(spearmanr(cosines, scores).statistic, abs=1e-12)
    assert found["auc"] == pytest.approx(roc_auc_score(scores, cosines), abs=1e-12)
    graded = draw.normal(size=200).astype(np.float32)
    assert contrast.agreement(cosines, graded).keys() == {"spearman"}


def rewriter(family: str) -> tuple:
    tokenizer = rewriting.language_models.fresh_tokenizer(rewriting.lossless.characters(["abcde"]), 16)
    made = rewriting.configuration(Rewriter(family=family, layers=1, width=32, heads=2, dropout=0), tokenizer, 17)
    return models.fresh(made, rewriting.KIND, 0, 1).eval(), tokenizer


@pytest.mark.parametrize("family", ["t5", "bart"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_of_an_answer_is_that_of_transformers_and_parts_add_up(
    tmp_path: Path, family: str, smoothing: float
) -> None:
    model, tokenizer = rewriter(family)
    rows = sequences.Answered(["abc", "e", "abcde"], ["cba", "e", "edcba"], ["1", "2", "3"])
    settings = rewriting.Settings(16, 16, 4, learning=Learning())
    encoded = rewriting.encode(rows, model, tokenizer, settings, "train", job(tmp_path).hooks)
    batch = encoded.batch([0, 1, 2], CPU)
    objective = sequences.Forced(smoothing)
    found = objective(model, batch)
    expected, count = 0.0, 0
    for source, target in zip(encoded.sources, encoded.targets, strict=True):
        answer = model(input_ids=torch.tensor([source]), labels=torch.tensor([target]))
        logs = answer.logits[0].log_softmax(-1)
        plain = -logs[torch.arange(len(target)), torch.tensor(target)]
        if not smoothing:
            assert float(answer.loss.detach()) == pytest.approx(float(plain.mean().detach()), rel=1e-5)
        expected += float(((1 - smoothing) * plain - smoothing * logs.mean(-1)).sum().detach())
        count += len(target)
    assert batch.weight == count
    assert float(found.detach()) == pytest.approx(expected, rel=1e-5)
    parts = [float(objective(model, part).detach()) for part in objective.split(batch, 2)]
    assert sum(parts) == pytest.approx(expected, rel=1e-5)
    if not smoothing:
        scores = sequences.SequenceScores(encoded, CPU, tokens=10)(model)
        assert scores["loss"] == pytest.approx(expected / count, rel=1e-5)


def test_a_masked_head_is_used_only_where_something_is_hidden(tmp_path: Path) -> None:
    model, tokenizer = tiny_encoder("bert")
    made = corpus.make(
        texts_data(tmp_path / "data"), "train", "text", corpus.Cutter(tokenizer, words.EachToken(), 24), tmp_path
    )
    layout = Layout(24, 4, seed=1)
    feeds = [
        MaskedFeed(made, replace(layout, kind=kind), CPU, Kinds.of(tokenizer), Masking())
        for kind in ("packs", "buckets")
    ]
    losses = []
    for feed in feeds:
        total = 0.0
        for number in range(feed.num_batches):
            batch = feed.batch(0, number)
            assert len(batch.inputs["labels"]) == batch.weight
            total += float(NextToken()(TokenLosses(model.eval()), batch).detach())
        losses.append(total)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5), "how pieces share lines changes nothing"
    assert masking.is_packable(model)
