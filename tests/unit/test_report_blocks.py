# ruff: noqa: E501
"""Documents of blocks on the card: figures from the evidence alone, and nothing a document holds breaks the page."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.sample_record import digest, evidence, sample_record
from test_report_page import HOSTILE, Page, page_of

from modelyard.engine.record import Made, build_record
from modelyard.methods.evaluation import blocks
from modelyard.methods.reporting import About, parse, render
from modelyard.methods.reporting.documents import reading
from modelyard.methods.reporting.markup import escape
from modelyard.methods.reporting.record import Document
from modelyard.methods.reporting.sections.blocks import evaluations
from modelyard.methods.reporting.view import View
from modelyard.methods.reporting.words import Words

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 40
RUN = digest("run of fairness")


def whole() -> list[blocks.Block]:
    """One block of every kind."""
    series = blocks.Series("s", ((0.0, 1.0), (1.0, 2.0)), ((0.0, 0.5, 1.5), (1.0, 1.5, 2.5)))
    return [
        blocks.Text(blocks.Phrase("{count} rows", {"count": 3})),
        blocks.Figures("Gaps", ("fairness.",)),
        blocks.Table("Groups", ("group", "n"), (("women", 3), ("men", None))),
        blocks.Lines("Curve", "x", "y", (series,), diagonal=True),
        blocks.Bars("Bars", (blocks.Bar("a", 1.0, 0.5, 1.5), blocks.Bar("b", -1.0))),
        blocks.Scatter("Map", "x", "y", tuple(blocks.Point(i, i * i, "even" if i % 2 else "odd") for i in range(9))),
        blocks.Forces("Forces", 0.25, (blocks.Push("age = 30", 0.5), blocks.Push("city = x", -0.1))),
        blocks.Swarm(
            "Swarm",
            (
                blocks.Line("age", tuple(blocks.Spot(i / 9, i / 8, f"age = {i}") for i in range(9))),
                blocks.Line("city", (blocks.Spot(-0.5), blocks.Spot(0.0))),
            ),
        ),
        blocks.Tokens("Tokens", (blocks.Marked("pos", (("好", 0.5), ("坏", -0.25))),)),
        blocks.Pictures("Pictures", (blocks.Picture(PNG, "a picture"),)),
    ]


def document(shown: list[blocks.Block], **more: Any) -> dict[str, Any]:
    return {"step": "fairness", "file": "fairness.json", "family": "fairness", "title": "Fairness",
            "blocks": blocks.to_json(shown), **more}  # fmt: skip


def record_with(*documents: dict[str, Any]) -> dict[str, Any]:
    record = sample_record()
    run = json.loads(json.dumps(record["runs"][5])) | {"step": "fairness", "uses": "evaluate.fairness", "key": RUN}
    record["runs"].append(run)
    by = {"run": RUN, "measured_by": "fairness"}
    record["evidence"] += [
        evidence("fairness.gap", 0.1234, 0.05, 0.2, 800, **by),
        evidence("fairness.gap", 0.31, 0.2, 0.4, 200, slice={"group": "women"}, **by),
        evidence("fairness.gap", 0.99, 0.9, 1.0, 800, subject=digest("classifier"), run=7),
    ]
    record["documents"] = list(documents)
    return record


def fold_of(page: str, lang: str = "en", index: int = 1) -> str:
    found = re.search(rf'<div class="document" id="{lang}-evaluations-{index}">(.*?)</details>', page, re.S)
    assert found is not None
    return found[1]


def test_every_kind_of_block_is_drawn_in_a_fold_in_both_languages() -> None:
    page = render(record_with(document(whole())))
    assert Page(page).stack == []
    for lang in ("en", "zh"):
        fold = fold_of(page, lang)
        for sign in ('class="band s0"', 'class="chance"', "<table>", 'class="dot s1"', 'class="against"', "<img "):
            assert sign in fold, sign
    assert "3 rows" in fold_of(page)
    assert '<th scope="col"><bdi>group</bdi></th>' in fold_of(page)
    assert "3 行" in fold_of(page, "zh")
    assert not reading.read(Document(**document(whole()))).losses


def test_forces_end_at_the_answer_and_without_one_of_them_nothing_is_drawn() -> None:
    shown = fold_of(render(record_with(document(whole()[6:7]))))
    assert "base 0.25 → answer 0.65" in shown
    assert len(re.findall(r'<rect[^>]*class="dot s0"', shown)) == 1
    assert len(re.findall(r'<rect[^>]*class="dot s1"', shown)) == 1
    broken = blocks.to_json(whole()[6])
    broken["pushes"][1]["value"] = "much"
    assert reading.read(Document(step="s", file="f.json", blocks=[broken])).blocks == ()


def test_a_swarm_has_a_dot_a_row_and_charts_in_a_row_stand_side_by_side() -> None:
    shown = fold_of(render(record_with(document(whole()[3:8]))))
    assert len(re.findall("<circle[^>]*><title>age = ", shown)) == 9
    assert shown.count('class="charts"') == 1


def test_a_figure_names_claim_interval_rows_and_run_and_comes_from_the_evidence_alone() -> None:
    shown = document(whole(), data={"fairness.gap": 0.777})
    fold = fold_of(render(record_with(shown)))
    figures = [attrs for _, attrs in Page("<div>" + fold).tags if "data-claim" in attrs]
    assert [(one["data-value"], one["data-n"], one.get("data-slice")) for one in figures] == [
        ("0.1234", "800", None),
        ("0.31", "200", "group=women"),
    ]
    run = RUN.removeprefix("sha256:")[:12]
    assert {one["data-run"] for one in figures} == {run}
    words = "".join(Page("<div>" + fold).text[""])
    assert "fairness.gap" in words
    assert "0.050\u00a0–\u00a00.200" in words
    assert (
        f"fairness.gap · 95 % interval 0.050\u00a0–\u00a00.200 · n\u00a0=\u00a0800 · on the test split · run fairness {run}"
        in {one["title"] for one in figures}
    )
    assert "0.777" not in fold


def test_slices_and_names_of_claims_choose_the_figures() -> None:
    block = blocks.Figures("Gaps", ("fairness.gap",), slices=False)
    fold = fold_of(render(record_with(document([block]))))
    assert re.findall(r'data-value="([^"]*)"', fold) == ["0.1234"]
    assert "Not measured: fairness.ga." not in fold
    fold = fold_of(render(record_with(document([blocks.Figures("Gaps", ("fairness.ga",))]))))
    assert "Not measured: fairness.ga." in fold


def test_the_worst_of_several_measurements_is_shown_and_withdrawn_ones_are_not() -> None:
    record = record_with(document([blocks.Figures("Gaps", ("quality.accuracy",), slices=False)]))
    record["evidence"].append(evidence("quality.accuracy", 0.5, 0.4, 0.6, 100))
    record["evidence"].append(evidence("quality.accuracy", 0.1, 0.0, 0.2, 100, withdrawn="lin: a mistake"))
    assert re.findall(r'data-value="([^"]*)"', fold_of(render(record))) == ["0.5"]


def test_every_number_in_every_figure_of_the_page_is_one_measurement_of_the_ledger() -> None:
    """Value, both ends, n, subject, split, part and run together; and the text is that value as words."""
    record = record_with(document(whole()))
    known: dict[tuple[Any, ...], dict[str, Any]] = {}
    for item in parse(record).evidence:
        part = "; ".join(f"{name}={value}" for name, value in sorted(item.slice.items()))
        known[
            item.claim, repr(item.value), *(repr(end) if end is not None else "" for end in (item.low, item.high)),
            str(item.n), item.subject.removeprefix("sha256:")[:12], item.split, part,
            str(item.run or "").removeprefix("sha256:")[:12],
        ] = item  # type: ignore[assignment]  # fmt: skip
    page = render(record)
    names = ("claim", "value", "low", "high", "n", "subject", "split", "slice", "run")
    shown = Page(page).having("data-claim")
    assert len(shown) > 60
    for attrs in shown:
        assert tuple(attrs.get(f"data-{name}", "") for name in names) in known, attrs
    texts = re.findall(r'<span class="(?:num|big)"([^>]*)>([^<]*)</span>', page)
    assert len(texts) > 40
    for attrs, text in texts:
        found = dict(re.findall(r'data-(\w+)="([^"]*)"', attrs))
        item = known[tuple(found.get(name, "") for name in names)]
        words = {str(escape(Words(lang).value(item.value, item.unit, item.claim))) for lang in ("en", "zh")}  # type: ignore[attr-defined]
        assert text in words, (text, words)


def test_a_document_about_another_model_says_so() -> None:
    record = record_with(document(whole()))
    record["runs"][-1]["inputs"] = [
        {"port": "model", "digest": digest("classifier"), "splits": [], "from_step": "classifier"}
    ]
    assert "About another model than this card: classifier." in fold_of(render(record))


def test_contents_name_every_section_and_every_evaluation() -> None:
    page = render(record_with(document(whole()), document([blocks.Text("more")], title="Robustness", step="robust")))
    contents = re.search(r'<details class="toc">(.*?)</details>', page, re.S)
    assert contents is not None
    anchors = re.findall(r'href="#([^"]*)"', contents[1])
    sections = re.findall(r'<section id="(en-[^"]*)"', page)
    assert [one for one in anchors if not re.search(r"\d$", one)] == sections
    assert [one for one in anchors if re.search(r"\d$", one)] == ["en-evaluations-1", "en-evaluations-2"]
    assert "Robustness · robust" in contents[1]


# -- hostile documents -------------------------------------------------------------------------------------------------


def hostile_blocks() -> list[Any]:
    nan, inf = float("nan"), float("inf")
    return [
        {"kind": "text", "text": {"template": "{a.__class__} {0} {name:9999999999} {name}", "values": {"name": 3}}},
        {"kind": "text", "text": HOSTILE * 500},
        {"kind": "table", "title": HOSTILE, "columns": [HOSTILE] * 40, "rows": [[HOSTILE * 9, nan, inf]] * 5000},
        {"kind": "table", "columns": ["#x"], "rows": [[1, 2, 3], "no row", [10**400], [[1]], [None]]},
        {"kind": "lines", "title": "l", "x": 1, "y": [], "series": [{"name": HOSTILE, "points": [[0, nan], [1, 1e308], [1, 2], [2]]}]},
        {"kind": "bars", "bars": [{"name": HOSTILE, "value": nan}, {"name": "b", "value": 1, "low": "x"}] * 90},
        {"kind": "scatter", "points": [{"x": i, "y": -i, "group": HOSTILE + str(i % 90), "name": HOSTILE} for i in range(9000)]},
        {"kind": "tokens", "texts": [{"label": HOSTILE, "pieces": [[HOSTILE, 1], ["x", inf], ["y"], 3]}] * 99},
        {"kind": "pictures", "pictures": [{"png": "<svg onload=alert(1)>"}, {"png": "aGVsbG8="}, 7]},
        {"kind": "figures", "title": HOSTILE, "claims": [HOSTILE, 7, None]},
        {"kind": "script", "text": "x"}, 7, None, [], {"kind": ["text"]}, {"kind": "text"},
    ]  # fmt: skip


def test_hostile_blocks_are_escaped_cut_or_left_out_and_that_is_said() -> None:
    plain = {tag for tag, _ in page_of(record_with(document(whole()))).tags}
    names = {name for _, attrs in page_of(record_with(document(whole()))).tags for name in attrs}
    text = render(record_with(document([]) | {"blocks": hostile_blocks(), "title": HOSTILE, "family": HOSTILE}))
    page = Page(text)
    assert page.stack == []
    assert {tag for tag, _ in page.tags} <= plain
    assert {name for _, attrs in page.tags for name in attrs} <= names
    assert not re.search(r"(?i)(?<![a-z])(nan|inf)(?![a-z])", re.sub(r"<style>.*?</style>", "", text))
    assert "__class__} {0} 3 3" in page.words()
    assert len(text) < 12_000_000
    words = page.words()
    for said in (
        "blocks that cannot be read: 7",
        "rows of tables beyond the first 200: 4800",
        "columns of tables beyond the first 20: 20",
        "points beyond 2000 in one drawing: 7000",
        "texts cut to 300 characters",
        "pictures that are no PNG below 300 kB: 2",
        "points and bars without a finite number:",
    ):
        assert said in words, said
    ids = Counter(attrs["id"] for attrs in page.having("id"))
    assert max(ids.values()) == 1


JUNK: list[Any] = [None, 7, "text", [], {}, [[]], [{}], {"a": 1}, [1, "b"], True, -1.5, "x" * 5000, [None] * 300]


@pytest.mark.parametrize("kind", ["text", "figures", "table", "lines", "bars", "scatter", "tokens", "pictures"])
def test_a_block_with_junk_in_any_field_loses_that_and_breaks_nothing(kind: str) -> None:
    good = next(one for one in blocks.to_json(whole()) if one["kind"] == kind)
    shown = [{**good, key: junk} for key in [*good, "nothing"] for junk in JUNK]
    fields = [{key: junk} for key in ("blocks", "title", "family") for junk in JUNK] if kind == "text" else []
    record = record_with(
        document([]) | {"blocks": shown[:78]},
        document([]) | {"blocks": shown[78:]},
        *(document([]) | one for one in fields),
    )
    view = View(parse(record), Words("zh"), About())
    found = evaluations(view)
    assert found is not None
    assert Page(f"<p>{found.content}</p>").stack == []


# -- the engine's record -----------------------------------------------------------------------------------------------


def test_every_json_of_an_evaluation_reaches_the_record_and_a_broken_one_is_said(tmp_path: Path) -> None:
    from modelyard.core.run import Run

    folder = tmp_path / "report"
    folder.mkdir()
    blocks.write(folder, "fairness", "Fairness", whole(), {"big": list(range(1000))})
    blocks.write(folder, "robustness", "Robustness", [blocks.Text("hello")])
    (folder / "quality.json").write_text('{"version": 1, "n": 3, "labels": ["a"]}')
    (folder / "broken.json").write_text('{"version": 1, "blo')
    (folder / "deep.json").write_text("[" * 100_000)
    (folder / "list.json").write_text("[1]")
    run = Run(3, RUN, "p", "fair", "evaluate.fairness", "done", 0, {}, {}, {}, "")
    made = Made("fair", run, {"report": folder}, {"report": "report"}, {"report": 1})
    record = build_record("p", None, [made], [], {}, 0, 0, [], {})
    assert record["reports"]["fair"] == {"version": 1, "n": 3, "labels": ["a"]}
    told = {one["file"]: one.get("problem", "") for one in record["documents"]}
    assert told == {
        "broken.json": "the report cannot be read as JSON",
        "deep.json": "the report cannot be read as JSON",
        "fairness.json": "",
        "list.json": "the report is no JSON object",
        "robustness.json": "",
    }
    page = render(record)
    assert "Left out: the report cannot be read as JSON." in page
    assert "hello" in fold_of(page, index=5)
