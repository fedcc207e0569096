"""Texts become the same arrays everywhere, whatever they hold and whichever batch they are in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.tiny_reviews import reviews

from modelyard.errors import InputError
from modelyard.methods import preprocessing
from modelyard.methods.preprocessing import bpe, ngrams, tokens
from modelyard.methods.preprocessing.scripts import unspaced_share

TEXTS = [text for text, _ in reviews(80)]
OF_TEXTS = ("tokens", "ngrams", "union")
"""Tables and images have tests of their own."""
ODD = ["", " ", "\x00", "\ud800 lone", "𠮷野家", "ＡＢＣ　１２３", "a" * 50_000, "\n\t", "🙂🙂", "e\u0301"]


def ngram_folder(folder: Path) -> dict:
    return ngrams.fit(TEXTS).save(folder)


def token_folder(folder: Path) -> dict:
    tokenizer = bpe.learn(TEXTS, 400)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokens.wrap(tokenizer, 24, 0).spec()


def specs(folder: Path) -> dict[str, dict]:
    both = [ngram_folder(folder), token_folder(folder)]
    return {"ngrams": both[0], "tokens": both[1], "union": {"kind": "union", "parts": both}}


@pytest.mark.parametrize("kind", OF_TEXTS)
def test_a_row_is_the_same_alone_and_in_a_batch(tmp_path: Path, kind: str) -> None:
    loaded = preprocessing.load(tmp_path, specs(tmp_path)[kind])
    texts = [*TEXTS[:10], *ODD]
    together = loaded.encode(texts)
    assert set(together) == set(loaded.input_names)
    for row, text in enumerate(texts):
        for name, alone in loaded.encode([text]).items():
            width = alone.shape[1]
            assert np.array_equal(together[name][row, :width], alone[0]), (name, text[:20])
            assert not together[name][row, width:].any()


@pytest.mark.parametrize("kind", OF_TEXTS)
def test_no_texts_give_arrays_without_rows(tmp_path: Path, kind: str) -> None:
    arrays = preprocessing.load(tmp_path, specs(tmp_path)[kind]).encode([])
    assert all(array.shape == (0, 1) for array in arrays.values())


def test_types_are_what_every_runtime_takes(tmp_path: Path) -> None:
    arrays = preprocessing.load(tmp_path, specs(tmp_path)["union"]).encode(TEXTS[:3])
    found = {name: str(array.dtype) for name, array in arrays.items()}
    integers = dict.fromkeys(("ngram_ids", "input_ids", "attention_mask"), "int64")
    assert found == {**integers, "ngram_weights": "float32"}


def test_ngrams_saved_and_loaded_encode_the_same(tmp_path: Path) -> None:
    fitted = ngrams.fit(TEXTS)
    loaded = preprocessing.load(tmp_path, fitted.save(tmp_path))
    for name, array in fitted.encode(TEXTS).items():
        assert np.array_equal(loaded.encode(TEXTS)[name], array)


@pytest.mark.parametrize("families", [ngrams.UNSPACED_FAMILIES, ngrams.SPACED_FAMILIES, ngrams.MIXED_FAMILIES])
def test_the_trie_finds_what_counting_by_hand_finds(families) -> None:
    texts = [*TEXTS, "a b", "ab  ab", "", "很好很好"]
    fitted = ngrams.fit(texts, families, min_rows=2)
    rows, ids, weights = fitted.sparse(texts)
    for row, text in enumerate(texts):
        found = dict(zip(ids[rows == row].tolist(), weights[rows == row].tolist(), strict=True))
        assert found == pytest.approx(by_hand(fitted, text), abs=1e-6), text


def by_hand(fitted: ngrams.Ngrams, text: str) -> dict[int, float]:
    weights: dict[int, float] = {}
    start = 1
    for family, grams in zip(fitted.families, fitted.grams, strict=True):
        found = family.grams(ngrams.normalise(text))
        mine = {
            start + place: (1 + np.log(found.count(gram))) * float(fitted.idf[start + place])
            for place, gram in enumerate(grams)
            if gram in found
        }
        norm = np.sqrt(sum(weight**2 for weight in mine.values()) * len(fitted.families))
        weights |= {place: weight / norm for place, weight in mine.items()}
        start += len(grams)
    return weights


def test_chinese_is_cut_into_characters_and_english_into_words() -> None:
    assert ngrams.families_for(["很好吃，送货快"]) == ngrams.UNSPACED_FAMILIES
    assert ngrams.families_for(["works well"]) == ngrams.SPACED_FAMILIES
    assert ngrams.families_for(["iPhone works well, 很好"]) == ngrams.MIXED_FAMILIES
    assert unspaced_share(["123 !?"]) == 0


def test_width_and_case_do_not_matter() -> None:
    fitted = ngrams.fit(["abc 123", "abc 123"])
    assert np.array_equal(fitted.encode(["ＡＢＣ　１２３"])["ngram_ids"], fitted.encode(["abc 123"])["ngram_ids"])


def test_the_vocabulary_keeps_the_most_frequent_and_breaks_ties_by_code_point() -> None:
    fitted = ngrams.fit(["b a", "a b", "a c"], (ngrams.Family("word", 1, 1),), min_rows=1, max_features=2)
    assert fitted.grams == (("a", "b"),)


def test_a_tokenizer_learned_twice_in_other_processes_is_the_same_bytes(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from support.tiny_reviews import reviews\n"
        "from modelyard.methods.preprocessing import bpe\n"
        "bpe.learn([text for text, _ in reviews(300)], 500).save(sys.argv[2])\n"
    )
    found = []
    for hash_seed in ("1", "2"):
        target = tmp_path / f"{hash_seed}.json"
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": hash_seed}
        arguments = [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(target)]
        subprocess.run(arguments, check=True, env=environment)
        found.append(target.read_bytes())
    assert found[0] == found[1]


def test_no_text_is_unknown_to_a_learned_tokenizer() -> None:
    tokenizer = bpe.learn(TEXTS, 400)
    unknown = tokenizer.token_to_id(bpe.UNKNOWN)
    for text in ["𠮷", "Ж", "🙂", "龘"]:
        assert unknown not in tokenizer.encode(text).ids


def test_han_characters_stand_alone_unless_words_are_asked_for() -> None:
    texts = ["送货很快", "送货太慢"] * 20
    assert bpe.learn(texts, 400).encode("送货").tokens[1:-1] == ["送", "货"]
    assert bpe.learn(texts, 400, han="words").encode("送货").tokens[1:-1] == ["送货"]


def test_a_learned_tokenizer_loads_in_transformers_and_reads_alike(tmp_path: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    spec = token_folder(tmp_path)
    peer = PreTrainedTokenizerFast(tokenizer_file=str(tmp_path / "tokenizer.json"), pad_token=bpe.PAD)
    ours = preprocessing.load(tmp_path, spec).encode(TEXTS[:5])
    theirs = peer(TEXTS[:5], truncation=True, max_length=24, padding=True, return_tensors="np")
    assert np.array_equal(ours["input_ids"], theirs["input_ids"])
    assert np.array_equal(ours["attention_mask"], theirs["attention_mask"])


def test_long_texts_are_cut_with_the_closing_token_kept(tmp_path: Path) -> None:
    loaded = preprocessing.load(tmp_path, token_folder(tmp_path))
    ids = loaded.encode(["很" * 1000])["input_ids"]
    assert ids.shape == (1, 24)
    assert ids[0, -1] == bpe.SPECIAL.index(bpe.END)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"kind": "token"}, "tokens"),
        ({"kind": "tokens"}, "tokenizer"),
        ({"kind": "tokens", "tokenizer": "missing.json", "max_length": 8}, "missing.json"),
        ({"kind": "ngrams", "vocabulary": "missing.json", "idf": "x"}, "missing.json"),
        ({"kind": "union", "parts": [{"kind": "nothing"}]}, "nothing"),
    ],
)
def test_a_wrong_spec_is_an_input_error_that_names_it(tmp_path: Path, spec: dict, word: str) -> None:
    with pytest.raises(InputError, match=word):
        preprocessing.load(tmp_path, spec)


def test_files_of_two_vocabularies_are_refused(tmp_path: Path) -> None:
    spec = ngram_folder(tmp_path)
    value = json.loads((tmp_path / "ngrams.json").read_text(encoding="utf-8"))
    value["families"][0]["ngrams"].pop()
    (tmp_path / "ngrams.json").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(InputError, match="make the model again"):
        preprocessing.load(tmp_path, spec)


@pytest.mark.parametrize("name", ["tokenizer.json", "ngrams.json", "ngrams.safetensors"])
def test_binary_junk_is_an_input_error(tmp_path: Path, name: str) -> None:
    spec = specs(tmp_path)["union"]
    (tmp_path / name).write_bytes(b"\x00\xff junk")
    with pytest.raises(InputError):
        preprocessing.load(tmp_path, spec)
