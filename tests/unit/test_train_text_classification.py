"""The stage `train.text_classification`: what it makes, what it says, what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.tiny_reviews import reviews, write_dataset

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.preprocessing import bpe
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training import blending, pretrained, text_classifier
from modelyard.methods.training.candidates import Candidate
from modelyard.stages.train.text_classification import STAGE, Config, fingerprint, run

FAST = {
    "epochs": 3,
    "batch_size": 16,
    "reading": {"vocabulary_size": 400, "max_length": 32},
    "compute": {"threads": 1, "device": "cpu"},
}
SPLITS = {"train": reviews(160, 1), "validation": reviews(60, 2)}


def context(root: Path, splits: dict[str, list[Any]] | None = None, seed: int = 0) -> FakeContext:
    return FakeContext(root, {"data": write_dataset(root / "data", splits or SPLITS)}, seed=seed)


def train(root: Path, **settings: Any) -> FakeContext:
    made = context(root)
    run(Config(**{**FAST, **settings}), made)
    return made


def accuracy(root: Path) -> float:
    predictor = runtimes.load(root / "outputs" / "model", threads=1)
    answers = predictor.predict([{"text": text} for text, _ in SPLITS["validation"]])
    return float(
        np.mean([answer.label == label for answer, (_, label) in zip(answers, SPLITS["validation"], strict=True)])
    )


@pytest.mark.parametrize(
    ("size", "form", "kind"),
    [
        ("linear", "modelyard", "ngrams"),
        ("cnn", "modelyard", "tokens"),
        ("encoder-tiny", "hf", "tokens"),
        ("blend", "modelyard", "union"),
    ],
)
def test_each_size_makes_a_model_that_answers_as_its_claim_says(
    tmp_path: Path, size: str, form: str, kind: str
) -> None:
    made = train(tmp_path, size=size)
    card = ModelCard.read(tmp_path / "outputs" / "model")
    assert (card.format, card.preprocessing["kind"], card.labels) == (form, kind, ("bad", "good"))
    assert accuracy(tmp_path) == pytest.approx(made.value("train.validation_accuracy"), abs=1e-9)
    assert made.value("train.parameters") == card.provenance["tried"][-1]["weights"]
    measured = made.measurements[0]
    low, high = measured.interval
    assert (measured.about, measured.on, measured.n) == ("model", "data/validation", 60)
    assert low <= measured.value <= high
    assert high - low > 0.05
    golden = json.loads((tmp_path / "outputs" / "model" / "golden.json").read_text(encoding="utf-8"))
    assert len(golden["predictions"]) == 8


def test_auto_learns_says_what_it_tried_and_keeps_one_of_it(tmp_path: Path) -> None:
    made = train(tmp_path, size="auto")
    card = ModelCard.read(tmp_path / "outputs" / "model")
    assert [one["name"] for one in card.provenance["tried"]] == ["linear", "cnn", "blend"]
    assert card.provenance["kept"] in ("linear", "cnn", "blend")
    for name in ("linear", "cnn", "blend"):
        assert any(line.startswith(f"tried {name}") for line in made.said)
    assert any("encoders were not tried" in line for line in made.said)
    assert accuracy(tmp_path) > 0.75
    assert made.curves
    assert made.progressed


def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    found = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        made = context(tmp_path / name, seed=seed)
        run(Config(**FAST, size="cnn"), made)
        folder = tmp_path / name / "outputs" / "model"
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert found[0] == found[1]
    assert found[0]["model.safetensors"] != found[2]["model.safetensors"]


def test_the_model_holds_no_path_of_this_machine(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "bases" / "tiny")
    train(tmp_path, base=str(base))
    for path in (tmp_path / "outputs" / "model").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


def test_an_encoder_folder_loads_in_transformers_and_answers_alike(tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    train(tmp_path, size="encoder-tiny")
    folder = tmp_path / "outputs" / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    predictor = runtimes.load(folder, threads=1)
    for text, _ in SPLITS["validation"][:5]:
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt", truncation=True)).logits[0]
        answer = predictor.predict([{"text": text}])[0]
        assert answer.label == model.config.id2label[int(logits.argmax())]
        assert list(answer.scores.values()) == pytest.approx(logits.softmax(0).tolist(), abs=1e-5)


def tiny_base(folder: Path, vocabulary: int | None = None) -> Path:
    """A Hugging Face folder with a random two-layer encoder, as somebody else would have saved it."""
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe.learn([text for text, _ in SPLITS["train"]], 400),
        pad_token=bpe.PAD,
        unk_token=bpe.UNKNOWN,
        cls_token=bpe.START,
        sep_token=bpe.END,
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary or len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=24,
    )
    folder.mkdir(parents=True)
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def encoder_weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    return {name.removeprefix("bert."): tensor for name, tensor in tensors.items() if "classifier" not in name}


@pytest.mark.parametrize("freeze", ["nothing", "embeddings", "encoder"])
def test_fine_tuning_moves_what_is_not_frozen_and_nothing_else(tmp_path: Path, freeze: str) -> None:
    base = tiny_base(tmp_path / "base")
    made = train(tmp_path, base="base", freeze=freeze)
    before, after = encoder_weights(base), encoder_weights(tmp_path / "outputs" / "model")
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    embedding = "embeddings.word_embeddings.weight"
    assert (embedding in moved) == (freeze == "nothing")
    assert ("encoder.layer.0.attention.self.query.weight" in moved) == (freeze != "encoder")
    if freeze == "encoder":
        assert not moved
    assert accuracy(tmp_path) == pytest.approx(made.value("train.validation_accuracy"), abs=1e-9)


def test_a_base_reads_no_more_tokens_than_it_has_positions(tmp_path: Path) -> None:
    tiny_base(tmp_path / "base")
    train(tmp_path, base="base")
    assert ModelCard.read(tmp_path / "outputs" / "model").preprocessing["max_length"] == 24


def test_the_fingerprint_of_a_base_follows_its_bytes_and_scratch_has_none(tmp_path: Path) -> None:
    base = tiny_base(tmp_path / "base")
    first = fingerprint(Config(base="base"), tmp_path)
    assert first == fingerprint(Config(base=str(base)), tmp_path)
    config = base / "config.json"
    config.write_text(config.read_text() + " ")
    assert fingerprint(Config(base="base"), tmp_path) != first
    assert fingerprint(Config(), tmp_path) == "scratch"


def test_a_base_whose_tokenizer_is_larger_than_its_embeddings_is_refused(tmp_path: Path) -> None:
    tiny_base(tmp_path / "base", vocabulary=300)
    with pytest.raises(InputError, match="the tokenizer knows"):
        train(tmp_path, base="base")


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    with pytest.raises(InputError, match="no config"):
        train(tmp_path, base="base")
    (tmp_path / "base" / "config.json").write_text("{}")
    with pytest.raises(InputError, match="cannot load"):
        train(tmp_path, base="base")


@pytest.mark.parametrize("base", ["./missing", "somebody/no-such-model-here"])
def test_a_base_that_cannot_be_had_is_refused_with_what_to_do(tmp_path: Path, base: str, monkeypatch) -> None:
    monkeypatch.setenv("MODELYARD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "none"))
    with pytest.raises(InputError, match=base) as caught:
        pretrained.locate(base, tmp_path)
    assert caught.value.problems[0].expected


@pytest.mark.parametrize(
    ("splits", "word"),
    [
        ({"train": [("a", "x")] * 5, "validation": [("b", "x")]}, "two classes"),
        ({"train": [("a", "x"), ("b", "y")], "validation": [("c", "z")]}, "not in train: z"),
        ({"train": [("", "x"), ("  ", "y"), (None, "x")], "validation": [("c", "x")]}, "no train row"),
        ({"train": [("a", "x"), ("b", "y")], "validation": []}, "no validation row"),
        ({"train": [("a", None), ("b", None)], "validation": []}, "no train row"),
    ],
)
def test_data_that_cannot_be_learned_from_is_refused(tmp_path: Path, splits: dict[str, list[Any]], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        run(Config(**FAST), context(tmp_path, splits))
    assert all(problem.where.startswith("data/") and problem.remedy for problem in caught.value.problems)


def test_rows_without_text_or_label_are_left_out_and_counted(tmp_path: Path) -> None:
    holes: list[Any] = [(None, "good"), ("", "bad"), ("fine", None)]
    made = context(tmp_path, {"train": [*SPLITS["train"], *holes], "validation": SPLITS["validation"]})
    run(Config(**FAST, size="linear"), made)
    assert "3 train rows without a text or a label were left out" in made.said


@pytest.mark.parametrize("size", ["linear", "blend"])
def test_a_class_with_one_row_and_a_tiny_validation_still_train(tmp_path: Path, size: str) -> None:
    splits = {"train": [*reviews(30, 1), ("the only one", "rare")], "validation": reviews(2, 2)}
    run(Config(**FAST, size=size), context(tmp_path, splits))
    assert ModelCard.read(tmp_path / "outputs" / "model").labels == ("bad", "good", "rare")


def test_choices_of_the_machine_are_made_once_and_followed(tmp_path: Path) -> None:
    made = context(tmp_path)
    (made.scratch() / "choices.json").write_text('{"device": "cpu", "precision": "fp32", "threads": 1}')
    run(Config(**{**FAST, "compute": {}}, size="cnn"), made)
    details = ModelCard.read(tmp_path / "outputs" / "model").provenance["details"]
    assert (details["precision"], details["threads"]) == ("fp32", 1)


def test_without_epochs_few_rows_get_more_and_a_budget_ends_them() -> None:
    assert text_classifier.epochs_for(8, steps=110, tokens=460_000, budget=8e6) == 8
    assert text_classifier.epochs_for(8, steps=35, tokens=10_000, budget=8e6) == 18
    assert text_classifier.epochs_for(8, steps=1, tokens=100, budget=8e6) == text_classifier.MAX_EPOCHS
    assert text_classifier.epochs_for(8, steps=3000, tokens=2_000_000, budget=8e6) == 4
    assert text_classifier.epochs_for(8, steps=9000, tokens=90_000_000, budget=8e6) == 2


def candidate(name: str, hits: float, loss: float) -> Candidate:
    metrics = {"accuracy": hits, "f1_macro": hits, "loss": loss}
    return Candidate(name, torch.nn.Linear(1, 1), {}, (), np.zeros((1, 2), np.float32), metrics)


def test_within_one_standard_error_the_loss_decides_and_beyond_it_the_metric() -> None:
    close = [candidate("a", 0.85, 0.40), candidate("b", 0.845, 0.35)]
    assert blending.choose(close, 1000, "accuracy").name == "b"
    assert blending.choose(close, 1_000_000, "accuracy").name == "a"
    assert blending.choose(close, 1_000_000, "loss").name == "b"


@pytest.mark.parametrize(
    "settings",
    [
        {"size": "huge"},
        {"epochs": 0},
        {"optimizer": {"name": "adam"}},
        {"schedule": {"warmup": 1.0}},
        {"regularization": {"dropout": 1.0}},
        {"unknown": 1},
        {"compute": {"threads": 0}},
    ],
)
def test_settings_outside_their_limits_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Config(**settings)


def test_every_setting_is_described_and_the_stage_file_stays_light() -> None:
    for name, field in Config.model_fields.items():
        assert field.description, name
    code = (
        "import sys, modelyard.stages.train.text_classification\n"
        "print([name for name in ('torch', 'numpy', 'transformers', 'sklearn', 'pyarrow') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert STAGE.inputs["data"].splits == ("train", "validation")


def test_every_line_of_training_has_its_chinese() -> None:
    import ast

    from modelyard.base.messages import catalogue

    root = Path(text_classifier.__file__).parents[2]
    files = [root / "stages" / "train" / "text_classification.py"]
    for room in ("preprocessing", "networks", "training"):
        files += sorted((root / "methods" / room).glob("*.py"))
    said = {
        node.args[0].value
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "t" and isinstance(node.args[0], ast.Constant)
    }
    assert len(said) > 40
    assert said - set(catalogue("zh")) == set()
