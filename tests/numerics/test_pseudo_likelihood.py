"""Tokens masked in turn are scored as transformers scores them, and evaluate.quality measures a real masked model."""

from __future__ import annotations

import math

import pytest
import torch
from support.fake_context import FakeContext
from support.tiny_encoders import COMPUTE, SHAPE, texts_data

from modelyard.methods import runtimes
from modelyard.methods.runtimes.pseudo_likelihood import places
from modelyard.stages.evaluate import quality
from modelyard.stages.train import masked_language_model


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("masked")
    texts_data(root / "data", 40)
    context = FakeContext(root, {"data": root / "data"}, seed=1, base=root)
    config = masked_language_model.Config(
        context=24, batch_size=8, max_steps=10, tokenizer={"vocabulary_size": 320}, compute=COMPUTE,
        model={"family": "bert", **SHAPE},
    )  # fmt: skip
    masked_language_model.run(config, context)
    return root / "outputs" / "model", root / "data"


def test_each_token_is_scored_from_what_stands_around_it(made):
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder, _ = made
    text = "Ada likes tea."
    [found] = runtimes.load(folder, threads=1).pseudo_likelihood([{"text": text}], 50)
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(text).input_ids
    told, ranks = [], []
    for place, token in enumerate(ids):
        if token in tokenizer.all_special_ids:
            continue
        hidden = torch.tensor([[*ids[:place], tokenizer.mask_token_id, *ids[place + 1 :]]])
        with torch.inference_mode():
            shares = model(input_ids=hidden).logits[0, place].double().softmax(-1)
        told.append(math.log(shares[token]))
        ranks.append(int((shares >= shares[token]).sum()))
    assert found.log_probabilities == pytest.approx(told, abs=1e-5)
    assert list(found.ranks) == ranks


def test_at_most_so_many_places_spread_over_the_text_without_marks():
    assert places([0, 5, 6, 7, 1], frozenset({0, 1}), 9) == [1, 2, 3]
    assert places(list(range(2, 103)), frozenset(), 3) == [0, 50, 100]
    assert places([0, 1], frozenset({0, 1}), 3) == []


def test_the_stage_measures_a_masked_model(made, tmp_path):
    from modelyard.methods.data.dataset import Dataset, write_schema, write_split

    folder, data = made
    one = Dataset.open(data)
    (tmp_path / "data").mkdir()
    write_schema(tmp_path / "data", one.columns)
    table = one.table("validation")
    for split in ("train", "validation", "test"):
        write_split(tmp_path / "data", split, [table], table.schema)
    context = FakeContext(tmp_path, {"model": folder, "data": tmp_path / "data"})
    quality.STAGE.run(quality.Config(), context)
    found = {m.claim: m for m in context.measurements if not m.slice}
    assert 1 < found["quality.pseudo_perplexity"].value < 2000
    assert {m.slice["k"] for m in context.measurements if m.claim == "quality.mask_accuracy"} == {"1", "5", "10"}
