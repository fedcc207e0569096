"""data.filter: each rule takes out what it names and nothing else; in = kept + removed on whatever comes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_context import FakeContext

from modelyard.base.messages import catalogue
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.language import UNDECIDED, Detector
from modelyard.methods.data.quality_filters import PRESETS, REPEATED_GRAMS, RULES, TOP_GRAMS, Grams, Measured, failed
from modelyard.methods.data.roles import schema_of
from modelyard.stages.data import filter as stage


def run(root: Path, texts: list[str], **config: Any) -> tuple[list[str], dict[str, str], FakeContext]:
    """Texts kept, reason by text of those removed, and the context."""
    columns = [Column("row_id", "other", "string"), Column("text", "text", "string")]
    (root / "in").mkdir(parents=True)
    write_schema(root / "in", columns)
    rows = pa.table([[f"r{n}" for n in range(len(texts))], texts], schema_of(columns))
    write_split(root / "in", "all", [rows], schema_of(columns))
    context = FakeContext(root / "out", {"data": root / "in"})
    stage.run(stage.Config(**config), context)
    removed = Dataset.open(context.output("removed")).table("all").to_pylist()
    named = {texts[int(row["row_id"][1:])]: row["reason"] for row in removed}
    return Dataset.open(context.output("data")).column("all", "text"), named, context


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("很好", "zh"), ("好 OK", "zh"), ("東京です", "ja"), ("안녕하세요", "ko"), ("สวัสดี", "th"), ("καλημέρα", "el"),
        ("This is a perfectly ordinary English sentence.", "en"),
        ("Bonjour, je voudrais une chambre pour deux personnes", "fr"),
        ("这家酒店的 WiFi and breakfast 都不错，下次还会来", "zh"),
        ("喜欢初音ミク的都来看，这首歌真好听", "zh"),
        ("The word 酒店 means hotel, and it is used every day in China", "en"),
        ("ok", UNDECIDED), ("12345 !!! 😀", UNDECIDED), ("", UNDECIDED),
    ],
)  # fmt: skip
def test_languages_are_told_by_script_then_by_letters(text: str, code: str) -> None:
    assert Detector()(text) == code


def test_fewer_candidates_make_short_texts_surer() -> None:
    assert Detector()("good hotel") == UNDECIDED
    assert Detector(("en", "zh"))("good hotel") == "en"


LONG = "The quick brown fox and the lazy dog have to be friends with that old cat of mine. "
UNFIT = {
    "min_characters": (2, "a"),
    "max_characters": (50, LONG),
    "min_words": (3, "太短"),
    "max_words": (5, LONG),
    "min_letter_share": (0.5, "12 !! 34 ab"),
    "max_digit_share": (0.5, "call 08452810075 08452810075"),
    "max_symbol_share": (0.5, "a!!! ?? ～～～～"),
    "max_url_share": (0.5, "see https://example.org/a/very/long/path?x=1"),
    "min_mean_word": (3, "it is on an at to be or of he she we the of and the to be"),
    "max_mean_word": (8, "internationalization considerations notwithstanding characteristically"),
    "min_stop_words": (2, "Red green blue yellow orange purple colours shine brightly everywhere today"),
    "min_words_with_letter": (0.8, "The prices were 12 13 14 15 and then 16 17 18 19 the shop closed"),
    "max_hashes": (0.1, "#one #two three"),
    "max_ellipses": (0.1, "so... what... now…"),
    "max_bullet_lines": (0.9, "- a\n* b\n• c"),
    "max_ellipsis_lines": (0.3, "read more...\nmore…\nend."),
    "min_ended_lines": (0.5, "Home\nAbout\nContact\nA sentence."),
    "min_sentences": (3, "One. Two."),
    "max_boilerplate_lines": (0.3, "Lorem ipsum dolor\n版权所有\nhello"),
    "max_braces": (0, "function() { return 1 }"),
    "max_repeated_lines": (0.3, "a\na\na\nb"),
    "max_repeated_line_characters": (0.2, "long line here\nlong line here\nb"),
    "max_repeated_paragraphs": (0.3, "a\n\na\n\na"),
    "max_repeated_paragraph_characters": (0.2, "a paragraph\n\na paragraph\n\nb"),
    "max_top_grams": (1, "buy now " * 10),
    "max_repeated_grams": (1, LONG * 3),
}


def test_every_rule_has_an_unfit_text_and_a_chinese_name() -> None:
    assert set(UNFIT) == set(RULES)
    assert set(RULES) <= set(catalogue("zh"))
    assert set(RULES) == set(stage.Config.model_fields) - set(stage.OWN)


@pytest.mark.parametrize("rule", UNFIT)
def test_each_rule_takes_out_what_it_names_alone(tmp_path: Path, rule: str) -> None:
    limit, text = UNFIT[rule]
    lines = ["这家酒店很好，早餐也不错。", "The staff was friendly, and we had to laugh with them.", "再来一次！"]
    good = "\n".join(lines)
    limit = max(limit, 200) if rule in ("max_characters", "max_words") else limit
    text = LONG * 20 if rule in ("max_characters", "max_words") else text
    kept, gone, context = run(tmp_path, [good, text], preset="none", **{rule: limit})
    assert (kept, gone) == ([good], {text: rule})
    assert context.value("data.removed_rate") == 0.5


def test_a_rule_of_a_preset_can_be_turned_off(tmp_path: Path) -> None:
    kept, gone, _ = run(tmp_path / "a", ["a", "很好的酒店"])
    assert (kept, gone) == (["很好的酒店"], {"a": "min_characters"})
    assert run(tmp_path / "b", ["a", "很好的酒店"], min_characters="off")[0] == ["a", "很好的酒店"]


def test_english_rules_leave_other_languages_alone() -> None:
    limits = {name: PRESETS["pretraining"][name] for name in ("min_mean_word", "max_mean_word", "min_stop_words")}
    for text in (
        "这家酒店很好，早餐也不错，服务员很热情。" * 4,
        "Donaudampfschifffahrtsgesellschaft und Versicherungen wachsen",
    ):
        assert failed(text, limits, Detector()) is None


ENGLISH = (
    "A language model assigns a probability to every sequence of words. To train one, we have to gather a large "
    "amount of text that is both clean and varied. Most pages on the web are neither, so that rules which look at "
    "counts alone already remove a good part of them with little harm to the rest of the collection."
)


def test_good_prose_passes_the_pretraining_rules() -> None:
    chinese = (
        "语言模型给每个词序列一个概率。为了训练它，我们需要收集大量干净而多样的文本。网络上的大多数页面两者都不是，"
        "因此只看计数的规则就已经能去掉其中很大一部分，而对其余内容几乎没有损害。当然，任何规则都会误伤一些好的文章。"
    )
    for text in (ENGLISH, chinese):
        assert failed(text, PRESETS["pretraining"], Detector()) is None


def test_a_run_of_one_sign_does_not_outweigh_the_words() -> None:
    limits = PRESETS["classification"]
    assert failed("很不错！！！！！！！！！！！！！！！！！！！！！！！！！！！", limits, Detector()) is None
    assert failed("很不错?!。，；？!～…—·「」『』【】", limits, Detector()) is not None


def test_languages_are_counted_and_undecided_texts_stay_unless_told(tmp_path: Path) -> None:
    texts = ["很好的酒店", "This is a perfectly ordinary English sentence.", "12345"]
    kept, gone, context = run(tmp_path / "a", texts, preset="none", languages=["zh"])
    assert kept == [texts[0], texts[2]]
    assert gone == {texts[1]: "language"}
    assert any("1 texts cannot be told" in line for line in context.said)
    shares = {m.slice["language"]: m.value for m in context.measurements if m.claim == "data.language_share"}
    assert shares == {code: pytest.approx(1 / 3) for code in ("zh", "en", "undecided")}
    assert run(tmp_path / "b", texts, preset="none", languages=["zh"], undecided="remove")[0] == [texts[0]]


def test_an_unknown_language_and_nothing_left_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such language: qq"):
        run(tmp_path / "a", ["很好"], languages=["qq"])
    with pytest.raises(InputError, match="no row is left"):
        run(tmp_path / "b", ["很好"], min_characters=10)


def slow_repeated(words: list[str], length: int) -> float:
    grams = Counter(tuple(words[place : place + length]) for place in range(len(words) - length + 1))
    covered = set()
    for place in range(len(words) - length + 1):
        if grams[tuple(words[place : place + length])] > 1:
            covered |= set(range(place, place + length))
    return sum(len(words[place]) for place in covered) / max(1, sum(map(len, words)))


def slow_top(words: list[str], length: int) -> float:
    grams = Counter(tuple(words[place : place + length]) for place in range(len(words) - length + 1))
    most = max(grams.values(), default=0)
    if most < 2:
        return 0.0
    size = max(sum(map(len, gram)) for gram, count in grams.items() if count == most)
    return min(1.0, size * most / sum(map(len, words)))


@settings(max_examples=200, deadline=None)
@given(words=st.lists(st.sampled_from(["a", "bb", "ccc", "dddd"]) | st.sampled_from("好酒店"), max_size=60))
def test_runs_of_words_are_counted_as_a_dict_of_tuples_would(words: list[str]) -> None:
    grams = Grams.of(words)
    for n in TOP_GRAMS:
        if len(words) >= 2 * n * grams.factor:
            assert grams.top(n) == pytest.approx(slow_top(words, n * grams.factor))
    for n in REPEATED_GRAMS:
        assert grams.repeated(n) == pytest.approx(slow_repeated(words, n * grams.factor))


@settings(max_examples=150, deadline=None)
@given(
    text=st.text(st.characters(), max_size=80)
    | st.lists(st.sampled_from(["a b ", "好", "\n", "#", "…", "1"])).map("".join)
)
def test_no_text_makes_a_rule_or_the_detector_raise(text: str) -> None:
    measured = Measured(text)
    for rule in RULES.values():
        rule(measured, 0.5)
    assert isinstance(Detector()(text), str)


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=20))
@pytest.mark.parametrize("preset", ["none", "classification", "pretraining"])
def test_rows_in_are_rows_kept_and_rows_removed_and_filtering_again_removes_none(
    tmp_path_factory: pytest.TempPathFactory, preset: str, texts: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("filter")
    kept, _, context = run(folder / "once", [ENGLISH, *texts], preset=preset)
    removed = Dataset.open(context.output("removed")).num_rows("all")
    assert len(kept) + removed == len(texts) + 1
    assert run(folder / "twice", kept, preset=preset)[0] == kept
