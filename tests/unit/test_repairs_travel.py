"""Repairs of texts travel: from data.clean into the data, from there into the model, made by every predictor."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelyard.base.canonical import canonical_json
from modelyard.errors import InputError
from modelyard.methods import runtimes
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.statistics.describe import describe
from modelyard.methods.evaluation.explanation.cases import examples_of
from modelyard.methods.evaluation.measuring.embeddings import Embeddings
from modelyard.methods.evaluation.measuring.examples import Examples, known
from modelyard.methods.evaluation.measuring.generation import Generation
from modelyard.methods.evaluation.settings import Measuring
from modelyard.methods.runtimes.golden import check_golden
from modelyard.methods.runtimes.model_folder import ModelCard
from modelyard.methods.runtimes.reading import reading, repairs_of
from modelyard.methods.tasks import find
from modelyard.methods.text import travelling
from modelyard.methods.text.repair import Repair
from modelyard.stages.data import clean, concatenate, restore, split
from modelyard.stages.evaluate import quality
from modelyard.stages.train import text_classification
from tests.support.fake_context import FakeContext

COLUMNS = [Column("row_id", "other", "string"), Column("review", "text", "string"), Column("label", "label", "string")]
SETTINGS = {"width": "full_to_half", "punctuation": "half", "script": "simplified", "markup": "strip"}
REPAIR = {"markup": True, "half_width": True, "punctuation": "half", "script": "simplified"}
RAW = "<p>這家店ＮＢＡ\u200b很好！</p>"
PLAIN = "这家店NBA很好!"


def data_of(folder: Path, rows: list[tuple[str, str]], name: str = "r") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    write_schema(folder, COLUMNS)
    columns = [[f"{name}{place}" for place in range(len(rows))], [text for text, _ in rows], [one for _, one in rows]]
    table = pa.table(dict(zip([column.name for column in COLUMNS], columns, strict=True)))
    write_split(folder, "all", [table], schema_of(COLUMNS))
    return folder


def rows_of(count: int = 60) -> list[tuple[str, str]]:
    """Good is said in full width and traditional characters, bad in simplified ones: raw, the form says the label."""
    good = [(f"<p>這家店第{place}次來，ＮＢＡ很好！</p>", "good") for place in range(count)]
    return [*good, *[(f"这家店第{place}次来,NBA难吃!", "bad") for place in range(count)]]


def cleaned(root: Path, source: Path, **settings: Any) -> Path:
    context = FakeContext(root, {"data": source})
    clean.run(clean.Config(**settings), context)
    return context.output("data")


def trained(root: Path, source: Path) -> tuple[Path, FakeContext]:
    parts = FakeContext(root / "split", {"data": source})
    split.run(split.Config(), parts)
    context = FakeContext(root / "train", {"data": parts.output("data")})
    text_classification.run(text_classification.Config(size="linear", compute={"threads": 1}), context)
    return context.output("model"), context


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FakeContext]:
    root = tmp_path_factory.mktemp("travel")
    return trained(root, cleaned(root / "clean", data_of(root / "raw", rows_of()), **SETTINGS))


def test_a_raw_row_of_test_is_the_twin_of_its_repaired_self_in_train(
    model: tuple[Path, FakeContext], tmp_path: Path
) -> None:
    folder, context = model
    fresh = tmp_path / "fresh"
    data_of(fresh, rows_of(5))
    (fresh / "all").rename(fresh / "test")
    asked = FakeContext(tmp_path / "asked", {"model": folder, "data": fresh, "train": context.input("data")})
    quality.run(quality.Config(threads=1, baselines=False), asked)
    share = next(one for one in asked.measurements if one.claim == "data.test_contamination")
    trained_on = Dataset.open(context.input("data")).table("train", ["review"]).column("review").to_pylist()
    assert share.value == pytest.approx(sum(Repair(**REPAIR)(text) in trained_on for text, _ in rows_of(5)) / 10)
    assert share.value > 0.3


def chat(content: str) -> str:
    return json.dumps([{"role": "user", "content": content}, {"role": "assistant", "content": "ok"}])


TWINS = {
    "pairs": (Embeddings, "sentence-embedding", [("a", "text"), ("text_b", "feature")], [(RAW, RAW), (PLAIN, PLAIN)]),
    "chats": (Generation, "text-generation", [("messages", "text")], [(chat('這"店"'),), (chat('这"店"'),)]),
    "with input": (
        Generation,
        "text-generation",
        [("instruction", "text"), ("input", "feature"), ("output", "feature")],
        [("ＮＢＡ", "這", "ok"), ("NBA", "这", "ok")],
    ),
}


@pytest.mark.parametrize("kind", TWINS)
def test_twins_of_several_texts_are_told_as_the_model_reads_them(kind: str, tmp_path: Path) -> None:
    family, task, columns, (raw, plain) = TWINS[kind]
    there = [Column("row_id", "other", "string"), *[Column(name, role, "string") for name, role in columns]]
    write_schema(tmp_path, there)
    for split_name, row in (("test", raw), ("train", plain)):
        cells = dict(zip([one.name for one in there], [[split_name], *[[cell] for cell in row]], strict=True))
        write_split(tmp_path, split_name, [pa.table(cells)], schema_of(there))
    data = Dataset.open(tmp_path)
    examples = Examples.read(data, "test", family().reader(data, task, Measuring()))
    assert len(examples) == 1
    assert known(examples, data).tolist() == [False]
    assert known(examples, data, read=partial(travelling.repaired, [Repair(**REPAIR)])).tolist() == [True]


def test_the_statistics_of_repaired_data_are_json(model: tuple[Path, FakeContext]) -> None:
    figures = describe(Dataset.open(model[1].input("data")), ["train"])
    repaired = next(one for one in json.loads(canonical_json(figures))["columns"] if one["name"] == "review")
    assert repaired["repairs"][0]["script"] == "simplified"


def test_a_model_answers_raw_texts_as_it_answers_repaired_ones(model: tuple[Path, FakeContext]) -> None:
    folder, context = model
    predictor = runtimes.load(folder, 1)
    assert Repair(**REPAIR)(RAW) == PLAIN
    assert predictor.predict([{"text": RAW}]) == predictor.predict([{"text": PLAIN}])
    card = ModelCard.read(folder)
    off = replace(card, repairs=())
    off.write(folder)
    try:
        plain = runtimes.load(folder, 1)
        assert plain.predict([{"text": RAW}]) != predictor.predict([{"text": RAW}]), "the repairs make no difference"
        assert plain.predict([{"text": PLAIN}]) == predictor.predict([{"text": PLAIN}])
    finally:
        card.write(folder)
    assert not check_golden(folder, predictor)
    assert any("simplified" in line for line in context.said)


def test_what_is_explained_is_the_text_as_the_model_reads_it(model: tuple[Path, FakeContext], tmp_path: Path) -> None:
    folder = data_of(tmp_path / "raw", [(RAW, "good"), ("x", "bad")])
    (folder / "all").rename(folder / "test")
    examples = examples_of(Dataset.open(folder), "test", ModelCard.read(model[0]))
    assert [record["text"] for record in examples.records()] == [PLAIN, "x"]


def test_the_switch_leaves_the_model_as_it_was_before_repairs_travelled(tmp_path: Path) -> None:
    source = cleaned(tmp_path / "clean", data_of(tmp_path / "raw", rows_of()), in_model=False, **SETTINGS)
    assert "repairs" not in (source / "dataset.json").read_text()
    folder, _ = trained(tmp_path, source)
    assert "repairs" not in json.loads((folder / "model.json").read_text())
    assert type(reading(ModelCard.read(folder))) is type(find("text-classification"))


def test_a_second_cleaning_keeps_what_the_first_did(tmp_path: Path) -> None:
    first = cleaned(tmp_path / "1", data_of(tmp_path / "raw", [(RAW, "a"), ("x", "b")]), script="simplified")
    second = cleaned(tmp_path / "2", first, width="full_to_half")
    repairs = Dataset.open(second).repairs("review")
    assert [one.script for one in repairs] == ["simplified"] * 2
    assert [one.half_width for one in repairs] == [False, True]
    assert Dataset.open(cleaned(tmp_path / "3", second)).repairs("review") == repairs
    with pytest.raises(InputError, match="simplified before"):
        cleaned(tmp_path / "4", second, script="traditional")


def test_texts_that_are_marked_by_place_are_not_repaired(tmp_path: Path) -> None:
    rows = [("ａ \u200b b", '[{"start": 4, "end": 5, "label": "X"}]'), ("c  d", "[]")]
    context = FakeContext(tmp_path, {"data": data_of(tmp_path / "raw", rows)})
    clean.run(clean.Config(width="full_to_half"), context)
    out = Dataset.open(context.output("data"))
    assert out.column("all", "review") == [text for text, _ in rows]
    assert out.repairs("review") == ()
    assert any("marks places" in line for line in context.said)


def test_sets_put_together_keep_repairs_that_all_have(tmp_path: Path) -> None:
    raw = data_of(tmp_path / "raw", [(RAW, "a"), ("x", "b")])
    one = cleaned(tmp_path / "1", raw, width="full_to_half")
    two = cleaned(tmp_path / "2", data_of(tmp_path / "more", [("y", "a"), ("z", "b")], "s"), width="full_to_half")
    for sets, kept in (([one, two], 1), ([one, data_of(tmp_path / "third", [("y", "a")], "t")], 0)):
        context = FakeContext(tmp_path / f"whole{kept}", {"data": sets})
        concatenate.run(concatenate.Config(), context)
        assert len(Dataset.open(context.output("data")).repairs("review")) == kept
        assert any("different ways" in line for line in context.said) == (not kept)


def test_undoing_a_repair_ends_the_claim_and_rows_brought_back_are_repaired(tmp_path: Path) -> None:
    raw = data_of(tmp_path / "raw", [("ａ", "a"), ("Ａ", "a"), ("x", "b")])
    first = FakeContext(tmp_path / "clean", {"data": raw})
    clean.run(clean.Config(width="full_to_half"), first)
    for reasons, texts, repairs in ((["repeat"], ["a", "x", "A"], 1), (["repaired"], ["ａ", "x"], 0)):
        ports = {"data": first.output("data"), "removed": [first.output("removed")]}
        context = FakeContext(tmp_path / reasons[0], ports)
        restore.run(restore.Config(reason=reasons), context)
        found = Dataset.open(context.output("data"))
        assert found.column("all", "review") == texts
        assert len(found.repairs("review")) == repairs


def test_prompts_and_chats_keep_their_white_space_and_markup() -> None:
    repairs = travelling.specs([Repair(half_width=True, markup=True, markdown=True)])
    card = ModelCard("text-generation", "hf", (), {"kind": "tokens"}, repairs=tuple(repairs))
    about = reading(card)
    assert about.values([{"prompt": "# Ａ <b>\n\n"}])[0].content == "# A <b>\n\n"
    chat = [{"role": "user", "content": "ＡＢ  c\n"}]
    assert about.values([{"messages": chat}])[0].content == [{"role": "user", "content": "AB  c\n"}]
    assert chat[0]["content"] == "ＡＢ  c\n", "the caller's record is as it was"
    assert not any(one.markdown or one.markup or one.whitespace != "keep" for one in repairs_of(card))


@pytest.mark.parametrize(
    ("repairs", "found"),
    [
        ([{"kind": "exec", "version": 1}], "unknown kind"),
        ([{**travelling.spec(Repair()), "version": 2}], "version 2"),
        ([{**travelling.spec(Repair()), "script": "latin"}], "`script` is latin"),
        ([{**travelling.spec(Repair()), "control": 1}], "`control` is 1"),
        ([{**travelling.spec(Repair()), "code_to_run": "x"}], "code_to_run"),
        (["strip"], "unknown kind"),
        ({"kind": "text-repair"}, "unknown kind"),
    ],
)
def test_repairs_this_version_does_not_know_are_refused(
    model: tuple[Path, FakeContext], tmp_path: Path, repairs: Any, found: str
) -> None:
    import shutil

    folder = shutil.copytree(model[0], tmp_path / "model")
    value = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**value, "repairs": repairs}))
    with pytest.raises(InputError, match=found):
        runtimes.load(folder, 1)


CHOICES = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in travelling.CHOICES.items()})
REPAIRS = CHOICES.map(lambda found: Repair(**found))
PIECES = st.sampled_from([*"aÀÃ©　ＡＢ１，。！臺台发髮\u200b\u200d\xad\x07\t\n\r &;<>*`#_$[]()!|~-é\u0301ﬁ㎏", "&amp;",
                          "&lt;", "<b>", "</p>", "<!--", "**", "```", "- ", "[a](b)", "schÃ¶n", "\ud83d"])  # fmt: skip
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, repair=REPAIRS)
def test_every_repair_made_twice_is_made_once(text: str, repair: Repair) -> None:
    once = repair(text)
    assert repair(once) == once


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, first=REPAIRS, second=REPAIRS)
def test_repairs_one_after_another_change_no_text_twice(text: str, first: Repair, second: Repair) -> None:
    if first.script != second.script:
        second = replace(second, script=first.script)
    chain = travelling.added((first,), travelling.joined((first,), second))
    once = travelling.repaired(chain, text)
    assert travelling.repaired(chain, once) == once
    assert travelling.repaired(travelling.of_letters(chain), once) == once
    assert travelling.parse(json.loads(json.dumps(travelling.specs(chain))), "x") == chain
