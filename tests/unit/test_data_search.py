"""Full-text search: finds what a plain look through all rows finds, in Chinese too, and no query breaks it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.small_data import make

from modelyard.errors import InputError, UsageError
from modelyard.methods.data.dataset import Column, Dataset
from modelyard.methods.data.searching import tokens
from modelyard.methods.data.searching.asking import Hit, cut_around, find_words, search
from modelyard.methods.data.searching.index import FILE, Index, build
from modelyard.methods.data.searching.query import Words, parse
from modelyard.methods.data.searching.where import fitting, parse_conditions

TEXTS = [
    "今天天气很好，我们去公园",
    "天气预报说明天下雨",
    "很好吃，下次还来",
    "送餐很快，味道不错",
    "我爱Python编程",
    "气天",
    "Free entry in a weekly competition to WIN",
    "Are you free tonight?",
    "re-entry is not free",
    "ＦＲＥＥ　ｐｒｉｚｅ",
    "",
    "naïve café résumé",
    "価格は１００円です",
    "한국어 텍스트입니다",
    "call 0800-123-456 now",
    "😀 so happy",
]
LABELS = [
    "zh",
    "zh",
    "food",
    "food",
    "zh",
    "odd",
    "spam",
    "ham",
    "ham",
    "spam",
    None,
    "fr",
    "ja",
    "ko",
    "spam",
    "very good",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, Dataset]:
    folder = tmp_path_factory.mktemp("search")
    data = make(
        folder / "data",
        {
            "text": ("text", "string", TEXTS),
            "label": ("label", "string", LABELS),
            "n": ("other", "int64", range(len(TEXTS))),
        },
    )
    (folder / "index").mkdir()
    assert build(data, folder / "index") == len(TEXTS)
    return Index.open(folder / "index"), data


def found(place: tuple[Index, Dataset], query: str) -> list[int]:
    total, hits = search(*place, query, ["all"], 100)
    assert total == len(hits)
    return sorted(hit.row["n"] for hit in hits)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("天", [0, 1, 5]),
        ("天气", [0, 1]),
        ("很好", [0, 2]),
        ("天气很好", [0]),
        ("天气预报", [1]),
        ("很好吃", [2]),
        ("气天", [5]),
        ("好天", []),
        ("Python", [4]),
        ("爱Python编", [4]),
        ("编程", [4]),
        ("free", [6, 7, 8, 9]),
        ("FREE prize", [9]),
        ('"free entry"', [6]),
        ('"entry free"', []),
        ("entry", [6, 8]),
        ("re-entry", [8]),
        ("free -entry", [7, 9]),
        ("free NOT entry", [7, 9]),
        ("-free label:spam", [14]),
        ("天气 OR prize", [0, 1, 9]),
        ("(天气 OR 味道) label:food", [3]),
        ("label:SPAM", [6, 9, 14]),
        ('label:"very good"', [15]),
        ("label:sp*", [6, 9, 14]),
        ("comp*", [6]),
        ("天气预*", [1]),
        ("n:3", [3]),
        ("100", [12]),
        ("価格", [12]),
        ("한국", [13]),
        ("텍스트", [13]),
        ("café", [11]),
        ("cafe", []),
        ("0800-123-456", [14]),
        ("😀", [15]),
        ("free AND tonight", [7]),
        ("-天气 -free -label:fr label:zh", [4]),
        ("text:free", [6, 7, 8, 9]),
    ],
)
def test_a_query_finds_these_rows(place: tuple[Index, Dataset], query: str, expected: list[int]) -> None:
    assert found(place, query) == expected


def test_any_run_of_characters_is_found_exactly_where_it_stands(tmp_path: Path) -> None:
    """Against a look through every row, for runs of one to five characters."""
    generator = random.Random(0)
    texts = ["".join(generator.choice("天地人和气大小") for _ in range(generator.randrange(1, 30))) for _ in range(300)]
    data = make(tmp_path / "data", {"text": ("text", "string", texts), "n": ("other", "int64", range(300))})
    (tmp_path / "index").mkdir()
    build(data, tmp_path / "index")
    index = Index.open(tmp_path / "index")
    for _ in range(60):
        query = "".join(generator.choice("天地人和气大小") for _ in range(generator.randrange(1, 6)))
        total, hits = search(index, data, query, ["all"], 300)
        assert sorted(hit.row["n"] for hit in hits) == [n for n, text in enumerate(texts) if query in text], query
        assert total == len(hits)
        assert all(hit.snippet[a:b] == query for hit in hits for a, b in hit.marks)


def test_rare_words_and_short_texts_rank_first(place: tuple[Index, Dataset]) -> None:
    _, hits = search(*place, "free OR tonight", ["all"], 10)
    assert hits[0].row["n"] == 7
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    _, hits = search(*place, "天", ["all"], 10)
    assert hits[0].row["n"] == 5


def test_the_snippet_marks_what_was_found_in_the_texts_own_characters(place: tuple[Index, Dataset]) -> None:
    def only(query: str) -> Hit:
        return search(*place, query, ["all"], 1)[1][0]

    hit = only("prize")
    assert hit.snippet[slice(*hit.marks[0])] == "ｐｒｉｚｅ"
    assert find_words("ﬁre ﬁre", [Words("fire")]) == [(0, 3), (4, 7)]
    long = "x " * 500 + "needle" + " y" * 500
    snippet, marks = cut_around(long, find_words(long, [Words("needle")]))
    assert snippet[slice(*marks[0])] == "needle"
    assert len(snippet) < 130
    assert snippet[0] == snippet[-1] == "…"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "OR",
        "a OR",
        "-",
        "- -",
        "(",
        ")",
        "(a",
        "a)",
        '"abc',
        "!!!",
        "((((((((((((((((((((a))))))))))))))))))))",
        "lable:spam",
        "x" * 2_000,
        "a " * 400,
        "NOT",
        "()",
        'label:"',
        "-(",
        "a (b",
        "；。，",
        "*",
    ],
)
def test_a_query_that_cannot_be_read_is_refused_with_what_to_do(place: tuple[Index, Dataset], query: str) -> None:
    with pytest.raises(UsageError) as error:
        found(place, query)
    problem = error.value.problems[0]
    assert problem.remedy or problem.expected


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_any_text_is_an_answer_or_a_refusal(place: tuple[Index, Dataset], query: str) -> None:
    try:
        search(*place, query, ["all"], 3)
    except UsageError:
        return


@given(st.lists(st.text(max_size=20), max_size=8))
@settings(max_examples=100, deadline=None)
def test_many_texts_at_once_become_what_each_becomes_alone(texts: list[str]) -> None:
    alone = [tokens.normal(text) for text in texts]
    if texts:
        assert tokens.normals(texts) == alone
        assert tokens.pairs_of(alone) == [tokens.pairs(text) for text in alone]
    for text in alone:
        tokens.terms(text)


def test_links_and_times_of_day_are_texts_and_not_columns() -> None:
    assert parse("http://a.b", ["label"]) == Words("http://a.b")
    assert parse("10:30", ["label"]) == Words("10:30")
    assert parse("label:10:30", ["label"]) == Words("10:30", "label")


def test_test_rows_are_found_only_when_that_split_is_named(tmp_path: Path) -> None:
    for split in ("train", "test"):
        data = make(tmp_path / "d", {"text": ("text", "string", ["free"])}, [split], split)
    (tmp_path / "i").mkdir()
    build(data, tmp_path / "i")
    index = Index.open(tmp_path / "i")
    assert [hit.row["row_id"] for hit in search(index, data, "free", ["train"], 9)[1]] == ["train"]
    assert search(index, data, "free", ["train", "test"], 9)[0] == 2


def test_what_is_no_whole_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        Index.open(tmp_path)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(InputError):
        Index.open(tmp_path)
    (tmp_path / FILE).write_text('{"version": 1, "words": [], "names": []}')
    with pytest.raises(InputError):
        Index.open(tmp_path).check()


COLUMNS = [Column("label", "label", "string"), Column("n", "other", "int64"), Column("a=b", "other", "string")]


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        (["label=x"], [0, 3]),
        (["label!=x"], [1, 2]),
        (["n>=2", "n<4"], [1, 2]),
        (["label~Y"], [1]),
        (["label="], [2]),
        (["label!="], [0, 1, 3]),
        (["a=b=v"], [1]),
        (["n=4"], [3]),
        (["label = x"], [0, 3]),
        (["n > 1", "label=x"], [3]),
    ],
)
def test_conditions_choose_rows(tmp_path: Path, conditions: list[str], expected: list[int]) -> None:
    data = make(
        tmp_path / "d",
        {
            "label": ("label", "string", ["x", "y", None, "x"]),
            "n": ("other", "int64", [1, 2, 3, 4]),
            "a=b": ("other", "string", ["u", "v", "w", None]),
        },
    )
    batch = next(data.batches("all"))
    kept = fitting(batch, parse_conditions(conditions, COLUMNS))
    assert kept.column("row_id").to_pylist() == [f"r{place}" for place in expected]


def test_conditions_that_make_no_sense_are_all_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        parse_conditions(["labl=x", "n", ""], COLUMNS)
    assert len(error.value.problems) == 3
    assert "`label`" in error.value.problems[0].remedy
    data = make(tmp_path / "d", {"n": ("other", "int64", [1])})
    with pytest.raises(UsageError, match="no value of the column `n`"):
        fitting(next(data.batches("all")), parse_conditions(["n>many"], COLUMNS))
