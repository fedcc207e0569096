"""The datasheet says what the record knows, shows what nobody stated, and asks no network for anything."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from support.fake_context import FakeContext
from support.small_data import make

from modelyard.base.canonical import digest_file
from modelyard.base.files import walk
from modelyard.core.artifact import FileEntry, Manifest
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.reporting.datasheet.facts import Source
from modelyard.methods.reporting.datasheet.rights import conflicts, stated
from modelyard.stages.data.datasheet import Config, run

EVIL = "<script>alert(1)</script>[x](javascript:y)|"


def source(step: str = "mail", **said: str) -> Source:
    return Source(step, "data.read", **said)


def kinds(*sources: Source, people: bool = False, uses: str = "") -> list[str]:
    return [conflict.kind for conflict in conflicts(sources, people, uses)]


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-4.0", []),
        ("MIT", []),
        ("Apache-2.0", []),
        ("CC-BY-NC-4.0", ["non_commercial"]),
        ("cc by-nc-sa 4.0", ["non_commercial"]),
        ("CC-BY-ND-4.0", ["no_derivatives"]),
        ("research only", ["non_commercial"]),
        ("仅供学术研究使用", ["non_commercial"]),
        ("CC BY-NC-ND 2.0", ["non_commercial", "no_derivatives"]),
        ("unknown", ["unclear_licence"]),
        ("未知", ["unclear_licence"]),
        ("Encyclopedia", []),
        ("GPL-3.0", []),
        ("Academic Free License", ["non_commercial"]),
        ("", []),
    ],
)
def test_licences_are_read_by_their_words(licence: str, expected: list[str]) -> None:
    assert kinds(source(licence=licence)) == expected


def test_a_commercial_use_of_non_commercial_data_is_said_more_plainly() -> None:
    plain, strong = (
        conflicts([source(licence="CC-BY-NC-4.0")], False, uses)[0].text for uses in ("teaching", "our product")
    )
    assert plain != strong
    assert "purpose or use is commercial" in strong


def test_sources_whose_terms_cannot_be_joined_are_named_together() -> None:
    assert "licences" in kinds(source("a", licence="CC-BY-SA-4.0"), source("b", licence="CC-BY-NC-4.0"))
    assert "licences" in kinds(source("a", licence="CC-BY-SA-4.0"), source("b", licence="GPL-3.0"))
    assert kinds(source("a", licence="CC-BY-SA-4.0"), source("b", licence="CC-BY-SA-4.0")) == []
    assert kinds(source("a", licence="CC-BY-SA-4.0"), source("b", licence="MIT")) == []


def test_rows_about_people_need_a_basis_a_purpose_and_an_end() -> None:
    assert kinds(source(consent="not_personal"), people=True) == ["basis"]
    assert kinds(source(consent="not_personal")) == []
    assert kinds(source(consent="consent")) == ["retention", "basis"]
    assert kinds(source(consent="consent", retention="30d", purpose="spam filter")) == []
    assert [stated(text) for text in ("MIT", "unknown", " ", "n/a", "proprietary licence of ACME")] == [
        True,
        False,
        False,
        False,
        True,
    ]


def record_of(data: Dataset, provenance: list[dict[str, str]]) -> dict[str, Any]:
    """Two sources, a contract that passes its data on, and a cleaning step that made `data`."""
    files = [FileEntry(p.relative_to(data.path).as_posix(), p.stat().st_size, digest_file(p)) for p in walk(data.path)]
    digest = Manifest.of(files).digest

    def made(step: str, uses: str, inputs: list[str], output: str, **settings: Any) -> dict[str, Any]:
        return {"step": step, "uses": uses, "settings": settings, "notes": [f"{step} said {EVIL}"],
                "inputs": [{"port": "data", "digest": item} for item in inputs],
                "outputs": [{"port": "data", "digest": output, "kind": "dataset"}]}  # fmt: skip

    def about(claim: str, value: float, n: int = 10, **part: str) -> dict[str, Any]:
        return {
            "claim": claim,
            "value": value,
            "exact": True,
            "n": n,
            "subject": digest,
            "subject_step": "clean",
            "slice": part,
        }

    sources = [
        made(
            f"source{place}",
            "data.read",
            [],
            f"sha256:{place}",
            path=f"/home/somebody/secret/{place}.csv",
            provenance=said,
        )
        for place, said in enumerate(provenance)
    ]
    return {
        "version": 1,
        "project": "p",
        "runs": [
            *sources,
            made("unrelated", "data.read", [], "sha256:other"),
            made("arrived", "data.contract", [f"sha256:{place}" for place in range(len(provenance))], "sha256:0"),
            made("clean", "data.clean", ["sha256:0", "sha256:1"], digest),
        ],
        "evidence": [
            about("data.rows", 8),
            about("data.removed_rate", 0.2),
            about("data.changed_rate", 0.1),
            about("data.removed_rate", 0.2, reason="repeat"),
            about("data.contract_violations", 3, rule="range", column="n"),
            {**about("data.empty_rate", 0.5), "withdrawn": "somebody: wrong"},
        ],
    }


FULL = {
    "source": "ACME",
    "licence": "CC-BY-4.0",
    "consent": "contract",
    "purpose": "spam filter",
    "retention": "90d",
    "collected": "2024",
    "contact": "data@acme.example",
}


def sheet(root: Path, provenance: list[dict[str, str]], **words: str) -> tuple[FakeContext, dict[str, Any], Path]:
    data = make(
        root / "data",
        {"text": ("text", "string", [EVIL, "很好", None, "x"]), "label": ("label", "string", list("aabb"))},
    )
    (root / "record").mkdir()
    (root / "record" / "record.json").write_text(json.dumps(record_of(data, provenance)))
    context = FakeContext(root, {"data": data.path, "record": root / "record"})
    run(Config(**words), context)
    folder = context.output("report")
    return context, json.loads((folder / "datasheet.json").read_text()), folder


def test_what_is_stated_is_counted_and_what_is_not_is_named(tmp_path: Path) -> None:
    context, found, folder = sheet(tmp_path, [FULL, {"licence": "unknown"}])
    counts = {m.claim: (m.value, m.n) for m in context.measurements}
    assert counts["data.sources"] == (2, 2)
    assert {m.on for m in context.measurements} == {"record"}  # a statement mended in the project is judged anew
    assert counts["data.sources_without_licence"] == (1, 2)
    assert counts["data.sources_without_basis"] == (1, 2)
    assert counts["data.retention_days_min"] == (90, 1)
    assert found["sources"][0]["missing"] == []
    assert "Legal basis" in (folder / "datasheet.md").read_text()
    assert "法律依据" in (folder / "datasheet.zh.md").read_text()
    assert any("source1: not stated" in line for line in context.said)


def test_no_source_at_all_passes_no_rule(tmp_path: Path) -> None:
    """Evidence on n = 0 is unsound for a gate."""
    data = make(tmp_path / "data", {"text": ("text", "string", ["x"])})
    (tmp_path / "record.json").write_text('{"version": 1, "project": "p"}')
    context = FakeContext(tmp_path, {"data": data.path, "record": tmp_path})
    run(Config(), context)
    folder = context.output("report")
    assert {(m.value, m.n) for m in context.measurements if m.claim == "data.sources_without_licence"} == {(0, 0)}
    assert "Where the rows came from is not known." in (folder / "datasheet.md").read_text()


def test_only_steps_on_the_way_to_the_data_count_also_through_one_that_passes_it_on(tmp_path: Path) -> None:
    _, found, _ = sheet(tmp_path, [FULL, FULL])
    assert [item["step"] for item in found["sources"]] == ["source0", "source1"]


def test_accounts_contracts_and_figures_come_from_the_record(tmp_path: Path) -> None:
    _, found, folder = sheet(tmp_path, [FULL, FULL])
    account = found["accounts"][0]
    assert (account["num_in"], account["num_kept"], account["removed"], account["num_changed"]) == (
        10,
        8,
        {"repeat": 2},
        1,
    )
    assert [item["slice"] for item in found["contract"]] == [{"rule": "range", "column": "n"}]
    assert all(item["claim"] != "data.empty_rate" for item in found["evidence"])
    assert found["figures"]["labels"]["shares"] == {"a": 0.5, "b": 0.5}
    text = (folder / "datasheet.md").read_text()
    assert "clean: 10 rows in + 0 added = 8 kept + 2 removed (repeat 2); 1 of them changed" in text


def test_folders_of_the_machine_stay_out(tmp_path: Path) -> None:
    _, _, folder = sheet(tmp_path, [FULL, FULL])
    assert not any("somebody" in path.read_text() for path in folder.iterdir())


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_holds_both_languages_and_texts_stay_texts(tmp_path: Path) -> None:
    _, found, folder = sheet(tmp_path, [{**FULL, "source": EVIL}, FULL], title=EVIL, uses=EVIL)
    page = (folder / "datasheet.html").read_text()
    tags = Tags()
    tags.feed(page)
    assert {tag for tag, _ in tags.found}.isdisjoint({"script", "img", "iframe", "link", "object", "form"})
    hrefs = [attributes["href"] for _, attributes in tags.found if "href" in attributes]
    assert all(href is not None and href.startswith("#") for href in hrefs)
    assert {href[1:] for href in hrefs if href} <= {attributes.get("id") for _, attributes in tags.found}
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
    assert "Datasheet of a data set" in page
    assert "数据集说明书" in page
    assert found["digest"] in page


def test_the_markdown_has_the_hubs_front_matter_and_escapes_what_people_wrote(tmp_path: Path) -> None:
    _, _, folder = sheet(tmp_path, [FULL, FULL], title="A: 'b' \"c\"", uses=EVIL)
    text = (folder / "datasheet.md").read_text()
    matter = YAML(typ="safe").load(text.split("---")[1])
    assert matter == {
        "license": "cc-by-4.0",
        "pretty_name": "A: 'b' \"c\"",
        "size_categories": ["n<1K"],
        "language": ["zh"],
        "tags": ["modelyard"],
    }
    assert "<script>" not in text
    assert "[x](javascript" not in text


def test_equal_records_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        sheet(tmp_path / name, [FULL, FULL])
    for file in ("datasheet.html", "datasheet.md", "datasheet.json"):
        one, other = (tmp_path / name / "outputs" / "report" / file for name in ("a", "b"))
        assert one.read_bytes() == other.read_bytes()
