"""Markup, width and script: what is marked up becomes plain, what only looks so stays, and nothing hostile raises."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from modelyard.methods.text.markup import strip_html, strip_markdown
from modelyard.methods.text.repair import UNSETTLED, Repair
from modelyard.methods.text.script_variants import to_half_width, to_script


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("<p>a</p><p>b</p>", "\na\n\nb\n"),
        ("a<br/>b<BR >c", "a\nb\nc"),
        ("<b class='x'>bold</b> and <i>not</i>", "bold and not"),
        ("AT&amp;T &lt;3 &#39;x&#x27; &hellip;", "AT&T <3 'x' …"),
        ("a<script>var s = '<p>' + 1 < 2;</script>b<style>p {}</style >c", "abc"),
        ("a<script>never closed", "a"),
        ("a<!-- <b>no</b> -->b<!-- open", "ab"),
        ('<a href="https://x.cn/?a=1&b=2" target=_blank>here</a>', "here"),
        ("<!DOCTYPE html><html><body>x</body></html>", "\n\nx\n\n"),
        ("<input disabled><td nowrap>x", "\nx"),
    ],
)
def test_html_becomes_plain_text(marked: str, plain: str) -> None:
    assert strip_html(marked) == plain


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "if a <b and c> d",
        "喜欢<红楼>的红迷们",
        "Map<String, List<Integer>>",
        "x <3 you <- me -> & you; AT&T",
        "<user> <name@example.org> <http://example.org>",
        "5 <6> 7 <",
    ],
)
def test_what_only_looks_like_html_stays(text: str) -> None:
    assert strip_html(text) == text


FORMULAS = r"$x_1 * y_2 * z$ and $$\mathbf{w}_i \\ b$$ for $5 and $6"


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("# Title\n\nSome *text* and **more** ~~gone~~", "Title\n\nSome text and more gone"),
        ("Title\n=====\n\n> said\n> so", "Title\n\nsaid\nso"),
        ("- a\n- b\n\n3. c\n4. d", "- a\n- b\n\n3. c\n4. d"),
        ("[link](http://x) ![picture](y.png) <http://z>", "link picture http://z"),
        ("|a|b|\n|-|-|\n|1|2|", "a\tb\n1\t2"),
        ("a\n\n---\n\nb", "a\n\nb"),
        ("snake_case_name 2 * 3 * 4", "snake_case_name 2 * 3 * 4"),
        (
            r"$x_1 * y_2 * z$ and $$\mathbf{w}_i \\ b$$ for $5 and $6",
            r"$x_1 * y_2 * z$ and $$\mathbf{w}_i \\ b$$ for $5 and $6",
        ),
        ("    four spaces are no code", "four spaces are no code"),
        ("#topic# 微博 *", "#topic# 微博 *"),
    ],
)
def test_markdown_becomes_plain_text(marked: str, plain: str) -> None:
    assert strip_markdown(marked) == plain


def test_code_is_kept_as_it_stands_or_dropped() -> None:
    text = "Use `a*b*c`:\n\n```py\n# no heading\nx = *y, *z <b>\n```\n\nend"
    kept = Repair(markdown=True, markup=True, whitespace="keep")(text)
    assert kept == text
    assert strip_markdown(text, "drop") == "Use :\n\nend"


def test_width_is_folded_and_chinese_punctuation_is_kept_unless_asked() -> None:
    text = "ＡＢＣ　１２３！（５０％）～＠：，。「」好．７：３０，３．５"
    assert to_half_width(text) == "ABC 123！（50%）～@：，。「」好．7:30，3.5"
    assert to_half_width(text, "half") == "ABC 123!(50%)~@:,。「」好.7:30,3.5"


def test_script_is_converted_by_phrase() -> None:
    assert to_script("皇后頭髮乾燥，發現鼠標", "simplified") == "皇后头发干燥，发现鼠标"
    assert to_script("头发发现，皇后，后面", "traditional") == "頭髮發現，皇后，後面"
    assert to_script("no Han at all ✓", "traditional") == "no Han at all ✓"


def test_what_a_phrase_settled_is_not_converted_again() -> None:
    """OpenCC alone would go on: 傢伙 to 傢夥, 證明了 to 證明瞭, 適合 to 適閤."""
    once = to_script("侧面证明了他不适合，小家伙通过了解别人", "traditional")
    assert once == "側面證明了他不適合，小傢伙通過了解別人"
    assert to_script(once, "traditional") == once


def test_the_kinds_of_repair_are_told_in_order() -> None:
    repaired, kinds = Repair(markup=True, half_width=True).explain("<p>schÃ¶n\x07  Ａ</p>")
    assert repaired == "schön A"
    assert kinds == ("encoding", "control characters", "markup", "width", "white space")


ALL = Repair(markdown=True, markup=True, half_width=True, script="simplified", whitespace="lines")
CHOICES = [
    ALL,
    Repair(markup=True, half_width=True, punctuation="half", form="NFKC"),
    Repair(markdown=True, code="drop", whitespace="keep"),
    Repair(script="traditional", half_width=True),
]
PIECES = st.sampled_from(
    ["<b>", "</p>", "<", ">", "&amp;", "&lt;", "lt;", "&#60;", "<script>", "<!--", "-->", "*", "_", "`", "```", "\n",
     "# ", "> ", "- ", "1. ", "|", "---", "\\", "$", "$$", "[", "](", ")", "!", "~~", "    ", "\t", "word", "头发",
     "發", "乾", "里", "Ａ", "，", "　", "Ã©", "\u200d", "👩\u200d👩", "\u0301", "\u202e", "עברית", "\ud800",
     "\x00", "\r", "<a href='x'>"]
)  # fmt: skip
HOSTILE = st.lists(PIECES | st.text(max_size=3), max_size=25).map("".join) | st.text(st.characters(), max_size=40)


@settings(max_examples=300, deadline=None)
@given(text=HOSTILE)
@example("&amp;" * 3 + "lt;b&gt;")
@example("<<b>b>" + "<b" * 9 + ">" * 9)
@example("* - + 1. > # a")
@pytest.mark.parametrize("repair", CHOICES)
def test_hostile_texts_are_repaired_once_and_for_all(repair: Repair, text: str) -> None:
    repaired, kinds = repair.explain(text)
    assert repair(repaired) == repaired
    repaired.encode("utf-8")
    assert (UNSETTLED in kinds) <= (len(kinds) == 1)


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * 10_000 + "x" + "</div>" * 10_000,
        "<b" * 100_000,
        "<script>" * 100_000,
        "<!--" * 100_000,
        "&" * 300_000,
        "word " * 200_000,
        "中" * 300_000,
        ">" * 3_000 + "x",
        "[" * 20_000,
        "*a **b " * 2_000,
        "$a " * 30_000,
        "`" * 20_000,
        "\u0301" * 50_000,
    ],
    ids=range(13),
)
def test_long_and_deep_texts_are_repaired(text: str) -> None:
    repaired = ALL(text)
    assert ALL(repaired) == repaired


def test_what_goes_on_changing_stays_as_it_was_and_is_told() -> None:
    text = "&" + "amp;" * 40 + "lt;"
    assert Repair(markup=True).explain(text) == (text, (UNSETTLED,))


@pytest.mark.parametrize(
    "text", ["👩\u200d👩\u200d👧 family", "🏳️\u200d🌈", "می\u200cخواهم", "שָׁלוֹם", "e\u0301".encode().decode(), "क्\u200dष"]
)
def test_sequences_that_mean_something_survive_every_repair(text: str) -> None:
    assert ALL(text) == unicodedata.normalize("NFC", text)
