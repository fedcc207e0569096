"""The stages of language models: what they make and say, and what they refuse."""

from __future__ import annotations

import json
import math
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.tiny_language import SHAPE, stories, tiny_model, write_columns, write_texts

from modelyard.errors import InputError, StageError
from modelyard.methods import runtimes
from modelyard.methods.preprocessing import lossless
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training import nf4
from modelyard.methods.training.language import saving
from modelyard.methods.training.language.settings import Generation
from modelyard.stages.train import instruct, language_model, preference

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32"}
QUICK: dict[str, Any] = {"batch_size": 4, "max_steps": 6, "compute": COMPUTE}
FRESH: dict[str, Any] = {**QUICK, "model": SHAPE, "tokenizer": {"kind": "characters"}, "context": 32}
QUESTIONS = {"instruction": [f"{n} likes?" for n in ("Ada", "Ben") * 8], "output": ["tea.", "soup."] * 8}
PAIRS = {"prompt": ["Ada likes"] * 12, "chosen": ["tea."] * 12, "rejected": ["soup."] * 12}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model with fresh weights."""
    folder = tmp_path_factory.mktemp("base")
    model, tokenizer = tiny_model()
    saving.write_model(model, tokenizer, folder, 64, Generation(), {}, "MIT", saving.prompts(["Ada"]))
    return folder


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_texts(tmp_path / "texts", [*stories(30, 1), "", None], [*stories(8, 2), None])


def context(root: Path, data: Path, base: Path | None = None, seed: int = 0) -> FakeContext:
    return FakeContext(root, {"data": data, **({"base": base} if base else {})}, seed=seed, base=root)


def pretrain(root: Path, data: Path, **settings: Any) -> FakeContext:
    made = context(root, data)
    language_model.run(language_model.Config(**{**FRESH, **settings}), made)
    return made


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("kind", ["bytes", "characters"])
def test_a_fresh_model_is_one_that_transformers_loads_and_its_claim_is_its_loss(
    tmp_path: Path, texts: Path, family: str, kind: str
) -> None:
    from torch.nn import functional
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokens = {"kind": kind, "vocabulary_size": 300}
    made = pretrain(tmp_path, texts, model={**SHAPE, "family": family}, tokenizer=tokens)
    folder = tmp_path / "outputs" / "model"
    card = ModelCard.read(folder)
    assert (card.task, card.format, card.labels, card.precision) == ("text-generation", "hf", (), "fp32")
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.model_type == family
    total, count = 0.0, 0
    for text in stories(8, 2):
        ids = [*tokenizer(text)["input_ids"], tokenizer.eos_token_id]
        # Longer than a line: the document goes on in another, which sees nothing of the one before.
        for start in range(0, len(ids) - 1, 32):
            part = torch.tensor(ids[start : start + 33])
            logits = model(input_ids=part[None, :-1]).logits[0].double()
            total += functional.cross_entropy(logits, part[1:], reduction="sum").item()
            count += len(part) - 1
    assert made.value("train.validation_loss") == pytest.approx(total / count, rel=1e-4)
    bits = total / math.log(2) / sum(len(text.encode()) for text in stories(8, 2))
    assert made.value("train.validation_bits_per_byte") == pytest.approx(bits, rel=1e-4)
    measured = made.measurements[0]
    assert measured.n == count
    low, high = measured.interval
    assert low < measured.value < high
    assert made.value("train.parameters") == sum(one.numel() for one in model.parameters())
    assert tokenizer.decode(tokenizer("Ada 喝 tea,\n  é")["input_ids"], skip_special_tokens=True) == "Ada 喝 tea,\n  é"


def test_the_same_settings_give_the_same_bytes_and_another_seed_others(tmp_path: Path, texts: Path) -> None:
    def digests(name: str, seed: int) -> dict[str, bytes]:
        made = context(tmp_path / name, texts, seed=seed)
        (tmp_path / name).mkdir()
        language_model.run(language_model.Config(**FRESH), made)
        folder = tmp_path / name / "outputs" / "model"
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    first = digests("a", 0)
    assert digests("b", 0) == first
    assert digests("c", 1)["model.safetensors"] != first["model.safetensors"]
    assert not any(str(tmp_path).encode() in content for content in first.values())


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ({"max_steps": None, "max_tokens": 400}, 3),
        ({"max_steps": None, "epochs": 0.5}, None),
        ({"max_steps": 3, "epochs": 9}, 3),
    ],
)
def test_steps_tokens_and_epochs_limit_each_other(tmp_path: Path, texts: Path, settings, steps) -> None:
    made = pretrain(tmp_path, texts, **settings)
    card = ModelCard.read(tmp_path / "outputs" / "model")
    details = card.provenance["details"]
    assert details["steps"] == (steps or round(details["batches_an_epoch"] / 2))
    assert any(f"{details['steps']:,} steps" in line for line in made.said)


def test_a_base_goes_on_as_a_whole_or_with_an_adapter_that_is_merged(tmp_path: Path, texts: Path, base: Path) -> None:
    from safetensors.torch import load_file

    before = load_file(base / "model.safetensors")
    for name, adapter in (("whole", None), ("adapter", {"rank": 2, "alpha": 4, "targets": ["q_proj"]})):
        (tmp_path / name).mkdir()
        made = context(tmp_path / name, texts, base)
        language_model.run(language_model.Config(**QUICK, adapter=adapter), made)
        folder = tmp_path / name / "outputs" / "model"
        after = load_file(folder / "model.safetensors")
        assert after.keys() == before.keys()
        changed = {key for key in before if not torch.equal(after[key], before[key])}
        assert changed == (set(before) if adapter is None else {key for key in before if "q_proj" in key})
        assert (folder / "adapter" / "adapter_model.safetensors").is_file() == (adapter is not None)
        assert runtimes.load(folder).predict([{"prompt": "Ada"}])[0].tokens >= 0


def test_instruct_teaches_chats_to_a_model_of_the_step_above(tmp_path: Path, base: Path) -> None:
    data = write_columns(tmp_path / "data", {"train": QUESTIONS, "validation": QUESTIONS})
    made = context(tmp_path, data, base)
    config = instruct.Config(batch_size=8, epochs=60, optimizer={"learning_rate": 1e-2}, compute=COMPUTE)
    instruct.run(config, made)
    folder = tmp_path / "outputs" / "model"
    predictor = runtimes.load(folder, threads=1)
    assert [predictor.predict([{"text": f"{name} likes?"}])[0].text for name in ("Ada", "Ben")] == ["tea.", "soup."]
    assert made.value("train.validation_loss") < 0.1
    config = json.loads((folder / "generation_config.json").read_text())
    assert len(config["eos_token_id"]) == 2


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_instruct_by_an_adapter_changes_its_layers_and_the_marks_alone(tmp_path: Path, base: Path, kind: str) -> None:
    from safetensors.torch import load_file

    data = write_columns(tmp_path / "data", {"train": QUESTIONS, "validation": QUESTIONS})
    settings = {**QUICK, "adapter": {"rank": 2, "alpha": 4, "kind": kind, "targets": ["v_proj"]}}
    instruct.run(instruct.Config(**settings), context(tmp_path, data, base))
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "outputs" / "model"))
    changed = {key for key in before if not torch.equal(after[key], before[key])}
    assert changed == {"model.embed_tokens.weight"} | {key for key in before if "v_proj" in key}
    rows = (after["model.embed_tokens.weight"] != before["model.embed_tokens.weight"]).any(1).nonzero().flatten()
    assert rows.tolist() == [lossless.SPECIAL.index(mark) for mark in (lossless.TURN_START, lossless.TURN_END)]
    # The adapter goes on beside the same base, and beside no other.
    (tmp_path / "again").mkdir()
    again = instruct.Config(**settings, adapter_start=str(tmp_path / "outputs" / "model" / "adapter"))
    instruct.run(again, context(tmp_path / "again", data, base))
    with pytest.raises(InputError, match="another base"):
        instruct.run(again, context(tmp_path / "again", data, tmp_path / "outputs" / "model"))


@pytest.mark.parametrize("stage", [language_model, instruct, preference])
def test_a_base_in_four_bits_is_said_and_the_model_is_merged_into_what_the_bits_stand_for(
    tmp_path: Path, texts: Path, base: Path, stage: Any
) -> None:
    from safetensors.torch import load_file

    columns = PAIRS if stage is preference else QUESTIONS
    data = texts
    if stage is not language_model:
        data = write_columns(tmp_path / "data", {"train": columns, "validation": columns})
    settings = {**QUICK, "adapter": {"rank": 2, "targets": ["v_proj"], "base": "nf4"}}
    made = context(tmp_path, data, base)
    stage.run(stage.Config(**settings), made)
    assert any(line.startswith("14 matrices of the base are held in 4 bits") for line in made.said)
    before, after = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "outputs" / "model"))
    assert before.keys() == after.keys()
    for name, weight in before.items():
        if "_proj" in name:
            stands = nf4.unpack(nf4.pack(weight))
            assert torch.equal(after[name], stands) == ("v_proj" not in name), name
            assert (after[name] - stands).abs().max() < 0.1
        elif "norm" in name:
            assert torch.equal(after[name], weight), name
    assert runtimes.load(tmp_path / "outputs" / "model").predict([{"prompt": "Ada"}])[0].tokens >= 0
    # It mended what 4 bits lost: beside the whole weights it is another change.
    if stage is instruct:
        (tmp_path / "again").mkdir()
        adapter = tmp_path / "outputs" / "model" / "adapter"
        for kind, fits in (("nf4", True), ("fp32", False)):
            again = instruct.Config(
                **{**settings, "adapter": {**settings["adapter"], "base": kind}}, adapter_start=str(adapter)
            )
            with nullcontext() if fits else pytest.raises(InputError, match="another base"):
                instruct.run(again, context(tmp_path / "again", data, base))


def test_preferences_are_judged_against_the_base_in_four_bits(tmp_path: Path, base: Path) -> None:
    import numpy as np

    data = write_columns(tmp_path / "data", {"train": PAIRS, "validation": PAIRS})
    found = []
    for kind in ("fp32", "nf4"):
        (tmp_path / kind).mkdir()
        settings = {**QUICK, "max_steps": 1, "evaluate_every": 1, "optimizer": {"learning_rate": 1e-9}}
        made = context(tmp_path / kind, data, base)
        preference.run(preference.Config(**settings, adapter={"rank": 2, "base": kind}), made)
        found.append(np.load(tmp_path / kind / "scratch" / "reference" / "train" / "000000.npy"))
        history = ModelCard.read(tmp_path / kind / "outputs" / "model").provenance["details"]["history"]
        # Nothing was learned: no answer is likelier than under the reference.
        assert history[-1]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert abs(found[0] - found[1]).max() > 1e-3


def test_chats_are_read_and_bad_rows_are_counted_not_fatal(tmp_path: Path, base: Path) -> None:
    good = json.dumps([{"from": "human", "value": "Ada?"}, {"from": "gpt", "value": "tea."}])
    bad = ["{", None, "[]", json.dumps([{"role": "user", "content": "q"}]), json.dumps([{"role": "user"}])]
    data = write_columns(tmp_path / "data", {"train": {"messages": [good, *bad]}, "validation": {"messages": [good]}})
    made = context(tmp_path, data, base)
    instruct.run(instruct.Config(**QUICK), made)
    said = " ".join(made.said)
    assert said.count("1 train rows were left out") == 5
    assert "train-1" in said
    card = ModelCard.read(tmp_path / "outputs" / "model")
    assert card.provenance["rows"] == {"train": 1, "validation": 1}


@pytest.mark.parametrize("adapter", [None, {"rank": 4, "alpha": 8}])
def test_preference_moves_the_model_towards_the_chosen(tmp_path: Path, base: Path, adapter) -> None:
    data = write_columns(tmp_path / "data", {"train": PAIRS, "validation": PAIRS})
    made = context(tmp_path, data, base)
    settings = {**QUICK, "adapter": adapter, "optimizer": {"learning_rate": 1e-2}}
    preference.run(preference.Config(**settings), made)
    assert made.value("train.validation_reward_accuracy") == 1.0
    low, high = made.measurements[0].interval
    assert 0.7 < low < high == 1.0
    history = ModelCard.read(tmp_path / "outputs" / "model").provenance["details"]["history"]
    assert history[-1]["loss"] < math.log(2) - 0.1
    assert len(list((tmp_path / "scratch" / "reference").glob("*/*.npy"))) == 2


def test_an_exploding_loss_stops_with_the_step_and_the_documents(tmp_path: Path, texts: Path) -> None:
    with pytest.raises(StageError, match="broke down") as caught:
        pretrain(tmp_path, texts, optimizer={"name": "sgd", "learning_rate": 10, "clip": 0}, max_steps=200)
    where = caught.value.problems[0].where
    assert "train[" in where
    assert "step" in where


def test_texts_that_are_all_empty_are_refused(tmp_path: Path) -> None:
    data = write_texts(tmp_path / "none", ["", None], ["a story"])
    with pytest.raises(InputError, match="no train row"):
        pretrain(tmp_path, data)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path, texts: Path, base: Path) -> None:
    for path in base.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    value = json.loads((base / "tokenizer.json").read_text())
    size = len(value["model"]["vocab"])
    value["model"]["vocab"] |= {f"new{place}": size + place for place in range(30)}
    (tmp_path / "tokenizer.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match="tokenizer knows"):
        language_model.run(language_model.Config(**QUICK, base=str(tmp_path)), context(tmp_path / "x", texts))


@pytest.mark.parametrize("harm", ["encoder", "missing", "no_config"])
def test_a_base_that_is_no_language_model_is_refused(tmp_path: Path, texts: Path, base: Path, harm: str) -> None:
    from safetensors.torch import load_file, save_file

    for path in base.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    if harm == "missing":
        weights = load_file(base / "model.safetensors")
        weights.pop("model.norm.weight")
        save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    elif harm == "encoder":
        (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    else:
        (tmp_path / "config.json").unlink()
    with pytest.raises(InputError):
        language_model.run(language_model.Config(**QUICK, base=str(tmp_path)), context(tmp_path / "x", texts))


@pytest.mark.parametrize(
    ("stage", "columns", "expected"),
    [
        (instruct, {"question": ["a"], "reply": ["b"]}, "columns to learn from"),
        (preference, {"prompt": ["a"], "chosen": ["b"]}, "columns to learn from"),
        (preference, {"prompt": ["a"], "chosen": ["b"], "rejected": ["b"]}, "no train row"),
        (instruct, {"instruction": [""], "output": ["b"]}, "no train row"),
    ],
)
def test_rows_that_teach_nothing_are_refused(tmp_path: Path, base: Path, stage, columns, expected: str) -> None:
    data = write_columns(tmp_path / "data", {"train": columns, "validation": columns})
    with pytest.raises(InputError, match=expected):
        stage.run(stage.Config(compute=COMPUTE), context(tmp_path, data, base))


def test_without_a_model_there_is_nothing_to_teach(tmp_path: Path) -> None:
    data = write_columns(tmp_path / "data", {"train": QUESTIONS, "validation": QUESTIONS})
    with pytest.raises(InputError, match="no model to teach"):
        instruct.run(instruct.Config(compute=COMPUTE), context(tmp_path, data))


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="adapter"):
        instruct.Config(adapter_start="x")
    with pytest.raises(InputError, match="heads"):
        tiny_model(heads=3)
    with pytest.raises(InputError, match="heads"):
        tiny_model(key_value_heads=3, heads=4)


def test_a_fresh_model_refuses_an_adapter(tmp_path: Path, texts: Path) -> None:
    with pytest.raises(InputError, match="adapter needs a base"):
        pretrain(tmp_path, texts, adapter={"rank": 2})
