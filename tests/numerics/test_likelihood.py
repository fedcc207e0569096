"""Log-likelihoods of a causal language model are transformers' own, in any batch and in any window."""

from __future__ import annotations

import math

import pytest
import torch
from support.tiny_language import tiny_model

from modelyard.methods import runtimes
from modelyard.methods.runtimes.likelihood import Scored, pieces
from modelyard.methods.training.language import saving
from modelyard.methods.training.language.settings import Generation

TEXTS = ["Ada likes tea.", "小明 likes rice", "x", "soup " * 12]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    model, tokenizer = tiny_model("gpt2", context=64, seed=3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter *= 4
    folder = tmp_path_factory.mktemp("likelihood")
    saving.write_model(model, tokenizer, folder, 64, Generation(max_new_tokens=4), {}, "MIT", saving.prompts(["A"]))
    return runtimes.load(folder, threads=1), folder


def reference(folder, ids, start):
    """Each token's log-probability one forward pass at a time."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.inference_mode():
        logits = model(torch.tensor([ids])).logits[0].double()
    chosen = [(logits[at - 1] - logits[at - 1].logsumexp(0))[ids[at]].item() for at in range(start, len(ids))]
    return math.fsum(chosen)


def test_a_text_and_an_answer_are_scored_as_transformers_scores_them(made):
    from transformers import AutoTokenizer

    predictor, folder = made
    tokenizer = AutoTokenizer.from_pretrained(folder)
    mark = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
    found = predictor.log_likelihood([{"prompt": text} for text in TEXTS])
    for text, one in zip(TEXTS, found, strict=True):
        ids = tokenizer(text).input_ids
        ids = ids if ids[0] == mark else [mark, *ids]
        assert one.log_probability == pytest.approx(reference(folder, ids, 1), abs=1e-4)
        assert (one.tokens, one.bytes) == (len(ids) - 1, len(text.encode()))
    [answer] = predictor.log_likelihood([{"prompt": "Ada likes", "answer": " tea."}])
    before, whole = tokenizer("Ada likes").input_ids, tokenizer("Ada likes tea.").input_ids
    assert whole[: len(before)] == before
    assert answer.log_probability == pytest.approx(reference(folder, whole, len(before)), abs=1e-4)
    assert answer.bytes == 5


def test_the_likelihood_is_the_same_alone_and_in_any_batch(made):
    predictor, _ = made
    together = predictor.log_likelihood([{"prompt": text} for text in TEXTS])
    for text, one in zip(TEXTS, together, strict=True):
        [alone] = predictor.log_likelihood([{"prompt": text}])
        assert alone.log_probability == pytest.approx(one.log_probability, abs=1e-5)


def test_all_answers_of_one_token_share_one_whole_probability(made):
    from transformers import AutoTokenizer

    predictor, folder = made
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = [Scored([5, token], 1, 1) for token in range(len(tokenizer))]
    from modelyard.methods.runtimes.likelihood import log_probabilities

    found = log_probabilities(predictor._model, rows, 64, 4096)
    rows_of_model = predictor._model.get_input_embeddings().weight.shape[0]
    total = math.fsum(math.exp(one.log_probability) for one in found)
    assert total <= 1 + 1e-6
    if rows_of_model == len(tokenizer):
        assert total == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("size", "start", "positions"), [(5, 1, 8), (40, 1, 8), (40, 30, 8), (9, 8, 8), (20, 3, 8)])
def test_windows_score_every_token_once_and_keep_to_the_room(size, start, positions):
    scored = []
    for ids, first in pieces(Scored(list(range(size)), start, 0), positions):
        assert 1 <= first < len(ids) <= positions + 1
        scored += ids[first:]
    assert scored == list(range(start, size))
