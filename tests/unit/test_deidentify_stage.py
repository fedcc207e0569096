"""data.deidentify: nothing personal is left, not in rows, records, notes or errors; places are kept; twice is once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from support.fake_context import FakeContext

from modelyard.core.project import SecretName
from modelyard.errors import InputError
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.stages.data import deidentify

KEY = "c19e7d5b2f0468ac13579bdf02468ace13579bdf2468ace0f1e28f3a8f3a8f3a"
VALUES = ("王小明", "13800138000", "wang@mail.example.org", "11010519491231002X", "John Smith", "4111111111111111")
ROWS = [
    ("联系人：王小明，电话13800138000", "好评", "备注 wang@mail.example.org"),
    ("身份证11010519491231002X已核验", "差评", None),
    ("My name is John Smith, card 4111111111111111", "好评", "nothing"),
    ("很好吃", "好评", "再打13800138000"),
    (None, "差评", ""),
]


def photo(personal: bool = True) -> bytes:
    stream = io.BytesIO()
    made = Image.Exif()
    made[0x013B] = "Jane Roe"
    Image.new("RGB", (8, 8), "red").save(stream, "JPEG", **({"exif": made} if personal else {}))
    return stream.getvalue()


def dataset(folder: Path, rows: list[tuple[Any, ...]] = ROWS, images: list[bytes | None] | None = None) -> Path:
    named = (("row_id", "other"), ("text", "text"), ("label", "label"), ("note", "other"))
    columns = [Column(name, role, "string") for name, role in named]
    values: list[list[Any]] = [
        [f"r{place}" for place in range(len(rows))],
        *(list(one) for one in zip(*rows, strict=True)),
    ]
    if images is not None:
        columns.append(Column("photo", "image", "binary"))
        values.append(images)
    folder.mkdir(parents=True)
    write_schema(folder, columns)
    schema = schema_of(columns)
    arrays = [pa.array(value, field.type) for value, field in zip(values, schema, strict=True)]
    write_split(folder, "all", [pa.table(arrays, schema=schema)], schema)
    return folder


def run(tmp_path: Path, data: Path, **config: Any) -> FakeContext:
    context = FakeContext(tmp_path, {"data": data}, secrets={"CRM_KEY": KEY})
    deidentify.run(deidentify.Config(**config), context)
    return context


def rows_of(context: FakeContext, port: str) -> list[dict[str, Any]]:
    return Dataset.open(context.output(port)).table("all").to_pylist()


@pytest.mark.parametrize("action", ["label", "mask", "hash", "pseudonym", "token", "remove"])
def test_no_value_is_left_anywhere_and_a_second_pass_finds_nothing(tmp_path: Path, action: str) -> None:
    key = {"key": SecretName("CRM_KEY")} if action in ("hash", "pseudonym", "token") else {}
    context = run(tmp_path / "a", dataset(tmp_path / "in"), action=action, **key)
    everything = repr(rows_of(context, "data")) + repr(rows_of(context, "removed")) + repr(context.said)
    everything += repr(context.measurements)
    assert [value for value in (*VALUES, KEY) if value in everything] == []
    again = run(tmp_path / "b", context.output("data"), action=action, **key)
    assert again.value("data.personal_data_found") == 0
    assert rows_of(again, "data") == rows_of(context, "data")


def test_places_are_kept_in_the_text_as_it_came(tmp_path: Path) -> None:
    context = run(tmp_path / "a", dataset(tmp_path / "in"))
    found = []
    for row in rows_of(context, "removed"):
        assert (row["action"], row["before"], row["after"], row["row"]) == ("changed", None, None, None)
        start, end = map(int, row["detail"].split(":"))
        source = ROWS[int(row["row_id"][1:])][0 if row["column"] == "text" else 2]
        found.append((row["reason"], source[start:end]))
    values = dict(
        zip(VALUES, ("person_name", "phone", "email", "resident_id", "person_name", "bank_card"), strict=True)
    )
    assert sorted(found) == sorted([(kind, value) for value, kind in values.items()] + [("phone", VALUES[1])])


def test_the_account_and_the_claims_agree_with_the_rows(tmp_path: Path) -> None:
    context = run(tmp_path / "a", dataset(tmp_path / "in"))
    assert [row["row_id"] for row in rows_of(context, "data")] == ["r0", "r1", "r2", "r3", "r4"]
    assert context.value("data.personal_data_found_rate") == pytest.approx(4 / 5)
    assert context.value("data.changed_rate") == pytest.approx(4 / 5)
    assert context.value("data.personal_data_left") == 0
    by_type = {item.slice["type"]: item.value for item in context.measurements if "type" in item.slice}
    assert by_type == {"phone": 2, "email": 1, "person_name": 2, "resident_id": 1, "bank_card": 1}
    assert context.value("data.personal_data_found") == 7


def test_columns_that_are_not_scanned_are_said_and_named_ones_are(tmp_path: Path) -> None:
    context = run(tmp_path / "a", dataset(tmp_path / "in"), columns=["note"])
    assert any("text" in line and "label" in line for line in context.said)
    assert rows_of(context, "data")[0]["text"] == ROWS[0][0]
    assert rows_of(context, "data")[0]["note"] == "备注 [EMAIL]"
    with pytest.raises(InputError, match="nothere"):
        run(tmp_path / "b", dataset(tmp_path / "in2"), columns=["nothere"])


def test_types_scores_and_the_allow_list_count(tmp_path: Path) -> None:
    context = run(tmp_path / "a", dataset(tmp_path / "in"), types=["phone", "email"], allow=["138-0013-8000"])
    assert context.value("data.personal_data_found") == 1
    assert "13800138000" in rows_of(context, "data")[0]["text"]


def test_images_lose_what_names_a_person_and_broken_ones_their_row(tmp_path: Path) -> None:
    rows = [("好", "a", None)] * 4
    data = dataset(tmp_path / "in", rows, [photo(), photo(False), photo()[:-20], None])
    context = run(tmp_path / "a", data)
    kept = rows_of(context, "data")
    assert [row["row_id"] for row in kept] == ["r0", "r1", "r3"]
    assert b"Jane Roe" not in kept[0]["photo"]
    assert kept[1]["photo"] == photo(False)
    removed = {row["row_id"]: (row["action"], row["reason"], row["row"]) for row in rows_of(context, "removed")}
    assert removed == {"r0": ("changed", "image metadata", None), "r2": ("removed", "broken image", None)}
    assert context.value("data.removed_rate") == pytest.approx(1 / 4)
    kept = rows_of(run(tmp_path / "b", data, images="keep"), "data")
    assert kept[0]["photo"] == photo()


def test_a_weak_key_stops_the_step_without_showing_it(tmp_path: Path) -> None:
    context = FakeContext(tmp_path, {"data": dataset(tmp_path / "in")}, secrets={"CRM_KEY": "hunter2"})
    with pytest.raises(InputError) as caught:
        deidentify.run(deidentify.Config(action="hash", key=SecretName("CRM_KEY")), context)
    assert "hunter2" not in str(caught.value)


def test_equal_rows_give_equal_bytes_under_one_key_and_others_under_another(tmp_path: Path) -> None:
    data = dataset(tmp_path / "in")

    def parts(name: str, key: str) -> bytes:
        context = FakeContext(tmp_path / name, {"data": data}, secrets={"CRM_KEY": key})
        deidentify.run(deidentify.Config(action="pseudonym", key=SecretName("CRM_KEY")), context)
        return b"".join(path.read_bytes() for path in sorted(context.output("data").rglob("*")) if path.is_file())

    assert parts("a", KEY) == parts("b", KEY) != parts("c", KEY[::-1])
