"""evaluate.privacy_recall: what is counted, against counts made by hand; no text in what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.methods.privacy.measuring import Annotated, Measured
from modelyard.methods.privacy.spans import Span
from modelyard.methods.statistics.wilson import wilson
from modelyard.stages.evaluate import privacy_recall

ROWS = [
    ("电话13800138000。", [(2, 13, "PHONE")]),
    ("编号AB-12，手机13900139000", [(2, 7, "PHONE"), (10, 21, "PHONE")]),
    ("寄到a@mail.example.org", [(2, 20, "email")]),
    ("在三月", [(1, 3, "DATE")]),
    ("卡号4111111111111111", []),
]


def run(tmp_path: Path, rows: list[tuple[str, Any]] = ROWS, **config: Any) -> FakeContext:
    columns = [
        Column("row_id", "other", "string"),
        Column("text", "text", "string"),
        Column("spans", "other", "string"),
    ]
    folder = tmp_path / "in"
    folder.mkdir(parents=True)
    write_schema(folder, columns)
    marks = [
        value
        if isinstance(value, str)
        else json.dumps([dict(zip(("start", "end", "type"), one, strict=True)) for one in value])
        for _, value in rows
    ]
    arrays = [pa.array(values) for values in ([f"r{n}" for n in range(len(rows))], [text for text, _ in rows], marks)]
    write_split(folder, "all", [pa.table(arrays, schema=schema_of(columns))], schema_of(columns))
    context = FakeContext(tmp_path / "out", {"data": folder})
    privacy_recall.run(privacy_recall.Config(names={"PHONE": "phone"}, **config), context)
    return context


def test_counts_rates_and_intervals_are_those_made_by_hand(tmp_path: Path) -> None:
    context = run(tmp_path)
    rates = {(item.claim, item.slice.get("type", "")): item for item in context.measurements}
    assert rates["privacy.recall", ""].value == pytest.approx(3 / 4)
    assert rates["privacy.recall", "phone"].value == pytest.approx(2 / 3)
    assert rates["privacy.recall", "phone"].interval == wilson(2, 3)
    assert rates["privacy.recall_worst", ""].interval == wilson(1, 1)
    assert rates["privacy.precision", ""].value == pytest.approx(3 / 4)
    assert rates["privacy.precision_worst", ""].value == 0.0
    letters = 11 + 4 + 11 + 15
    assert rates["privacy.leak", ""].value == pytest.approx(4 / letters)
    assert any("DATE" in line for line in context.said)


def test_the_report_holds_counts_and_no_text(tmp_path: Path) -> None:
    written = (run(tmp_path).output("report") / "privacy.json").read_text(encoding="utf-8")
    assert json.loads(written)["types"]["phone"] == {
        "spans": 3, "found": 2, "strict": 2, "finds": 2, "right": 2, "letters": 26, "left": 4,
    }  # fmt: skip
    assert "13800138000" not in written


def test_a_span_half_hidden_counts_by_coverage() -> None:
    text = "abcdefghij"
    for coverage, found in ((0.5, 1), (0.6, 0)):
        measured = Measured()
        measured.add(text, [Annotated(0, 10, "phone")], [Span(0, 5, "email", 1, "")], {"phone": "phone"}, coverage)
        assert (measured.found["phone"], measured.left["phone"], measured.right["email"]) == (found, 5, 1)


@pytest.mark.parametrize("spans", ["no json", '[{"start": 0}]', '[{"start": 0, "end": 99, "type": "PHONE"}]', "[1]"])
def test_bad_annotations_are_named_by_row_without_their_text(tmp_path: Path, spans: str) -> None:
    with pytest.raises(InputError) as caught:
        run(tmp_path, [("电话13800138000", spans)])
    assert "r0" in str(caught.value)
    assert "13800138000" not in str(caught.value)


def test_nothing_annotated_is_an_error_that_names_the_types_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="DATE"):
        run(tmp_path, [("在三月", [(1, 3, "DATE")])])
