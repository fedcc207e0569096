"""The card shows what the record holds, nothing else, whatever the record holds."""

from __future__ import annotations

import copy
import json
import re
import string
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from support.sample_record import (
    bare_record,
    digest,
    draft_record,
    evidence,
    many_classes,
    refused_record,
    sample_record,
)

from modelyard.base.messages import catalogue
from modelyard.errors import InputError, UsageError
from modelyard.methods.reporting import About, parse, render
from modelyard.methods.reporting.sections.classes import classes
from modelyard.methods.reporting.sections.latency import latency
from modelyard.methods.reporting.sections.limits import limits
from modelyard.methods.reporting.sections.mistakes import mistakes
from modelyard.methods.reporting.sections.quality import quality
from modelyard.methods.reporting.view import View
from modelyard.methods.reporting.words import Words

VOID = {"meta", "input", "br", "hr", "img", "wbr"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\x00\u202e\ud800 {name} %s'


class Page(HTMLParser):
    """Tags with their attributes, the text of each language, and whether every tag is closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: dict[str, list[str]] = {"en": [], "zh-CN": [], "": []}
        self.stack: list[str] = []
        self.lang = ""
        self.style = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, found))
        if tag == "main":
            self.lang = found["lang"]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag
        if tag == "main":
            self.lang = ""

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] == "style":
            self.style += data
        else:
            self.text[self.lang].append(data)

    def words(self, lang: str = "en") -> str:
        return re.sub(r"\s+", " ", " ".join(self.text[lang]))

    def having(self, attribute: str) -> list[dict[str, str]]:
        return [attrs for _, attrs in self.tags if attribute in attrs]


def page_of(record: dict[str, Any], **options: Any) -> Page:
    return Page(render(record, **options))


RECORDS: list[Callable[[], dict[str, Any]]] = [sample_record, refused_record, draft_record, bare_record, many_classes]


@pytest.mark.parametrize("make", RECORDS)
def test_the_page_is_well_formed_and_its_anchors_lead_somewhere(make: Callable[[], dict[str, Any]]) -> None:
    page = page_of(make())
    assert page.stack == []
    ids = Counter(attrs["id"] for attrs in page.having("id"))
    assert max(ids.values()) == 1
    anchors = [attrs["href"] for attrs in page.having("href")]
    assert anchors
    assert {anchor.removeprefix("#") for anchor in anchors} <= set(ids)


@pytest.mark.parametrize("make", RECORDS)
def test_the_page_asks_nothing_of_any_network_and_runs_no_script(make: Callable[[], dict[str, Any]]) -> None:
    page = page_of(make())
    assert not page.having("src")
    assert all(attrs["href"].startswith("#") for attrs in page.having("href"))
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "img", "form", "base"}
    assert "url(" not in page.style
    assert "@import" not in page.style
    policies = [attrs["content"] for attrs in page.having("http-equiv")]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_equal_records_give_equal_bytes_and_the_record_is_left_as_it_was() -> None:
    record = sample_record()
    before = copy.deepcopy(record)
    assert render(record) == render(copy.deepcopy(record))
    assert record == before


@pytest.mark.parametrize("make", RECORDS)
def test_every_figure_on_the_page_is_evidence_in_the_record(make: Callable[[], dict[str, Any]]) -> None:
    record = make()
    known = {
        (
            item["claim"],
            repr(float(item["value"])),
            item["n"],
            item["subject"].removeprefix("sha256:")[:12],
            item["split"],
        )
        for item in record.get("evidence", [])
    }
    shown = page_of(record).having("data-claim")
    for attrs in shown:
        figure = attrs["data-claim"], attrs["data-value"], int(attrs["data-n"]), attrs["data-subject"]
        assert (*figure, attrs.get("data-split", "")) in known
    assert bool(shown) == bool(known)


def test_the_head_shows_the_rules_claims_with_interval_and_n() -> None:
    page = page_of(sample_record())
    big = [attrs for attrs in page.having("data-claim") if attrs.get("class") == "big"][:4]
    assert [attrs["data-claim"] for attrs in big] == [
        "quality.accuracy",
        "quality.f1_macro",
        "latency.p95_ms",
        "size.bytes",
    ]
    words = page.words().replace("\u00a0", " ")
    assert "95 % interval 86.3 – 89.2 % · n = 1,946" in words


def test_figures_of_other_artifacts_and_withdrawn_ones_are_only_in_the_appendix() -> None:
    record = sample_record()
    big = [attrs for attrs in page_of(record).having("data-claim") if attrs.get("class") == "big"]
    assert {attrs["data-value"] for attrs in big if attrs["data-claim"] == "quality.accuracy"} == {"0.8782"}
    words = page_of(record).words()
    assert "withdrawn: lin: measured before the duplicate rows were found" in words
    record["evidence"] = [item for item in record["evidence"] if item["subject"] != digest("int8")]
    words = page_of(record).words()
    assert "Quality was measured on other artifacts (classifier), not on this model's bytes." in words
    assert not [
        a for a in page_of(record).having("data-claim") if a.get("class") == "big" and "quality" in a["data-claim"]
    ]


def test_the_worst_of_several_measurements_is_shown() -> None:
    record = sample_record()
    record["evidence"].append(evidence("quality.accuracy", 0.95, 0.94, 0.96, 1946))
    record["evidence"].append(evidence("quality.accuracy", 0.81, 0.79, 0.83, 1946))
    record["evidence"].append(evidence("latency.p95_ms", 9.0, 8.0, 11.0, 50, unit="ms"))
    big = {a["data-claim"]: a["data-value"] for a in page_of(record).having("data-claim") if a.get("class") == "big"}
    assert big["quality.accuracy"] == "0.81"
    assert big["latency.p95_ms"] == "9.0"


@pytest.mark.parametrize(
    ("make", "verdict", "sentence"),
    [
        (sample_record, "released", "Rules passed: 3 of 3."),
        (refused_record, "refused", "Rules failed: 1 of 3. This model may not be released."),
        (draft_record, "draft", "No rules were set"),
        (bare_record, "undecided", "The gate has not been asked yet."),
    ],
)
def test_the_verdict_is_the_decision(make: Callable[[], dict[str, Any]], verdict: str, sentence: str) -> None:
    page = page_of(make())
    assert f"verdict {verdict}" in {attrs.get("class") for _, attrs in page.tags}
    assert sentence in page.words()


def test_failed_rules_come_first_with_their_reason() -> None:
    words = page_of(refused_record()).words()
    assert words.index("the low end 0.863 is below 0.88") < words.index("0 is at most 0.01")


def test_texts_from_data_stay_text_wherever_they_stand() -> None:
    record = sample_record()
    plain = Counter(tag for tag, _ in page_of(record).tags)
    attributes = {name for _, attrs in page_of(record).tags for name in attrs}
    hostile = json.loads(json.dumps(record).replace('"negative"', json.dumps(HOSTILE)))
    hostile["title"] = hostile["project"] = hostile["release"]["name"] = HOSTILE
    hostile["data"]["source"] = {HOSTILE: HOSTILE}
    hostile["data"]["columns"] = [{"name": HOSTILE, "role": HOSTILE, "type": HOSTILE}] * 3
    hostile["environment"] = {HOSTILE: HOSTILE}
    hostile["decision"]["findings"][0]["reason"] = HOSTILE
    for run in hostile["runs"]:
        run["notes"] = [HOSTILE]
        run["settings"] = {HOSTILE: {HOSTILE: HOSTILE}}
        run["libraries"] = {HOSTILE: HOSTILE}
    for mistake in hostile["reports"]["quality"]["mistakes"]:
        mistake["text"] = HOSTILE
    about = About(intended_use=HOSTILE, out_of_scope=HOSTILE, owner=HOSTILE, contact=HOSTILE)
    page = page_of(hostile, about=about)
    assert page.stack == []
    assert set(Counter(tag for tag, _ in page.tags)) <= set(plain)
    assert {name for _, attrs in page.tags for name in attrs} <= attributes
    assert "<script>alert(1)</script>" in page.words()
    render(hostile).encode("utf-8")
    assert "\x00" not in render(hostile)


def test_the_page_holds_both_languages_and_opens_in_the_one_asked_for() -> None:
    for lang in ("en", "zh"):
        page = page_of(sample_record(), lang=lang)
        assert [attrs["id"] for attrs in page.having("checked")] == [f"lang-{lang}"]
        assert "Confusion matrix" in page.words("en")
        assert "混淆矩阵" in page.words("zh-CN")
    with pytest.raises(UsageError, match="unknown language"):
        render(sample_record(), lang="fr")


def test_no_words_of_the_english_catalogue_are_left_on_the_chinese_page() -> None:
    shown = page_of(sample_record(), lang="zh", about=About(owner="李雷")).words("zh-CN")
    pieces = {text for key in catalogue("zh") for text, _, _, _ in string.Formatter().parse(key)}
    found = {piece for piece in map(str.strip, pieces) if len(piece.split()) > 2 and piece in shown}
    assert found == set()
    assert "李雷" in shown


def test_the_least_record_gives_a_page_that_says_what_is_missing() -> None:
    words = page_of(bare_record()).words()
    assert "Its quality was not measured on test rows." in words
    assert "The gate has not decided about this model." in words
    assert "The record names no model." in page_of({"version": 1, "project": "p", "model": None}).words()


JUNK: list[Any] = [None, 7, "text", [], {}, [[]], [{}], {"a": 1}, [1, "b"], {"bins": "x"}, [{"label": []}], True, -1.5]


@pytest.mark.parametrize("step", ["quality", "latency"])
def test_a_report_of_another_shape_loses_its_part_and_breaks_nothing(step: str) -> None:
    whole = parse(sample_record())
    for key in [*whole.reports[step], "labels", "n"]:
        for junk in JUNK:
            reports = {**whole.reports, step: {**whole.reports[step], key: junk}}
            view = View(whole.model_copy(update={"reports": reports}), Words("en"), About())
            for section in (quality, classes, mistakes, latency, limits):
                section(view)


@pytest.mark.parametrize("profile", JUNK)
def test_a_profile_of_another_shape_loses_its_part_and_never_the_page(profile: Any) -> None:
    for key in ("labels", "text_length", "scripts", "lengths"):
        record = sample_record()
        record["data"]["splits"]["train"]["profile"][key] = profile
        assert page_of(record).stack == []


def test_numbers_that_are_not_finite_are_never_shown_and_are_counted() -> None:
    record = sample_record()
    record["evidence"][0]["value"] = float("nan")
    record["curves"]["classifier"]["loss"][3][1] = float("inf")
    record["reports"]["quality"]["roc"][0]["tpr"][2] = float("-inf")
    page = render(record)
    assert not re.search(r"(?i)(?<![a-z])(nan|inf|-inf|infinity)(?![a-z])", re.sub(r"<style>.*?</style>", "", page))
    assert "Numbers in the record that were not finite, shown as missing: 3." in Page(page).words()


def test_every_problem_of_a_record_is_told_at_once() -> None:
    record = sample_record()
    record["version"] = 2
    record["evidence"][0]["n"] = "many"
    del record["decision"]["findings"][1]["rule"]
    with pytest.raises(InputError) as caught:
        parse(record)
    places = {problem.where for problem in caught.value.problems}
    assert places == {"record.version", "record.evidence.0.n", "record.decision.findings.1.rule"}


def limits_of(record: dict[str, Any], **options: Any) -> str:
    page = render(record, **options)
    section = re.search(r'<section id="en-limits">(.*?)</section>', page, re.S)
    return Page(section[1]).words("") if section else ""


def test_limits_follow_from_facts() -> None:
    record = sample_record()
    record["model"]["licence"] = "unknown"
    record["evidence"] += [
        evidence("quality.accuracy", 0.86, 0.84, 0.88, 1900, slice={"text": "not in train"}),
        evidence("data.leakage_rate", 0.02, 0.02, 0.02, 1946, exact=True, subject=digest("split")),
        evidence("quality.recall", 0.5, 0.4, 0.6, 41, slice={"class": "rare"}),
    ]
    record["reports"]["quality"]["left_out"] = ["r1", "r2"]
    said = limits_of(record, about=About(out_of_scope="court rulings"))
    for fact in (
        "The owner says what it is not for: court rulings",
        "Test rows also in training or validation 2.0 %",
        "Accuracy on the test rows that are not in training: 86.0 %",
        "accuracy is known to about ±1.5 points",
        "Classes with fewer than 100 test rows, whose figures say little: 1 of 3: rare (41)",
        "Test rows left out because they have no text or no label: 2.",
        "weak: taken from star ratings",
        "The test split was opened 2 times",
        "The model's licence is unknown.",
        "Not measured: fairness between groups, robustness, privacy.",
        "Measurements withdrawn: 1.",
    ):
        assert fact in re.sub(r"\s+", " ", said)


def test_limits_that_the_facts_do_not_give_are_not_claimed() -> None:
    record = sample_record()
    record["openings"] = 1
    record["data"]["source"] = "reviews.csv"
    record["evidence"] = [item for item in record["evidence"] if not item["withdrawn"]]
    record["evidence"] += [evidence(f"{name}.gap", 0, 0, 0, 100) for name in ("fairness", "robustness", "privacy")]
    said = limits_of(record)
    assert re.findall(r"<li>", re.search(r'id="en-limits">(.*?)</section>', render(record), re.S)[1]) == ["<li>"] * 2  # type: ignore[index]
    assert "accuracy is known to about" in said
    assert "Speed holds only for the machine" in said


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.02, 0.05, "Better than “TF-IDF + linear” beyond chance"),
        (-0.01, 0.05, "Not shown to be better than “TF-IDF + linear”"),
        (-0.05, -0.02, "“TF-IDF + linear” is better, and cheaper"),
    ],
)
def test_whether_the_model_earns_its_cost_is_decided_by_the_paired_gain(low: float, high: float, sentence: str) -> None:
    record = sample_record()
    gain = next(item for item in record["evidence"] if item["claim"] == "quality.gain_over_linear")
    gain |= {"value": (low + high) / 2, "low": low, "high": high}
    assert sentence in page_of(record).words()
    assert (sentence in limits_of(record)) == (low <= 0)


def test_calibration_is_a_limit_only_beyond_what_chance_explains() -> None:
    record = sample_record()
    ece = next(item for item in record["evidence"] if item["claim"] == "quality.ece")
    assert "not probabilities" not in limits_of(record)
    ece |= {"value": 0.08, "low": 0.05, "high": 0.1}
    assert "not probabilities" in limits_of(record)
    record["reports"]["quality"]["reliability"]["null_95"] = 0.09
    assert "not probabilities" not in limits_of(record)


def test_many_classes_show_the_weakest_first_fold_the_rest_and_cut_huge_names() -> None:
    record = many_classes()
    page = page_of(record)
    words = page.words()
    assert "More classes (65)" in words
    assert record["model"]["labels"][3] not in words
    assert "Classes without any test row; nothing is known of them: request_07_about_top-up" in words
    assert len(render(record)) < 1_000_000


def test_the_report_of_the_released_model_is_taken_where_two_models_were_measured() -> None:
    record = sample_record()
    other = copy.deepcopy(record["runs"][5])
    other["step"] = "quality_fp32"
    other["inputs"][0] |= {"digest": digest("classifier"), "from_step": "classifier"}
    record["runs"].insert(4, other)
    report = copy.deepcopy(record["reports"]["quality"])
    report["confusion"] = [[1, 2], [3, 4]]
    record["reports"] = {"quality_fp32": report, **record["reports"]}
    assert "838" in page_of(record).words()


def test_the_owners_words_come_from_the_record_when_nobody_gives_others() -> None:
    record = sample_record()
    settings = {"intended_use": "from settings", "title": "Title from settings", "lang": "auto"}
    record["runs"].append({"step": "card", "uses": "report.card", "settings": settings})
    assert "from settings" in page_of(record).words()
    assert "Title from settings" in page_of(record).words()
    record["about"] = {"intended_use": "from the record"}
    assert "from the record" in page_of(record).words()
    assert "given" in page_of(record, about=About(intended_use="given")).words()
