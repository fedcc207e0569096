"""The stage `evaluate.transferability`: its ranking agrees with what fine-tuning finds, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

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


def rank(root: Path, target: Path, bases: tuple[str, ...], **settings: Any) -> FakeContext:
    context = FakeContext(target, {"data": root / "data"}, base=root)
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
