"""The stages of encoders: what they make and say, what they refuse, and what their models answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.fake_context import FakeContext
from support.tiny_encoders import COMPUTE, SHAPE, pairs_columns, reversed_columns, texts_data, write_pairs
from support.tiny_language import tiny_model
from support.tiny_reviews import reviews, write_dataset

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.language import saving
from modelyard.methods.training.language.settings import Generation
from modelyard.stages.train import masked_language_model, sentence_embedding, text_classification, text_to_text

TEXTS = ["Ada [MASK] tea.", "小[MASK] likes 苹果. Ben likes rice.", "[MASK] likes [MASK]."]


def fill(root: Path, family: str = "bert", **settings: Any) -> FakeContext:
    texts_data(root / "data", 40)
    made = FakeContext(root, {"data": root / "data"}, seed=1, base=root)
    common = {
        "context": 24,
        "batch_size": 8,
        "max_steps": 30,
        "tokenizer": {"vocabulary_size": 320},
        "compute": COMPUTE,
    }
    config = masked_language_model.Config(**{**common, "model": {"family": family, **SHAPE}, **settings})
    masked_language_model.run(config, made)
    return made


@pytest.fixture(scope="module")
def fillers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders that fill masks, by family."""
    found = {}
    for family in ("bert", "roberta"):
        root = tmp_path_factory.mktemp(family)
        fill(root, family)
        found[family] = root / "outputs" / "model"
    return found


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_a_mask_is_filled_as_transformers_fills_it(fillers: dict[str, Path], family: str) -> None:
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    folder = fillers[family]
    predictor = runtimes.load(folder, threads=1)
    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            shares = model(input_ids=ids).logits[0].softmax(-1)
        places = (ids[0] == tokenizer.mask_token_id).nonzero().flatten().tolist()
        answer = predictor.predict([{"text": text, "top_k": 3}])[0]
        assert [one.mask for one in answer.candidates] == [mask for mask in range(len(places)) for _ in range(3)]
        for mask, place in enumerate(places):
            expected = shares[place].topk(3).values.tolist()
            assert [one.score for one in answer.candidates if one.mask == mask] == pytest.approx(expected, abs=1e-6)
        first = answer.candidates[0]
        assert first.text == text.replace("[MASK]", first.token, 1)
    assert check_golden(folder, predictor) == []


def test_an_answer_is_the_same_alone_and_in_any_batch(fillers: dict[str, Path]) -> None:
    predictor = runtimes.load(fillers["bert"], threads=1, token_budget=40)
    records = [{"text": text} for text in TEXTS]
    together = predictor.predict(records[::-1])[::-1]
    for record, found in zip(records, together, strict=True):
        alone = predictor.predict([record])[0]
        assert [one.token for one in alone.candidates] == [one.token for one in found.candidates]
        scores = [[one.score for one in answer.candidates] for answer in (alone, found)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-6)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"text": "no mask"}, "no mask"),
        ({"text": "tea " * 60 + "[MASK]"}, "beyond the 24 tokens"),
        ({"text": 1}, "string"),
        ({"text": "[MASK]", "top_k": 0}, "limits"),
        ({"text": "[MASK]", "topk": 1}, "no such field"),
    ],
)
def test_records_without_a_mask_that_can_be_read_name_themselves(fillers, record, expected: str) -> None:
    predictor = runtimes.load(fillers["bert"], threads=1)
    with pytest.raises(InputError, match=expected) as caught:
        predictor.predict([{"text": "[MASK]"}, record])
    assert caught.value.problems[0].where.startswith("records[1]")


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_what_fills_masks_is_a_base_for_a_classifier_and_its_weights_are_taken(tmp_path: Path, fillers, family) -> None:
    from safetensors.torch import load_file

    rows = {"train": reviews(40, 1), "validation": reviews(20, 2)}
    inputs = {"data": write_dataset(tmp_path / "data", rows), "base": fillers[family]}
    made = FakeContext(tmp_path, inputs, seed=0)
    config = text_classification.Config(epochs=1, freeze="encoder", compute=COMPUTE)
    text_classification.run(config, made)
    before, after = (load_file(one / "model.safetensors") for one in (fillers[family], tmp_path / "outputs" / "model"))
    name = f"{family}.encoder.layer.0.attention.self.query.weight"
    assert torch.equal(before[name], after[name])
    assert ModelCard.read(tmp_path / "outputs" / "model").provenance["base"] == "port base"


def test_going_on_from_a_base_keeps_its_tokenizer_and_lowers_the_loss(tmp_path: Path, fillers) -> None:
    made = fill(tmp_path, base=str(fillers["bert"]), max_steps=20)
    again = tmp_path / "outputs" / "model"
    assert (again / "tokenizer.json").read_bytes() == (fillers["bert"] / "tokenizer.json").read_bytes()
    history = ModelCard.read(again).provenance["details"]["history"]
    first = ModelCard.read(fillers["bert"]).provenance["details"]["history"]
    assert history[-1]["loss"] < first[0]["loss"]
    assert made.value("train.validation_loss") > 0


def test_bases_that_cannot_fill_masks_are_refused(tmp_path: Path, fillers) -> None:
    model, tokenizer = tiny_model()
    (tmp_path / "llama").mkdir()
    saving.write_model(model, tokenizer, tmp_path / "llama", 64, Generation(), {}, "MIT", [{"prompt": "Ada"}])
    with pytest.raises(InputError, match="transformers cannot load"):
        fill(tmp_path / "a", base=str(tmp_path / "llama"))
    (tmp_path / "other").mkdir()
    for path in fillers["bert"].iterdir():
        (tmp_path / "other" / path.name).write_bytes(path.read_bytes())
    value = json.loads((tmp_path / "other" / "tokenizer.json").read_text())
    value["model"]["vocab"] |= {f"new{place}": len(value["model"]["vocab"]) + place for place in range(40)}
    (tmp_path / "other" / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="the tokenizer knows"):
        fill(tmp_path / "b", base=str(tmp_path / "other"))
    with pytest.raises(InputError):
        runtimes.load(tmp_path / "other", threads=1)


def test_an_adapter_needs_a_base_and_is_merged_into_it(tmp_path: Path, fillers) -> None:
    with pytest.raises(InputError, match="adapter needs a base"):
        fill(tmp_path / "a", adapter={"rank": 2})
    fill(tmp_path / "b", base=str(fillers["bert"]), adapter={"rank": 2, "base": "nf4"}, max_steps=4)
    assert (tmp_path / "b" / "outputs" / "model" / "adapter" / "adapter_config.json").is_file()
    assert runtimes.load(tmp_path / "b" / "outputs" / "model", threads=1).task == "fill-mask"


def embed(root: Path, scored: bool, **settings: Any) -> FakeContext:
    columns = {split: pairs_columns(count, count, scored) for split, count in (("train", 200), ("validation", 60))}
    data = write_pairs(root / "data", **columns)
    if scored:
        schema = json.loads((data / "dataset.json").read_text())
        for column in schema["columns"]:
            column["role"] = "label" if column["name"] == "score" else column["role"]
        (data / "dataset.json").write_text(json.dumps(schema))
    made = FakeContext(root, {"data": data}, seed=0, base=root)
    common = {"max_length": 24, "batch_size": 16, "max_steps": 60, "model": SHAPE, "compute": COMPUTE}
    sentence_embedding.run(
        sentence_embedding.Config(**{**common, "tokenizer": {"vocabulary_size": 320}, **settings}), made
    )
    return made


def test_pairs_find_each_other_and_sentence_transformers_answers_the_same(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    made = embed(tmp_path, False, lengths=(8, 16))
    assert made.value("train.validation_nearest") > 0.5
    folder = tmp_path / "outputs" / "model"
    predictor = runtimes.load(folder, threads=1)
    texts = ["I like tea and rice", "soup", "egg egg egg corn fish milk please"]
    found = np.array([answer.vector for answer in predictor.predict([{"text": text} for text in texts])])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    for row, text in enumerate(texts):
        np.testing.assert_allclose(predictor.predict([{"text": text}])[0].vector, found[row], atol=1e-6)
    np.testing.assert_allclose(SentenceTransformer(str(folder), device="cpu").encode(texts), found, atol=1e-6)
    assert check_golden(folder, predictor) == []


@pytest.mark.parametrize("objective", ["auto", "cosine", "contrastive"])
def test_scored_pairs_are_ordered(tmp_path: Path, objective: str) -> None:
    made = embed(tmp_path, True, objective=objective)
    details = ModelCard.read(tmp_path / "outputs" / "model").provenance["details"]
    assert details["objective"] == ("cosent" if objective == "auto" else objective)
    assert made.value("train.validation_auc") > 0.9
    assert any("do not belong together" in line for line in made.said) == (objective == "contrastive")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({"objective": "cosine"}, "needs scores"), ({"other": "txt_b"}, "no column"), ({"negative": "no"}, "no column")],
)
def test_pairs_that_do_not_fit_the_settings_are_refused(tmp_path: Path, settings, expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        embed(tmp_path, False, **settings)


def rewrite(root: Path, family: str = "t5", **settings: Any) -> FakeContext:
    columns = {split: reversed_columns(count, count) for split, count in (("train", 300), ("validation", 40))}
    columns["train"]["answer"][0] = ""
    made = FakeContext(root, {"data": write_pairs(root / "data", **columns)}, seed=0, base=root)
    common = {
        "max_length": 12,
        "max_answer": 8,
        "max_steps": 60,
        "tokenizer": {"kind": "characters"},
        "compute": COMPUTE,
    }
    shape = {"family": family, "layers": 1, "width": 32, "heads": 2, "dropout": 0}
    config = text_to_text.Config(**{**common, "model": shape, "optimizer": {"learning_rate": 5e-3}, **settings})
    text_to_text.run(config, made)
    return made


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_answers_are_those_of_transformers_alone_and_in_any_batch(tmp_path: Path, family: str) -> None:
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    made = rewrite(tmp_path, family)
    assert any("1 train rows were left out" in line for line in made.said)
    folder = tmp_path / "outputs" / "model"
    predictor = runtimes.load(folder, threads=1)
    model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    texts = ["abcd", "e", "ba", "edc", "aaaa"]
    for beams in (1, 3):
        records = [{"text": text, "beams": beams} for text in texts]
        together = predictor.predict(records)
        for record, found in zip(records, together, strict=True):
            assert predictor.predict([record])[0] == found
            ids = tokenizer(record["text"], return_tensors="pt")["input_ids"]
            expected = model.generate(input_ids=ids, num_beams=beams, max_new_tokens=8, do_sample=False)[0]
            assert found.text == tokenizer.decode(expected, skip_special_tokens=True)
    # So few steps teach BART little.
    assert len({answer.text for answer in together}) > (2 if family == "t5" else 0)
    assert check_golden(folder, predictor) == []


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_fresh_weights_learn_without_dropout_if_nothing_is_said(tmp_path: Path, family: str) -> None:
    from transformers import AutoModelForSeq2SeqLM

    shape = text_to_text.Config(model={"family": family, "layers": 1, "width": 32, "heads": 2}).model
    rewrite(tmp_path, family, model=shape.model_dump(), max_steps=1)
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "outputs" / "model").train()
    ids = torch.tensor([[260, 261]])
    first, second = (model(input_ids=ids, decoder_input_ids=ids).logits for _ in range(2))
    assert torch.equal(first, second)


def test_greedy_answers_take_the_likeliest_token_each_time(tmp_path: Path) -> None:
    from transformers import AutoModelForSeq2SeqLM

    rewrite(tmp_path)
    folder = tmp_path / "outputs" / "model"
    predictor, model = runtimes.load(folder, threads=1), AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = predictor._tokenizer
    for text in ("abc", "dd"):
        ids, written = torch.tensor([tokenizer(text)["input_ids"]]), [model.config.decoder_start_token_id]
        while len(written) <= 8:
            with torch.inference_mode():
                token = int(model(input_ids=ids, decoder_input_ids=torch.tensor([written])).logits[0, -1].argmax())
            if token == tokenizer.eos_token_id:
                break
            written.append(token)
        found = predictor.predict([{"text": text}])[0]
        assert found.text == tokenizer.decode(written[1:])
        assert (found.tokens, found.finish) == (len(written) - 1, "stop" if len(written) <= 8 else "length")


def test_a_text_longer_than_the_model_is_cut_and_it_is_said(tmp_path: Path) -> None:
    made = rewrite(tmp_path, max_length=4, max_answer=4)
    assert any("train texts are longer than 4 tokens" in line for line in made.said)
    answer = runtimes.load(tmp_path / "outputs" / "model", threads=1).predict([{"text": "abcde"}])[0]
    assert answer.unread == 2


@pytest.mark.parametrize("record", [{}, {"text": 1}, {"text": "a", "beams": 0}, {"text": "a", "beam": 2}])
def test_records_that_cannot_be_read_name_themselves(record) -> None:
    from modelyard.methods.tasks.text_to_text import TASK

    with pytest.raises(InputError) as caught:
        TASK.values([{"text": "a"}, record])
    assert caught.value.problems[0].where.startswith("records[1]")


def test_a_column_of_answers_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column `reply`"):
        rewrite(tmp_path, answer="reply")
