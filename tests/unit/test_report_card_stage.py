"""report.card writes a page and the record it was made from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.fake_context import FakeContext
from support.sample_record import sample_record

from modelyard.errors import InputError
from modelyard.stages.report.card import STAGE, Config


def card(tmp_path: Path, record: Any, **settings: Any) -> Path:
    folder = tmp_path / "record"
    folder.mkdir(exist_ok=True)
    (folder / "record.json").write_text(record if isinstance(record, str) else json.dumps(record), encoding="utf-8")
    context = FakeContext(tmp_path, inputs={"record": folder, "model": tmp_path})
    STAGE.run(Config(**settings), context)
    return context.output("report")


def test_the_card_holds_the_page_and_the_record_with_the_owners_words(tmp_path: Path) -> None:
    folder = card(tmp_path, sample_record(), lang="en", title="My card", owner="Li Lei")
    page = (folder / "card.html").read_text(encoding="utf-8")
    written = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    assert "My card" in page
    assert "Li Lei" in page
    assert written["about"]["owner"] == "Li Lei"
    assert written["evidence"] == sample_record()["evidence"]
    assert sorted(path.name for path in folder.iterdir()) == ["card.html", "card.json", "card.md", "card.zh.md"]


def test_the_language_follows_from_the_record_and_not_from_who_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages = []
    for lang in ("en", "zh"):
        monkeypatch.setenv("MODELYARD_LANG", lang)
        pages.append((card(tmp_path, sample_record()) / "card.html").read_bytes())
    assert pages[0] == pages[1]
    assert b'id="lang-zh" class="vh" checked' in pages[0]


def test_a_number_that_is_not_finite_is_null_in_the_json(tmp_path: Path) -> None:
    record = sample_record()
    record["evidence"][0]["value"] = float("nan")
    folder = card(tmp_path, record)
    assert json.loads((folder / "card.json").read_text(encoding="utf-8"))["evidence"][0]["value"] is None


def test_a_record_that_is_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"record\.json"):
        card(tmp_path, "{")
