"""data.clean: repairs what is damage and nothing else; rows in are rows kept and rows removed, each with a reason."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import ftfy
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.text import normalized, text_key
from modelyard.methods.text.repair import Repair
from modelyard.stages.data import clean

Row = tuple[str, str] | tuple[str, str, str]


def dataset(folder: Path, rows: list[Row]) -> Path:
    """A data set of (text, label) or (text, label, given split); row ids are r0, r1, …"""
    names = [("row_id", "other"), ("text", "text"), ("label", "label"), ("part", "split")][: len(rows[0]) + 1]
    columns = [Column(name, role, "string") for name, role in names]
    folder.mkdir(parents=True)
    write_schema(folder, columns)
    values = [(f"r{place}", *row) for place, row in enumerate(rows)]
    lists = [pa.array(list(column), pa.string()) for column in zip(*values, strict=True)]
    write_split(folder, "all", [pa.table(lists, schema=schema_of(columns))], schema_of(columns))
    return folder


def run(tmp_path: Path, rows: list[Row], **config: Any) -> tuple[list[str], dict[str, str], FakeContext]:
    """Row ids kept, reason by row id of those removed or changed, and the context."""
    context = FakeContext(tmp_path / "out", {"data": dataset(tmp_path / "in", rows)})
    clean.run(clean.Config(**config), context)
    kept = Dataset.open(context.output("data")).column("all", "row_id")
    removed = Dataset.open(context.output("removed")).table("all").to_pylist()
    return kept, {row["row_id"]: row["detail"] or row["reason"] for row in removed}, context


@pytest.mark.parametrize(
    ("damaged", "whole"),
    [
        ("schÃ¶n", "schön"),
        ("l\u2019Ã©tÃ©", "l\u2019été"),
        ("åŒ—äº¬", "北京"),
        ("a\x00b\x07c", "abc"),
        ("\ufeffab\u200bc", "abc"),
        ("a\u202eb\u2066c", "abc"),
        ("e\u0301", "é"),
        ("  a \t\n b\u3000c\xa0", "a b c"),
        ("a\u00adb", "ab"),
    ],
)
def test_damage_is_repaired(damaged: str, whole: str) -> None:
    assert Repair()(damaged) == whole


@pytest.mark.parametrize(
    "text",
    [
        "“你好”——他说：ＡＢＣ１２３！",
        "ﬁne ½ ² ℃",
        "👩\u200d👩\u200d👧",
        "می\u200cخواهم",
        "क्\u200dष",
        "naïve café",
        "Привет",
        "５折！",
    ],
)
def test_what_carries_meaning_stays(text: str) -> None:
    assert Repair()(text) == text


def test_each_repair_can_be_turned_off() -> None:
    text = " schÃ¶n\x07\u200b  e\u0301 "
    off = Repair(encoding=False, control=False, invisible=False, form="none", whitespace="keep")
    assert off(text) == text
    assert "Ã¶" in Repair(encoding=False)(text)
    assert "\x07" in Repair(control=False)(text)
    assert "\u200b" in Repair(invisible=False)(text)
    assert "e\u0301" in Repair(form="none")(text)
    assert Repair(whitespace="keep")(text).startswith(" ")


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=300, deadline=None)
@given(text=ANY | ANY.map(lambda text: text.encode().decode("latin-1")))
@example("\u200dÃ\u200b©")
def test_repair_twice_is_repair_once_and_leaves_no_damage(text: str) -> None:
    repaired = Repair()(text)
    assert Repair()(repaired) == repaired
    assert repaired == " ".join(repaired.split())
    assert unicodedata.is_normalized("NFC", repaired)


NEAR = st.text(st.characters(max_codepoint=0x9FFF, exclude_categories=["Cs"]), max_size=30)
ENCODINGS = ["latin-1", "cp1252", "cp1250", "cp1251", "mac_roman", "cp437", "iso-8859-2"]


@settings(max_examples=300, deadline=None)
@given(text=NEAR, encoding=st.sampled_from(ENCODINGS))
def test_the_short_cut_around_ftfy_never_skips_a_text_it_would_mend(text: str, encoding: str) -> None:
    garbled = text.encode().decode(encoding, errors="ignore")
    only = Repair(control=False, invisible=False, form="none", whitespace="keep")
    mended = ftfy.fix_encoding(garbled)
    if mended.count("\ufffd") <= garbled.count("\ufffd"):
        assert only(garbled) == ftfy.fix_encoding(ftfy.fix_encoding(mended))


def test_texts_that_differ_in_case_width_or_spaces_are_the_same() -> None:
    assert normalized("Ｈｅｌｌｏ  World") == normalized("hello\nworld") == "hello world"
    assert text_key("ＡＢＣ") == text_key("abc")
    assert text_key("abc") != text_key("abd")


def test_repeats_go_the_first_stays_and_the_reason_names_it(tmp_path: Path) -> None:
    rows: list[Row] = [("Good", "x"), ("bad", "y"), ("good ", "x"), ("ＧＯＯＤ", "x")]
    kept, why, context = run(tmp_path, rows)
    assert kept == ["r0", "r1"]
    assert why == {"r2": "the same text as r0", "r3": "the same text as r0"}
    assert context.value("data.duplicates_found_rate") == 0.5
    assert context.value("data.duplicate_rate") == 0.0


def test_empty_texts_go(tmp_path: Path) -> None:
    kept, why, context = run(tmp_path, [("", "x"), ("\u200b \n", "x"), ("a", "x")])
    assert (kept, why) == (["r2"], {"r0": "empty text", "r1": "empty text"})
    assert context.value("data.empty_rate") == pytest.approx(2 / 3)


CONFLICT: list[Row] = [("a", "x"), ("A", "y"), ("b", "x"), ("a", "x"), ("c", "x"), ("c", "y")]


@pytest.mark.parametrize(
    ("choice", "kept", "repeated"),
    [("drop", ["r2"], 0.0), ("majority", ["r0", "r2"], 0.0), ("keep", ["r0", "r1", "r2", "r4", "r5"], 2 / 5)],
)
def test_one_text_under_two_labels(tmp_path: Path, choice: str, kept: list[str], repeated: float) -> None:
    found, why, context = run(tmp_path, CONFLICT, conflicts=choice)
    assert found == kept
    assert set(found) | set(why) == {f"r{n}" for n in range(6)}
    assert context.value("data.conflict_rate") == pytest.approx(5 / 6)
    assert context.value("data.duplicate_rate") == pytest.approx(repeated)


def test_removed_and_changed_rows_keep_both_texts(tmp_path: Path) -> None:
    _, _, context = run(tmp_path, [("schÃ¶n", "x"), ("ok", "y"), (" ", "x")])
    changed, removed = Dataset.open(context.output("removed")).table("all").to_pylist()
    assert (changed["row_id"], changed["action"], changed["reason"]) == ("r0", "changed", "repaired")
    assert (changed["column"], changed["before"], changed["after"]) == ("text", "schÃ¶n", "schön")
    assert (removed["row_id"], removed["action"], removed["reason"]) == ("r2", "removed", "empty")
    assert json.loads(removed["row"]) == {"row_id": "r2", "text": " ", "label": "x"}
    assert context.value("data.changed_rate") == pytest.approx(1 / 3)


def test_repeats_across_given_splits_stay_and_are_said(tmp_path: Path) -> None:
    train: list[Row] = [("a", "x", "train"), ("a", "x", "train"), ("b", "y", "train")]
    rows: list[Row] = [*train, ("a", "x", "test"), ("b", "x", "test")]
    kept, _, context = run(tmp_path, rows)
    assert kept == ["r0", "r2", "r3", "r4"]
    assert any(line.startswith("2 of 2 test rows") for line in context.said)
    assert context.value("data.duplicate_rate") == 0.5


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row is left"):
        run(tmp_path, [("a", "x"), ("a", "y")])


FEW = st.sampled_from(["a", "A ", "b", "", " ", "c\u200b", "Ã©"])


@settings(max_examples=50, deadline=None)
@given(rows=st.lists(st.tuples(FEW, st.sampled_from("xy")), min_size=1))
@pytest.mark.parametrize("conflicts", ["drop", "keep", "majority"])
def test_every_row_in_is_kept_or_removed_and_the_counts_agree(
    tmp_path_factory: pytest.TempPathFactory, conflicts: str, rows: list[Row]
) -> None:
    tmp_path = tmp_path_factory.mktemp("clean")
    try:
        kept, _, context = run(tmp_path, [("unique", "x"), *rows], conflicts=conflicts)
    except InputError:
        pytest.fail("one row is always left")
    removed = Dataset.open(context.output("removed")).table("all").to_pylist()
    gone = [row["row_id"] for row in removed if row["action"] == "removed"]
    assert sorted(kept + gone) == sorted(f"r{n}" for n in range(len(rows) + 1))
    texts = Dataset.open(context.output("data")).column("all", "text")
    assert context.value("data.duplicate_rate") == pytest.approx(1 - len(set(map(normalized, texts))) / len(texts))
    assert f"{len(rows) + 1:,} rows in = {len(kept):,} kept + {len(gone):,} removed" in context.said[0]
