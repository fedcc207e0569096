"""Rows that arrive in pages: nothing lost, nothing twice, typed columns, one data set however the pages were cut."""

from __future__ import annotations

import datetime
import decimal
import json
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.arrival import Arrival, arriving, hand_over
from modelyard.methods.data.cells import as_text, cell, column, flat, kind_of, type_of
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.settings import ColumnRoles

D = decimal.Decimal


def typed(values):
    cells = [cell(value) for value in values]
    kind = type_of(kind for kind in map(kind_of, cells) if kind)
    return kind, column(cells, kind).to_pylist()


DAY = datetime.datetime.fromisoformat("2024-05-06T00:00:00")
UTC8 = datetime.timezone(datetime.timedelta(hours=8))


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, None, 3], pa.int64(), [1, None, 3]),
        ([True, False], pa.bool_(), [True, False]),
        ([1, 2.5], pa.float64(), [1.0, 2.5]),
        ([D("12.30"), 1, None], pa.float64(), [12.3, 1.0, None]),
        ([D("0.1234567890123456789")], pa.string(), ["0.1234567890123456789"]),
        ([2**53 + 1, 0.5], pa.string(), ["9007199254740993", "0.5"]),
        ([2**63], pa.string(), ["9223372036854775808"]),
        ([2**62], pa.int64(), [2**62]),
        ([1, "1"], pa.string(), ["1", "1"]),
        ([True, 1], pa.string(), ["true", "1"]),
        ([None, None], pa.string(), [None, None]),
        ([datetime.date(2024, 5, 6)], pa.timestamp("us"), [DAY]),
        ([datetime.datetime(2024, 5, 6, 8, tzinfo=UTC8)], pa.timestamp("us"), [DAY]),
        ([b"\x00\xff", memoryview(b"a")], pa.binary(), [b"\x00\xff", b"a"]),
        ([uuid.UUID(int=1)], pa.string(), ["00000000-0000-0000-0000-000000000001"]),
        ([datetime.timedelta(hours=1), datetime.time(7, 8)], pa.string(), ["1:00:00", "07:08:00"]),
        ([["a", D("1.5")], ("b",)], pa.string(), ['["a", "1.5"]', '["b"]']),
        ([D("NaN"), 1.0], pa.float64(), [pytest.approx(float("nan"), nan_ok=True), 1.0]),
    ],
)
def test_values_keep_their_type_or_become_their_text(values, kind, kept):
    assert typed(values) == (kind, kept)


def test_objects_are_taken_apart_and_lists_are_not():
    row = {"id": 1, "user": {"name": "Ann", "at": {"city": "Ulm"}}, "tags": ["a", {"b": 1}], "empty": {}}
    assert flat(row) == {"id": 1, "user.name": "Ann", "user.at.city": "Ulm", "tags": '["a", {"b": 1}]', "empty": "{}"}


def test_an_object_that_a_role_names_stays_whole():
    assert flat({"shares": {"spam": 0.7}}, {"shares"}) == {"shares": '{"spam": 0.7}'}


@pytest.mark.parametrize("row", [{"a": {"b": 1}, "a.b": 2}, {"a.b": 2, "a": {"b": 1}}])
def test_no_value_is_lost_when_two_names_meet(row):
    assert flat(row) == {"a.b": 2, "a": '{"b": 1}'}


def test_objects_without_end_become_text():
    deep = {"x": 1}
    for _ in range(50):
        deep = {"x": deep}
    (name, value), *rest = flat(deep).items()
    assert not rest
    assert json.loads(value)
    assert name.count(".") < 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=4), JSON, max_size=4), min_size=1, max_size=6))
def test_any_json_arrives(tmp_path_factory, rows):
    arrival = Arrival(tmp_path_factory.mktemp("rows"), "api")
    arrival.add(rows, None, done=True)
    if arrival.state.kinds:
        assert pq.ParquetFile(arrival.source().path).metadata.num_rows == len(rows)


def test_a_string_no_utf8_can_hold_marks_its_row_as_bad(tmp_path):
    context = FakeContext(tmp_path)
    config = ColumnRoles(text="text", max_bad_fraction=0.5)
    arrival = arriving(config, context, "api")
    arrival.add([{"text": "a\ud800"}, {"text": "fine"}, {"text": "nul\0"}, {"text": "good"}], None, done=True)
    hand_over(arrival, config, context)
    rejected = Dataset.open(tmp_path / "outputs" / "rejected").table("all").to_pylist()
    assert [row["reason"].split(":")[0] for row in rejected] == ["bytes that do not decode", "NUL byte"]
    assert context.value("data.rejected_rate") == 0.5
    assert Dataset.open(tmp_path / "outputs" / "data").column("all", "text") == ["fine", "good"]


def rows_of(n, start=0):
    return [{"id": i, "text": f"row {i}", "score": i / 2} for i in range(start, start + n)]


def test_the_cut_into_pages_does_not_show(tmp_path):
    one, many = Arrival(tmp_path / "one", "x"), Arrival(tmp_path / "many", "x")
    one.add(rows_of(10), None, done=True)
    for start in range(0, 10, 3):
        many.add(rows_of(min(3, 10 - start), start), start)
    many.add([], None, done=True)
    first, second = one.source(), many.source()
    assert first.digest == second.digest
    assert first.path.read_bytes() == second.path.read_bytes()


def test_an_arrival_goes_on_where_the_last_process_left_it(tmp_path):
    before = Arrival(tmp_path, "x")
    before.add(rows_of(3), {"after": 2})
    (tmp_path / "000001.jsonl").write_text("a page that was written but not counted")
    after = Arrival(tmp_path, "x")
    assert (after.cursor, after.num_rows, after.done) == ({"after": 2}, 3, False)
    after.add(rows_of(2, 3), {"after": 4}, done=True)
    assert pq.read_table(after.source().path).to_pylist() == rows_of(5)
    assert Arrival(tmp_path, "x").done


def test_rows_are_gathered_in_bounded_pages(tmp_path, monkeypatch):
    monkeypatch.setattr("modelyard.methods.data.arrival.PAGE_ROWS", 4)
    arrival, told = Arrival(tmp_path, "x"), []
    more = arrival.gather(((row, row["id"]) for row in rows_of(10)), None, told.append)
    assert (more, told, arrival.cursor, arrival.done) == (False, [4, 8, 10], 9, True)
    assert arrival.state.num_pages == 3


def test_pages_of_long_texts_are_short(tmp_path, monkeypatch):
    monkeypatch.setattr("modelyard.methods.data.arrival.PAGE_BYTES", 1_000)
    arrival = Arrival(tmp_path, "x")
    arrival.gather((({"text": "x" * 400}, i) for i in range(9)), None, lambda _: None)
    assert (arrival.state.num_pages, arrival.num_rows) == (3, 9)


@pytest.mark.parametrize(("most", "more"), [(9, True), (10, False), (11, False)])
def test_max_rows_stops_and_says_whether_there_was_more(tmp_path, most, more):
    arrival = Arrival(tmp_path, "x")
    assert arrival.gather(((row, row["id"]) for row in rows_of(10)), most, lambda _: None) is more
    assert arrival.num_rows == min(most, 10)


def test_nothing_is_no_data_set(tmp_path):
    arrival = Arrival(tmp_path, "orders")
    arrival.add([], None, done=True)
    with pytest.raises(InputError, match="orders: not one row"):
        arrival.source()


def test_objects_used_as_maps_do_not_become_columns_without_end(tmp_path):
    arrival = Arrival(tmp_path, "x")
    with pytest.raises(InputError, match="2,000 columns"):
        arrival.add([{"by_id": {str(i): i for i in range(2001)}}], None)


def test_only_what_is_kept_becomes_a_column(tmp_path):
    context = FakeContext(tmp_path)
    config = ColumnRoles(text="text", keep=["user"])
    arrival = arriving(config, context, "api")
    arrival.add([{"text": "a", "user": {"id": 1}, "by_id": {str(i): i for i in range(2001)}}], None, done=True)
    hand_over(arrival, config, context)
    data = Dataset.open(tmp_path / "outputs" / "data")
    assert [column.name for column in data.columns] == ["row_id", "text", "user"]
    assert data.column("all", "user") == ['{"id": 1}']


def test_a_column_called_row_id_gets_another_name(tmp_path):
    context, config = FakeContext(tmp_path), ColumnRoles(text="text")
    arrival = arriving(config, context, "api")
    arrival.add([{"row_id": 7, "text": "a", "mixed": 1}, {"row_id": 8, "text": "b", "mixed": "x"}], None, done=True)
    hand_over(arrival, config, context)
    data = Dataset.open(tmp_path / "outputs" / "data")
    assert data.column("all", "source_row_id") == [7, 8]
    assert any("source_row_id" in line for line in context.said)
    assert any("mixed" in line for line in context.said)


def test_what_cannot_be_used_is_forgotten_so_that_a_mended_source_is_met(tmp_path):
    context, config = FakeContext(tmp_path), ColumnRoles(text="text")
    arrival = arriving(config, context, "api")
    arrival.add([{"text": None}], None, done=True)
    with pytest.raises(InputError):
        hand_over(arrival, config, context)
    assert arriving(config, context, "api").cursor is None
    assert not arriving(config, context, "api").done


def test_a_cell_as_text():
    assert [as_text(cell(value)) for value in (True, 1, 0.1, D("1.10"), b"a", "x")] == [
        "true", "1", "0.1", "1.10", "YQ==", "x",
    ]  # fmt: skip
