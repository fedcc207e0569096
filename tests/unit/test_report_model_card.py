# ruff: noqa: E501
"""The card as Markdown: a hub reads its front matter, its figures are the ledger's, and no text of the data is markup."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from markdown_it import MarkdownIt
from ruamel.yaml import YAML
from support.sample_record import bare_record, draft_record, many_classes, refused_record, sample_record
from test_report_blocks import document, record_with, whole
from test_report_page import HOSTILE

from modelyard.methods.reporting.model_card import markdown

LINKS = "[x](javascript:alert(1)) ![i](http://a.b/c.png) <http://a.b> http://a.b www.a.b `code` **bold** | bar\n# head\n1. one"


def front(card: str) -> dict[str, Any]:
    found = YAML(typ="safe").load(card.split("---\n")[1])
    assert isinstance(found, dict)
    return found


def tags_of(card: str) -> set[str]:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: set[str] = set()

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.found.add(tag)

    reader = Tags()
    reader.feed(MarkdownIt("gfm-like", {"linkify": False}).render(card.split("---\n", 2)[2]))
    return reader.found


@pytest.mark.parametrize("make", [sample_record, refused_record, draft_record, bare_record, many_classes])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_record_gives_a_card_whose_front_matter_is_yaml(make: Any, lang: str) -> None:
    card = markdown(make(), lang)
    assert card.startswith("---\nlicense: ")
    assert "modelyard" in front(card)["tags"]
    assert tags_of(card) <= {"h1", "h2", "h3", "h4", "p", "ul", "li", "strong", "code", "table", "thead", "tbody", "tr",
                             "th", "td"}  # fmt: skip


def test_the_hub_reads_every_measurement_with_its_interval_rows_and_run() -> None:
    from huggingface_hub import ModelCardData
    from huggingface_hub.repocard_data import model_index_to_eval_results

    record = sample_record()
    found = front(markdown(record))
    name, results = model_index_to_eval_results(found["model-index"])
    assert name == record["title"]
    known = {(item["claim"], item["value"], item["low"], item["high"], item["n"]) for item in record["evidence"]}
    assert len(results) >= 10
    for one in results:
        args = one.metric_args
        assert (args["claim"], one.metric_value, *args["interval"], args["n"]) in known
        assert one.dataset_split == "test"
    accuracy = next(one for one in results if one.metric_type == "accuracy")
    assert accuracy.metric_value == 0.8782
    data = ModelCardData(**{key.replace("-", "_"): value for key, value in found.items() if key != "model-index"})
    assert data.license == "apache-2.0"
    assert data.language == ["zh"]


def test_a_licence_the_hub_does_not_know_is_named_and_an_unknown_one_is_not_made_up() -> None:
    record = sample_record()
    record["model"]["licence"] = "Our own: 1"
    assert (front(markdown(record))["license"], front(markdown(record))["license_name"]) == ("other", "Our own: 1")
    record["model"]["licence"] = "unknown"
    assert front(markdown(record))["license"] == "unknown"


def test_only_data_of_a_hub_is_named_as_a_data_set_of_the_hub() -> None:
    record = sample_record()
    assert "datasets" not in front(markdown(record))
    record["runs"].append(
        {"step": "h", "uses": "data.hub", "settings": {"hub": "huggingface", "id": "PolyAI/banking77"}}
    )
    record["runs"].append({"step": "m", "uses": "data.hub", "settings": {"hub": "modelscope", "id": "a/b"}})
    assert front(markdown(record))["datasets"] == ["PolyAI/banking77"]


def test_the_card_says_what_the_page_says() -> None:
    card = markdown(record_with(document(whole())))
    for said in ("## Evaluations", "#### Fairness · fairness", "| Claim | Part | Value | 95 % interval | n | Run |",
                 "| women | 3 |", "3 rows", "- a 1", "87.8 %"):  # fmt: skip
        assert said in card, said
    assert "## 各项评测" in markdown(record_with(document(whole())), "zh")


def test_texts_from_data_stay_text_in_markdown() -> None:
    record = record_with(document(whole()))
    plain = tags_of(markdown(record))
    text = json.dumps(record)
    for hostile in (HOSTILE, LINKS):
        poisoned = json.loads(text.replace('"negative"', json.dumps(hostile)).replace('"women"', json.dumps(hostile)))
        poisoned["title"] = hostile
        poisoned["model"]["licence"] = hostile + "\n---\nlicense: mit"
        poisoned["reports"]["quality"]["mistakes"][0]["text"] = hostile
        card = markdown(poisoned)
        assert tags_of(card) <= plain
        assert front(card)["license"] == "other"
        assert not re.search(r"(?<!\\)<[a-z!/]", card.split("---\n", 2)[2])
