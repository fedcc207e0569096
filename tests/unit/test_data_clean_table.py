"""data.clean_table: values are read as people write them; what breaks a rule becomes what it says, and is told."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.methods.data.table_cleaning import Rule, judge
from modelyard.methods.data.table_values import boolean_of, folded, moment_of, number_of, quantity_of
from modelyard.stages.data import clean_table, restore


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1,234.50", 1234.5), ("￥12.5", 12.5), ("12%", 0.12), ("３５", 35), ("1.2万", 12_000), ("3.4亿", 340_000_000),
        ("(120)", -120), ("-￥5", -5), ("5元", 5), ("１，２３４", 1234), ("1.2千万", 12_000_000), ("−3.5％", -0.035),
        ("1e3", 1000), (" +7 ", 7), ("US$1,000", 1000), ("0.1‰", 0.0001), ("RMB 8", 8),
        ("12,34", None), ("nan", None), ("inf", None), ("", None), ("1 2", None), ("12a", None), ("--5", None),
        ("1.2.3", None), ("1e999", None), ("9" * 200, None), ("万" * 1_000_000, None),
    ],
)  # fmt: skip
def test_numbers_are_read(text: str, value: float | None) -> None:
    assert number_of(text) == value


def test_a_decimal_comma_is_read_when_it_is_said() -> None:
    assert number_of("1.234,50", ",") == 1234.5
    assert number_of("1.234,50") is None


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("175 cm", "m", 1.75), ("1.2万公里", "km", 12_000), ("3斤2两", "kg", 1.6), ("5 ft 11 in", "cm", 180.34),
        ("5'11\"", "cm", 180.34), ("98.6°F", "C", 37), ("37℃", "F", 98.6), ("-5°C", "K", 268.15),
        ("1小时30分", "min", 90),
        ("150lb", "kg", 68.0388555), ("2.5 公斤", "g", 2500), ("1,200 g", "kg", 1.2), ("３天", "h", 72),
        ("70", "kg", 70),
        ("70kg", "m", None), ("十斤", "kg", None), ("20 C 5 C", "C", None), ("5 parsec", "m", None), ("kg", "kg", None),
    ],
)  # fmt: skip
def test_quantities_are_converted(text: str, unit: str, value: float | None) -> None:
    found = quantity_of(text, unit)
    assert found is None if value is None else found == pytest.approx(value, rel=1e-12)


def test_a_number_without_a_unit_is_in_the_one_assumed() -> None:
    assert quantity_of("175", "m", assume="cm") == 1.75
    assert quantity_of("1.75 m", "m", assume="cm") == 1.75


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-1-2", "2024-01-02"), ("2024年1月2日", "2024-01-02"), ("20240102", "2024-01-02"),
        ("2024/01/02 15:04", "2024-01-02T15:04"), ("2024-01-02T03:04:05.25Z", "2024-01-02T03:04:05.250"),
        ("2024-01-02T03:04:05+08:00", "2024-01-01T19:04:05"), ("2024年1月2日 下午3点05分", "2024-01-02T15:05"),
        ("２０２４年１月２日１５时４分６秒", "2024-01-02T15:04:06"), ("2024.1.2 凌晨12:30", "2024-01-02T00:30"),
        ("2024-02-30", None), ("1/2/2024", None), ("2024年1月", None), ("24-1-2", None), ("2024-01-02 25:00", None),
        ("20241301", None), ("0000-01-01", None), ("0001-01-01T00:00:00+08:00", None), ("soon", None), ("", None),
    ],
)  # fmt: skip
def test_dates_are_read(text: str, moment: str | None) -> None:
    assert moment_of(text) == (None if moment is None else datetime.datetime.fromisoformat(moment))


def test_the_order_of_day_and_month_must_be_said() -> None:
    assert moment_of("1/2/2024", "dmy") == datetime.datetime(2024, 2, 1)  # noqa: DTZ001
    assert moment_of("1/2/2024", "mdy") == datetime.datetime(2024, 1, 2)  # noqa: DTZ001


def test_yes_and_no_are_read() -> None:
    assert [boolean_of(word) for word in ("是", "YES", "ｔ", "0", "无", "maybe")] == [
        True,
        True,
        True,
        False,
        False,
        None,
    ]


COLUMNS = [Column("row_id", "other", "string"), Column("label", "label", "string"), Column("x", "other", "string")]
COLUMNS += [Column("n", "feature", "double")]


def run(root: Path, values: list[str | None], rules: dict[str, Any], **more: list[Any]) -> FakeContext:
    table = {
        "row_id": [f"r{n}" for n in range(len(values))],
        "label": more.get("label", ["a"] * len(values)),
        "x": values,
        "n": more.get("n", [1.0] * len(values)),
    }
    (root / "in").mkdir(parents=True)
    write_schema(root / "in", COLUMNS)
    write_split(root / "in", "all", [pa.table(table, schema_of(COLUMNS))], schema_of(COLUMNS))
    context = FakeContext(root / "out", {"data": root / "in"})
    clean_table.run(clean_table.Config(columns=rules), context)
    return context


def column(context: FakeContext, name: str) -> list[Any]:
    return Dataset.open(context.output("data")).column("all", name)


def log(context: FakeContext) -> list[tuple[Any, ...]]:
    rows = Dataset.open(context.output("removed")).table("all").to_pylist()
    return [(row["row_id"], row["action"], row["reason"], row["column"], row["before"], row["after"]) for row in rows]


def test_a_column_gets_its_type_and_every_change_is_told(tmp_path: Path) -> None:
    context = run(tmp_path, ["1.2万", "35", "12.50", "NA", "", "many", None], {"x": {"type": "number"}})
    assert column(context, "x") == [12_000, 35, 12.5, None, None, None, None]
    assert log(context) == [
        ("r0", "changed", "type repaired", "x", "1.2万", "12000.0"),
        ("r3", "changed", "missing marker", "x", "NA", None),
        ("r4", "changed", "missing marker", "x", "", None),
        ("r5", "changed", "wrong type", "x", "many", None),
    ]
    assert context.value("data.changed_rate") == pytest.approx(4 / 7)
    assert Dataset.open(context.output("data")).columns[2] == Column("x", "other", "double")
    assert "column x: wrong type in 1 cells" in context.said


ACTIONS = {
    "null": ([50.0, None, 60.0], []),
    "clip": ([50.0, 250.0, 60.0], []),
    "keep_and_flag": ([50.0, 999.0, 60.0], ["", "x: out of range", ""]),
    "remove_row": ([50.0, 60.0], []),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_does_what_it_says(tmp_path: Path, action: str) -> None:
    rule = {"type": "number", "min": 50, "max": 250, "on_range": action}
    context = run(tmp_path, ["50", "999", "60"], {"x": rule})
    values, flags = ACTIONS[action]
    assert column(context, "x") == values
    assert not flags or column(context, "flags") == flags
    assert len(log(context)) == 1
    if action == "remove_row":
        row = Dataset.open(context.output("removed")).table("all").to_pylist()[0]
        assert (row["reason"], row["detail"]) == ("out of range", "x: 999 is not between 50 and 250")
        assert json.loads(row["row"]) == {"row_id": "r1", "label": "a", "x": "999", "n": 1.0}


def test_clipping_a_whole_number_stays_whole_and_inside() -> None:
    rule = Rule(kind="integer", low=1.5, high=8.5, on_range="clip")
    assert [judge(rule, text)[0] for text in ("0", "9", "5")] == [2, 8, 5]


def test_categories_take_synonyms_case_and_width(tmp_path: Path) -> None:
    rule = {"categories": ["男", "F"], "synonyms": {"male": "男", "女": "F"}, "on_category": "keep_and_flag"}
    context = run(tmp_path, ["男", "Ｍale ", "f", "女", "robot", "无"], {"x": rule})
    assert column(context, "x") == ["男", "男", "F", "F", None, None]
    assert column(context, "flags") == ["", "", "", "", "x: unknown category", ""]
    assert [entry[2] for entry in log(context)] == [
        "synonym", "synonym", "synonym", "unknown category", "flagged", "missing marker"
    ]  # fmt: skip


def test_999_is_missing_only_if_named(tmp_path: Path) -> None:
    rule = {"type": "number"}
    assert column(run(tmp_path / "a", ["999", "-"], {"x": rule}), "x") == [999, None]
    assert column(run(tmp_path / "b", ["999.0", "-"], {"x": {**rule, "missing": ["999"]}}), "x") == [None, None]
    context = run(tmp_path / "c", ["a"] * 3, {"n": {"missing": ["999"]}}, n=[999.0, float("nan"), 5.0])
    assert column(context, "n") == [None, None, 5]
    assert column(run(tmp_path / "d", ["-", "1"], {"x": {"markers": False}}), "x") == ["-", "1"]


def test_no_is_an_answer_and_not_missing(tmp_path: Path) -> None:
    context = run(tmp_path, ["有", "无", "-", "TRUE", "1"], {"x": {"type": "boolean"}})
    assert column(context, "x") == [True, False, None, True, True]


def test_dates_become_dates_and_the_first_rule_that_removes_wins(tmp_path: Path) -> None:
    rules = {"x": {"type": "date", "on_type": "remove_row"}, "label": {"synonyms": {"A": "b"}}}
    context = run(tmp_path, ["2024年1月2日", "soon"], rules)
    assert column(context, "x") == [datetime.date(2024, 1, 2)]
    assert column(context, "label") == ["b"]
    assert [entry[:3] for entry in log(context)] == [
        ("r0", "changed", "type repaired"), ("r0", "changed", "synonym"), ("r1", "removed", "wrong type")
    ]  # fmt: skip


def test_rules_that_cannot_apply_are_refused(tmp_path: Path) -> None:
    for number, (rules, message) in enumerate(
        [
            ({"y": {"type": "number"}}, "no column `y`"),
            ({"row_id": {"type": "number"}}, "no column `row_id`"),
            ({"label": {"type": "number"}}, "has the role `label`"),
            ({"x": {"min": 3}}, "need numbers"),
            ({"n": {"categories": ["1"]}}, "categories are text"),
            ({"x": {"type": "integer", "on_type": "remove_row"}}, "no row is left"),
        ]
    ):
        with pytest.raises(InputError, match=message):
            run(tmp_path / str(number), ["a"], rules)
    for rule in ({"min": 2, "max": 1}, {"assume": "cm"}, {"unit": "kg", "type": "date"}):
        with pytest.raises(ValidationError):
            clean_table.Config(columns={"x": rule})
    with pytest.raises(ValidationError, match="synonyms"):
        clean_table.Config(columns={"x": {"categories": ["a"], "synonyms": {"b": "c"}}})


def test_what_was_changed_can_be_restored_where_the_type_allows(tmp_path: Path) -> None:
    rules = {"x": {"synonyms": {"M": "male"}}, "n": {"min": 0, "max": 10, "on_range": "clip"}}
    context = run(tmp_path, ["M", "female"], rules, n=[50.0, 3.0])
    back = FakeContext(tmp_path / "back", {"data": context.output("data"), "removed": [context.output("removed")]})
    restore.run(restore.Config(reason=["synonym", "clipped"]), back)
    assert (column(back, "x"), column(back, "n")) == (["M", "female"], [50.0, 3.0])


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["1.2万", "12%", "3斤", "是", "2024年1月2日", "NA", "９９９", "(5)", "1,2", "-", "5 ft", "¥", "万", "\u0661"]
)


@settings(max_examples=300, deadline=None)
@given(text=CELL | st.text(max_size=5))
def test_no_cell_makes_a_reader_raise(text: str) -> None:
    folded(text)
    for found in (number_of(text), number_of(text, ","), quantity_of(text, "kg"), quantity_of(text, "C", "F")):
        assert found is None or isinstance(found, float)
    assert boolean_of(text) in (True, False, None)
    for order in ("ymd", "dmy", "mdy"):
        moment_of(text, order)


RULE = st.sampled_from(
    [
        {"type": "number", "min": 0, "max": 100, "on_range": "clip"},
        {"type": "integer", "on_type": "remove_row"},
        {"type": "boolean", "on_missing": "remove_row"},
        {"type": "date"},
        {"type": "datetime", "on_type": "keep_and_flag"},
        {"unit": "kg", "max": 200, "on_range": "remove_row"},
        {"categories": ["是", "a"], "synonyms": {"1": "a"}, "on_category": "keep_and_flag"},
    ]
)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(CELL | st.none(), max_size=12), rule=RULE)
def test_rows_in_are_rows_kept_and_removed_and_cleaning_again_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None], rule: dict[str, Any]
) -> None:
    root = tmp_path_factory.mktemp("table")
    first = run(root / "once", [*values, None], {"x": rule})
    gone = [entry for entry in log(first) if entry[1] == "removed"]
    assert len(column(first, "x")) + len(gone) == len(values) + 1
    again = FakeContext(root / "twice", {"data": first.output("data")})
    clean_table.run(clean_table.Config(columns={"x": rule}), again)
    assert column(again, "x") == column(first, "x")
    assert log(again) == []
