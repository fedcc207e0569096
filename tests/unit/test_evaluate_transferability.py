"""The stage `evaluate.transferability`: its ranking agrees with what fine-tuning finds, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

import modelyard
from modelyard.app.session import open_store
from modelyard.errors import InputError
from modelyard.methods.preprocessing import bpe
from modelyard.stages.evaluate.transferability import Config, fingerprint, run
from modelyard.stages.train import text_classification

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32"}


def random_base(folder: Path, width: int = 32, seed: int = 0) -> Path:
    """An encoder that has seen nothing."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe.learn([text for text, _ in reviews(200, 11)], 400),
        pad_token=bpe.PAD, unk_token=bpe.UNKNOWN, cls_token=bpe.START, sep_token=bpe.END,
    )  # fmt: skip
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=width, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=2 * width, max_position_embeddings=40,
    )  # fmt: skip
    folder.mkdir(parents=True)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`blank`, and `read`: the same encoder after it learned other rows of the same kind."""
    root = tmp_path_factory.mktemp("bases")
    random_base(root / "blank")
    data = write_dataset(root / "other", {"train": reviews(400, 21), "validation": reviews(80, 22)})
    context = FakeContext(root, {"data": data})
    settings = {"base": str(root / "blank"), "epochs": 8, "compute": COMPUTE, "optimizer": {"learning_rate": 3e-3}}
    text_classification.run(text_classification.Config(**settings), context)
    shutil.copytree(root / "outputs" / "model", root / "read")
    write_dataset(root / "data", {"train": reviews(200, 1), "validation": reviews(100, 2)})
    return root


def rank(
    root: Path, place: Path, bases: tuple[str, ...], sources: tuple[Path, ...] = (), **settings: Any
) -> FakeContext:
    context = FakeContext(place, {"data": root / "data", "sources": list(sources)}, base=root)
    run(Config(bases=bases, threads=1, **settings), context)
    return context


def test_the_ranking_is_that_of_fine_tuned_accuracy(candidates: Path, tmp_path: Path) -> None:
    random_base(tmp_path / "narrow", 8, 3)
    bases = ("blank", "read", str(tmp_path / "narrow"))
    context = rank(candidates, tmp_path / "rank", bases)
    report = json.loads((tmp_path / "rank" / "outputs" / "report" / "transferability.json").read_text())
    assert report["best"] == "read"
    assert [one["logme"] for one in report["ranking"]] == sorted((o["logme"] for o in report["ranking"]), reverse=True)
    assert context.said[0].startswith("1. read: LogME")
    accuracy = {}
    for name in ("read", "blank"):
        trained = FakeContext(tmp_path / name, {"data": candidates / "data"}, base=candidates)
        settings = {"base": name, "epochs": 2, "compute": COMPUTE, "optimizer": {"learning_rate": 1e-3}}
        text_classification.run(text_classification.Config(**settings), trained)
        accuracy[name] = trained.value("train.validation_accuracy")
    assert accuracy["read"] > accuracy["blank"] + 0.05


def test_the_same_rows_are_read_whatever_the_order_of_candidates(candidates: Path, tmp_path: Path) -> None:
    found = []
    for place, bases in enumerate((("blank", "read"), ("read", "blank"))):
        rank(candidates, tmp_path / str(place), bases, rows=60)
        found.append((tmp_path / str(place) / "outputs" / "report" / "transferability.json").read_bytes())
    assert found[0] == found[1]


def test_a_report_names_no_place_of_this_machine(candidates: Path, tmp_path: Path) -> None:
    context = rank(candidates, tmp_path, (str(candidates / "blank"), str(candidates / "read")))
    text = (tmp_path / "outputs" / "report" / "transferability.json").read_text() + "".join(context.said)
    assert str(candidates) not in text


def test_files_of_candidates_are_fingerprinted(candidates: Path, tmp_path: Path) -> None:
    shutil.copytree(candidates / "blank", tmp_path / "mine")
    before = fingerprint(Config(bases=("mine",)), tmp_path)
    (tmp_path / "mine" / "config.json").write_text((tmp_path / "mine" / "config.json").read_text() + " ")
    assert fingerprint(Config(bases=("mine",)), tmp_path) != before


def test_what_is_no_encoder_is_refused(candidates: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"config\.json"):
        rank(candidates, tmp_path / "a", (str(tmp_path / "empty"),))
    shutil.copytree(candidates / "blank", tmp_path / "code")
    config = json.loads((tmp_path / "code" / "config.json").read_text())
    (tmp_path / "code" / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    with pytest.raises(InputError):
        rank(candidates, tmp_path / "b", (str(tmp_path / "code"),))
    with pytest.raises(ValidationError, match="twice"):
        Config(bases=("blank", "blank"))
    with pytest.raises(ValidationError):
        Config(bases=())


def test_the_best_base_flows_into_training_in_one_pipeline(candidates: Path, tmp_path: Path) -> None:
    for name in ("blank", "read"):
        shutil.copytree(candidates / name, tmp_path / name)
    with (tmp_path / "rows.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("text", "label"), *reviews(120, 5)])
    compute = "{threads: 1, device: cpu, precision: fp32}"
    (tmp_path / "modelyard.yaml").write_text(
        "version: 1\nproject: choice\nsteps:\n"
        "  rows: {uses: data.read, with: {path: rows.csv, text: text, label: label}}\n"
        "  split: {uses: data.split, with: {validation: 0.2, test: 0.2}}\n"
        "  choose: {uses: evaluate.transferability, with: {bases: [blank, read], threads: 1}}\n"
        "  classifier:\n    uses: train.text_classification\n    in: {base: choose.best}\n"
        f"    with: {{epochs: 1, compute: {compute}}}\n"
    )
    outputs = {step.step: step.outputs for step in modelyard.run(tmp_path).steps}
    with open_store(tmp_path) as (_, store):
        card = json.loads((store.artifacts.path(outputs["classifier"]["model"]) / "model.json").read_text())
        assert card["provenance"]["base"] == "port base"
        kept = store.artifacts.path(outputs["choose"]["best"])
        assert (kept / "model.safetensors").read_bytes() == (candidates / "read" / "model.safetensors").read_bytes()


def test_what_is_kept_is_the_best_base_even_where_another_has_its_name(candidates: Path, tmp_path: Path) -> None:
    for base, folder in (("blank", "a"), ("read", "b")):
        shutil.copytree(candidates / base, tmp_path / folder / "same")
    bases = (str(tmp_path / "a" / "same"), str(tmp_path / "b" / "same"))
    rank(candidates, tmp_path / "rank", bases, rows=100)
    kept = tmp_path / "rank" / "outputs" / "best"
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        assert (kept / name).read_bytes() == (candidates / "read" / name).read_bytes()


def test_sources_are_ranked_by_how_near_their_texts_are(candidates: Path, tmp_path: Path) -> None:
    near = write_dataset(tmp_path / "near", {"train": reviews(200, 7)})
    far = write_dataset(tmp_path / "far", {"train": [(f"quarterly report {n} of the board", "x") for n in range(80)]})
    context = rank(candidates, tmp_path / "rank", ("blank",), (far, near), rows=200, source_names=("far", "near"))
    report = json.loads((tmp_path / "rank" / "outputs" / "report" / "transferability.json").read_text())
    assert [one["source"] for one in report["sources"]] == ["near", "far"]
    assert report["sources"][0]["value"] < 0.5 < 1.8 < report["sources"][1]["value"]
    assert context.said[-2].startswith("1. source near: proxy A-distance")
    last = context.measurements[-1]
    assert (last.claim, last.slice, last.n) == ("transferability.proxy_a_distance", {"source": "far"}, 160)
    with pytest.raises(InputError, match="1 names for 2 data sets"):
        rank(candidates, tmp_path / "b", ("blank",), (far, near), rows=20, source_names=("far",))


def test_labels_that_are_numbers_are_ranked_by_the_evidence_alone(candidates: Path, tmp_path: Path) -> None:
    rows = [(text, str(float(label == "good"))) for text, label in reviews(150, 1)]
    write_dataset(tmp_path / "data", {"train": rows})
    bases = (str(candidates / "blank"), str(candidates / "read"))
    context = rank(tmp_path, tmp_path / "rank", bases, target="number")
    report = json.loads((tmp_path / "rank" / "outputs" / "report" / "transferability.json").read_text())
    assert report["best"] == "read"
    assert "classes" not in report
    assert {item.claim for item in context.measurements} == {"transferability.logme"}
    write_dataset(tmp_path / "data", {"train": [*rows, ("one more", "many")]})
    with pytest.raises(InputError, match="no finite number"):
        rank(tmp_path, tmp_path / "b", bases, target="number")
