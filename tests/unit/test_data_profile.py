"""The profile of a split: counts, lengths and scripts, checked by hand, and blind to other splits."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.profile import describe
from modelyard.methods.data.roles import schema_of

COLUMNS = [Column("row_id", "other", "string"), Column("t", "text", "string"), Column("l", "label", "string")]


def dataset(folder: Path, texts: list[str | None], labels: list[str]) -> Dataset:
    write_schema(folder, COLUMNS)
    ids = [str(place) for place in range(len(texts))]
    values = [pa.array(column, pa.string()) for column in (ids, texts, labels)]
    write_split(folder, "train", [pa.table(values, schema=schema_of(COLUMNS))], schema_of(COLUMNS))
    return Dataset.open(folder)


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("很好 OK", "Latin"),
        ("这家酒店很好 OK", "Han"),
        ("東京の旅館は最高料理", "Kana"),
        ("良い部屋美味料理最高", "Han"),
        ("아주 좋아요", "Hangul"),
        ("хорошо", "Cyrillic"),
        ("جيد", "Arabic"),
        ("καλό", "Greek"),
        ("123 !?", "none"),
        ("", "none"),
        ("ＡＢ", "Latin"),
    ],
)
def test_the_script_of_a_text_is_that_of_most_of_its_letters(tmp_path: Path, text: str, script: str) -> None:
    assert describe(dataset(tmp_path, [text], ["x"]), "train")["scripts"] == {script: 1.0}


def test_counts_and_lengths_are_those_of_the_rows(tmp_path: Path) -> None:
    texts = ["a" * length for length in range(1, 101)]
    found = describe(dataset(tmp_path, texts, ["x"] * 75 + ["y"] * 25), "train")
    assert found["rows"] == 100
    assert list(found["labels"].items()) == [("x", 75), ("y", 25)]
    assert found["text_length"]["mean"] == 50.5
    assert found["text_length"]["quantiles"]["0.5"] == 50
    assert found["text_length"]["quantiles"]["0.95"] == 95
    assert found["text_length"]["quantiles"]["1"] == 100


def test_an_empty_split_has_a_profile(tmp_path: Path) -> None:
    found = describe(dataset(tmp_path, [], []), "train")
    assert (found["rows"], found["labels"], found["scripts"]) == (0, {}, {})


@pytest.mark.parametrize("texts", [["ab", None, "好"], [None, None]])
def test_rows_without_a_text_are_counted_and_have_no_length(tmp_path: Path, texts: list[str | None]) -> None:
    found = describe(dataset(tmp_path, texts, ["a"] * len(texts)), "train")
    there = [text for text in texts if text is not None]
    assert found["rows"] == len(texts)
    assert found["missing_texts"] == len(texts) - len(there)
    assert found["scripts"] == ({"Latin": 0.5, "Han": 0.5} if there else {})
    assert found["text_length"]["mean"] == (1.5 if there else 0.0)
