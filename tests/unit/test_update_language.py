"""`train.update` of language models: each way against forgetting by itself, with all weights and with an adapter."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.fake_context import FakeContext
from support.tiny_language import stories, tiny_model, write_columns, write_texts

from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.training.continual.language import reading
from modelyard.methods.training.continual.language.stiffness import AdapterSprings, _lines, draw, fisher_diagonal
from modelyard.methods.training.continual.language.taught import TaughtLosses, divergences
from modelyard.methods.training.language.documents import HeldDocuments
from modelyard.methods.training.language.network import TokenLosses
from modelyard.methods.training.language.packing import Layout, PackedFeed
from modelyard.stages.evaluate import forgetting
from modelyard.stages.train import language_model, update

COMPUTE = {"threads": 1, "device": "cpu", "precision": "fp32", "checkpoint_seconds": 0}
QUICK: dict[str, Any] = {"batch_size": 4, "max_steps": 40, "compute": COMPUTE, "optimizer": {"learning_rate": 0.01}}
CPU = torch.device("cpu")
NOTHING = {"replay": 0, "distillation": {"weight": 0}}


def backwards(count: int, seed: int) -> list[str]:
    """The words of the stories in another order: what is learned of them costs what was known."""
    draw_ = random.Random(seed)
    return [" ".join(draw_.sample(text.replace(".", "").split()[::-1], k=3)) + "?" for text in stories(count, seed)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("known")
    old = write_texts(root / "old", stories(80, 1), stories(8, 2))
    new = write_texts(root / "new", backwards(80, 3), backwards(8, 4))
    shape = {"layers": 1, "width": 32, "heads": 2, "key_value_heads": 1}
    settings = {"model": shape, "tokenizer": {"kind": "characters"}, "context": 48, **QUICK, "max_steps": 60}
    language_model.run(language_model.Config(**settings), FakeContext(root / "model", {"data": old}))
    return {"old": old, "data": new, "model": root / "model" / "outputs" / "model"}


def go_on(made: dict[str, Path], root: Path, old: bool = True, **settings: Any) -> FakeContext:
    ports = {name: path for name, path in made.items() if old or name != "old"}
    context = FakeContext(root, ports)
    update.run(update.Config(**{**QUICK, **settings}), context)
    return context


def loss(context: FakeContext, made: dict[str, Path], kind: str) -> float:
    """Nats a token of fresh rows, through the predictor."""
    predictor = runtimes.load(context.root / "outputs" / "model", threads=1)
    texts = stories(30, 9) if kind == "old" else backwards(30, 9)
    told = predictor.log_likelihood([{"prompt": text} for text in texts])
    return -sum(one.log_probability for one in told) / sum(one.tokens for one in told)


def test_each_way_forgets_less_than_none_and_all_learn(made: dict[str, Path], tmp_path: Path) -> None:
    ways: dict[str, dict[str, Any]] = {
        "nothing": NOTHING,
        "replay": {**NOTHING, "replay": 1.0},
        "ewc": {**NOTHING, "ewc": {"strength": 3000, "rows": 40}},
        "distillation": {**NOTHING, "distillation": {"weight": 5.0, "temperature": 1.0}},
    }
    found = {name: go_on(made, tmp_path / name, **way) for name, way in ways.items()}
    forgotten = {name: loss(context, made, "old") for name, context in found.items()}
    learned = {name: loss(context, made, "new") for name, context in found.items()}
    predictor = runtimes.load(made["model"], threads=1)
    told = predictor.log_likelihood([{"prompt": text} for text in backwards(30, 9)])
    before = -sum(one.log_probability for one in told) / sum(one.tokens for one in told)
    for name in ("replay", "ewc", "distillation"):
        assert forgotten[name] < forgotten["nothing"] - 0.05, (name, forgotten)
        assert learned[name] < before - 0.1, (name, learned, before)
    assert any("nothing is done against forgetting" in line for line in found["nothing"].said)


@pytest.mark.parametrize("way", [{}, {"ewc": {"strength": 10, "rows": 20}}, {"distillation": {"weight": 1}}])
def test_an_adapter_goes_with_each_way_and_the_model_is_as_before(
    made: dict[str, Path], tmp_path: Path, way: dict[str, Any]
) -> None:
    digest = manifest(made["model"]).digest
    context = go_on(made, tmp_path, max_steps=4, adapter={"rank": 2}, **way)
    card, before = (ModelCard.read(folder) for folder in (tmp_path / "outputs" / "model", made["model"]))
    assert (card.format, card.task, card.preprocessing) == (before.format, before.task, before.preprocessing)
    assert card.provenance["updated_from"] == digest == manifest(made["model"]).digest
    assert card.provenance["updates"] == 1
    assert (tmp_path / "outputs" / "model" / "adapter" / "adapter_model.safetensors").is_file()
    assert context.value("train.validation_loss") > 0
    assert any("nats a token before" in line for line in context.said)


def test_the_defaults_are_replay_with_old_data_and_distillation_without(made: dict[str, Path], tmp_path: Path) -> None:
    go_on(made, tmp_path / "with", max_steps=2)
    details = ModelCard.read(tmp_path / "with" / "outputs" / "model").provenance["details"]
    assert (details["replayed"], details["distillation"]["weight"]) == (40, 0.0)
    context = go_on(made, tmp_path / "without", old=False, max_steps=2, ewc={"strength": 1, "rows": 4})
    details = ModelCard.read(tmp_path / "without" / "outputs" / "model").provenance["details"]
    assert (details["replayed"], details["distillation"]["weight"]) == (0, 1.0)
    assert details["ewc"]["stiffness_from"] == "new rows"
    assert not any(one.claim == "train.old_validation_loss" for one in context.measurements)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"class_weights": "balanced"}, "class_weights"),
        ({"loss": {}}, "loss"),
        ({"early_stopping": {"metric": "accuracy"}}, "early_stopping.metric"),
        ({"adapter": {"kind": "dora"}, "ewc": {"strength": 1}}, "DoRA"),
    ],
)
def test_settings_of_classifiers_are_refused(
    made: dict[str, Path], tmp_path: Path, settings: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        go_on(made, tmp_path, **settings)


def test_chats_for_a_model_that_knows_none_are_refused(made: dict[str, Path], tmp_path: Path) -> None:
    rows = {"instruction": ["Ada?"] * 4, "output": ["tea."] * 4}
    data = write_columns(tmp_path / "chats", {"train": rows, "validation": rows})
    with pytest.raises(InputError, match="knows no chats"):
        go_on({**made, "data": data}, tmp_path / "run")


def held(rows: list[list[int]], name: str) -> HeldDocuments:
    marks = [[place % 3 != 1 for place in range(len(row))] for row in rows]
    return HeldDocuments.of(rows, marks, [f"{name}{place}" for place in range(len(rows))])


def test_mixed_documents_are_each_what_they_were() -> None:
    new, old = held([[1, 2, 3], [4, 5]], "new"), held([[10, 11], [12, 13, 14, 15], [16, 17, 18]], "old")
    mixed = reading.Mixed(new, old, np.array([1, 2]), np.array([4, 3]))
    rows, sizes = mixed.window(0)
    assert sizes.tolist() == [3, 2, 4, 3]
    assert [mixed.name(row) for row in rows.tolist()] == ["new0", "new1", "old old1", "old old2"]
    order = np.array([2, 0, 3, 1])
    offsets, counts = np.array([1, 0, 0, 1]), np.array([3, 2, 1, 1])
    assert mixed.take(rows[order], offsets, counts).tolist() == [13, 14, 15, 1, 2, 16, 5]
    marks = mixed.learned(rows[order], offsets, counts)
    assert marks is not None
    assert marks.tolist() == [False, True, True, True, False, True, False]


def feed_of(texts: list[str], tokenizer: Any, lines: int = 2) -> PackedFeed:
    rows = [tokenizer(text).input_ids for text in texts]
    documents = HeldDocuments.of(rows, [[True] * len(row) for row in rows], [f"r{n}" for n in range(len(rows))])
    return PackedFeed(documents, Layout(48, lines, seed=0, kind="buckets"), CPU)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_the_lesson_of_the_old_model_is_the_formula(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = tiny_model(family)
    teacher = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.mul_(1.5)
    batch = feed_of(["Ada likes tea.", "Ben likes soup. 小明 likes rice."], tokenizer).batch(0, 0)
    module = TaughtLosses(model, teacher, 0.7, 2.0).train()
    found = module(**batch.inputs)
    ids, places = batch.inputs["input_ids"], batch.inputs.get("places")
    mine, theirs = (one(input_ids=ids).logits.flatten(0, 1) for one in (model, teacher))
    if places is not None:
        mine, theirs = mine[places], theirs[places]
    p, q = ((one / 2).softmax(1) for one in (theirs, mine))
    expected = -mine.log_softmax(1).gather(1, batch.inputs["labels"][:, None])[:, 0]
    expected = expected + 0.7 * 4 * (p * (p / q).log()).sum(1)
    assert torch.allclose(found, expected, atol=1e-4)
    assert torch.allclose(module.eval()(**batch.inputs), TokenLosses(model)(**batch.inputs))
    assert divergences(theirs, theirs, 1.0).abs().max() < 1e-5
    monkeypatch.setattr("modelyard.methods.training.language.network.LOGITS_AT_ONCE", 4 * 3 * len(tokenizer))
    assert torch.allclose(module.train()(**batch.inputs), found, atol=1e-5)
    assert not any(parameter is one for parameter in module.parameters() for one in teacher.parameters())


def test_the_stiffness_is_the_square_of_each_lines_own_gradient() -> None:
    model, tokenizer = tiny_model()
    losses = TokenLosses(model)
    texts = ["Ada likes tea.", "Ben likes soup.", "小明 likes rice. Ada likes tea."]
    rows = [tokenizer(text).input_ids for text in texts]
    documents = HeldDocuments.of(rows, [[True] * len(row) for row in rows], ["a", "b", "c"])
    found = fisher_diagonal(losses, documents, 48, 10, 3, CPU, lambda done, total, what: None)
    expected = {name: torch.zeros_like(one) for name, one in losses.named_parameters()}
    num_tokens = 0
    for inputs, line in _lines(PackedFeed(documents, Layout(48, 1, seed=3, kind="buckets"), CPU)):
        labels = draw(losses, inputs, 3, line)
        logits = model(input_ids=inputs["input_ids"]).logits[0]
        logits = logits[inputs["places"]] if "places" in inputs else logits
        losses.zero_grad()
        logits.log_softmax(1).gather(1, labels[:, None]).sum().backward()
        num_tokens += len(labels)
        for name, one in losses.named_parameters():
            expected[name] += one.grad**2
    assert num_tokens == sum(len(row) - 1 for row in rows)
    for name, value in found.items():
        assert torch.allclose(value, expected[name] / num_tokens, rtol=1e-3, atol=1e-9), name


def test_tokens_are_drawn_by_the_models_probabilities() -> None:
    model, tokenizer = tiny_model()
    losses = TokenLosses(model)
    batch = feed_of(["Ada likes tea."], tokenizer, 1).batch(0, 0)
    drawn = torch.stack([draw(losses, batch.inputs, seed, "0") for seed in range(800)])
    with torch.no_grad():
        values, head = losses.states(**{k: v for k, v in batch.inputs.items() if k != "labels"})
        p = head(values).softmax(1)
    share = (drawn[:, 0, None] == torch.arange(p.shape[1])).double().mean(0)
    assert (share - p[0]).abs().max() < 5 * float((p[0].max() / 800) ** 0.5)


def test_springs_of_an_adapter_pull_on_the_change_it_makes() -> None:
    from modelyard.methods.training import adapters
    from modelyard.methods.training.language.settings import Adapter

    model, _ = tiny_model()
    before = {name: one.detach().clone() for name, one in TokenLosses(model).named_parameters()}
    stiff = {name: torch.rand_like(one) for name, one in before.items()}
    adapted = adapters.add(model, Adapter(rank=2, alpha=4), 0, 1)
    with torch.no_grad():
        for name, one in model.named_parameters():
            if "lora_B" in name:
                one.normal_()
    energy = AdapterSprings(stiff).energy(TokenLosses(model))
    energy.backward()
    assert all(one.grad is not None for name, one in model.named_parameters() if "lora" in name)
    after = dict(TokenLosses(adapted.merge()).named_parameters())
    expected = sum(float((stiff[n] * (after[n] - before[n]).square()).sum()) / 2 for n in before)
    assert float(energy.detach()) == pytest.approx(expected, rel=1e-3)


def test_forgetting_is_the_ratio_of_perplexities_on_the_same_rows(made: dict[str, Path], tmp_path: Path) -> None:
    go_on(made, tmp_path / "on", max_steps=6, **NOTHING)
    new = tmp_path / "on" / "outputs" / "model"
    texts = {"old": stories(12, 21), "data": backwards(12, 22)}
    ports = {name: _tests(tmp_path / name, some) for name, some in texts.items()}
    context = FakeContext(tmp_path / "judged", {"model": new, "before": made["model"], **ports})
    forgetting.run(forgetting.Config(threads=1), context)
    told = {(one.claim, one.about, one.on): one for one in context.measurements}
    for name, claim in (("old", "perplexity_ratio"), ("data", "new_perplexity_ratio")):
        perplexities = []
        for folder in (made["model"], new):
            found = runtimes.load(folder, threads=1).log_likelihood([{"prompt": text} for text in texts[name]])
            loss_ = -sum(one.log_probability for one in found) / sum(one.tokens for one in found)
            perplexities.append(float(np.exp(loss_)))
        one = told[f"forgetting.{claim}", "model", f"{name}/test"]
        assert one.value == pytest.approx(perplexities[1] / perplexities[0], rel=1e-6)
        assert one.interval[0] < one.value < one.interval[1]
        assert told["forgetting.perplexity", "before", f"{name}/test"].value == pytest.approx(perplexities[0])
    assert told["forgetting.perplexity_ratio", "model", "old/test"].value > 1


def _tests(folder: Path, texts: list[str]) -> Path:
    return write_columns(folder, {"test": {"text": texts}}, text="text")


def test_a_language_model_beside_itself_forgot_nothing(made: dict[str, Path], tmp_path: Path) -> None:
    data = _tests(tmp_path / "data", stories(8, 3))
    context = FakeContext(tmp_path, {"model": made["model"], "before": made["model"], "old": data})
    forgetting.run(forgetting.Config(threads=1), context)
    assert context.value("forgetting.perplexity_ratio") == 1.0
