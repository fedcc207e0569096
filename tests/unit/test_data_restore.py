"""data.restore: what clean and filter took out comes back as it was; what cannot is told row by row."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.small_data import make

from modelyard.errors import InputError
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.restoring import ADDED, AGAIN, HIDDEN, LATER, MISFIT, TAKEN, THERE, UNKNOWN
from modelyard.methods.data.roles import schema_of
from modelyard.stages.data import clean, clean_table, concatenate, restore
from modelyard.stages.data import filter as filter_stage

COLUMNS = [
    Column("row_id", "other", "string"),
    Column("text", "text", "string"),
    Column("n", "other", "int64"),
    Column("at", "time", "timestamp[us]"),
    Column("image", "image", "binary"),
]
MOMENT = datetime.datetime(2024, 1, 2, 3, 4, 5)  # noqa: DTZ001


def dataset(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    write_schema(folder, COLUMNS)
    write_split(folder, "all", [pa.Table.from_pylist(rows, schema_of(COLUMNS))], schema_of(COLUMNS))
    return folder


def row(row_id: str, text: str | None, n: int | None = 1) -> dict[str, Any]:
    return {"row_id": row_id, "text": text, "n": n, "at": MOMENT, "image": b"\x89\x00"}


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return Dataset.open(folder).table("all").to_pylist()


def run(root: Path, data: Path, logs: list[Path], **config: Any) -> FakeContext:
    context = FakeContext(root, {"data": data, "removed": logs})
    restore.run(restore.Config(**config), context)
    return context


def left(context: FakeContext) -> list[tuple[str, str]]:
    return [(entry["row_id"], entry["why"]) for entry in rows_of(context.output("left"))]


ORIGINAL = [
    row("a", "schÃ¶n  hier"), row("b", "short"), row("c", "schön hier"), row("d", ""), row("e", "x"),
    row("f", None, None), row("g", "a text that stays")
]  # fmt: skip


def cleaned(root: Path) -> tuple[Path, list[Path]]:
    """The data after cleaning and filtering, and both logs."""
    first = FakeContext(root / "clean", {"data": dataset(root / "in", ORIGINAL)})
    clean.run(clean.Config(), first)
    second = FakeContext(root / "filter", {"data": first.output("data")})
    filter_stage.run(filter_stage.Config(preset="none", min_characters=8), second)
    return second.output("data"), [first.output("removed"), second.output("removed")]


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    data, logs = cleaned(tmp_path)
    assert [entry["row_id"] for entry in rows_of(data)] == ["a", "g"]
    reasons = ["empty", "repeat", "repaired", "min_characters"]
    context = run(tmp_path / "restore", data, logs, reason=reasons)
    assert sorted(rows_of(context.output("data")), key=lambda entry: str(entry["row_id"])) == ORIGINAL
    assert left(context) == []
    assert any(line.startswith("2 rows in = 2 kept + 0 removed; 1 of the kept") for line in context.said)


def test_one_row_or_one_reason_comes_back_alone(tmp_path: Path) -> None:
    data, logs = cleaned(tmp_path)
    one = run(tmp_path / "one", data, logs, rows=["b"])
    assert [entry["row_id"] for entry in rows_of(one.output("data"))] == ["a", "g", "b"]
    reason = run(tmp_path / "reason", data, logs, reason="repeat")
    assert [entry["row_id"] for entry in rows_of(reason.output("data"))] == ["a", "g", "c"]
    assert rows_of(reason.output("data"))[0]["text"] == "schön hier"
    both = run(tmp_path / "both", data, logs, reason="repeat", rows=["b", "c"])
    assert [entry["row_id"] for entry in rows_of(both.output("data"))] == ["a", "g", "c"]


def test_row_ids_come_from_a_file_that_enters_the_key(tmp_path: Path) -> None:
    data, logs = cleaned(tmp_path)
    (tmp_path / "restore").mkdir()
    (tmp_path / "restore" / "ids.txt").write_text("\ufeffb\n\n c \nnobody\n", encoding="utf-8")
    context = run(tmp_path / "restore", data, logs, path="ids.txt")
    assert [entry["row_id"] for entry in rows_of(context.output("data"))] == ["a", "g", "c", "b"]
    assert left(context) == [("nobody", UNKNOWN)]
    config = restore.Config(path="ids.txt")
    before = restore.fingerprint(config, tmp_path / "restore")
    (tmp_path / "restore" / "ids.txt").write_text("b\n", encoding="utf-8")
    assert restore.fingerprint(config, tmp_path / "restore") != before


def test_what_cannot_come_back_is_told_for_each_row(tmp_path: Path) -> None:
    data = dataset(tmp_path / "in", [row("a", "now"), row("b", "x"), row("c", "***"), row("h", "x", 5)])
    logs = []
    for number in range(2):
        (tmp_path / f"log{number}").mkdir()
        logs.append(tmp_path / f"log{number}")
    with ChangeLog(logs[0]) as log:
        log.changed("a", "r", "text", "first", "second")
        log.removed("b", "r", "", row("b", "x"))
        log.changed("c", "r", "text", None, None)
        log.removed("d", "r", "", None)
        log.added("e", "r", "a copy")
        log.removed("f", "r", "", {"row_id": "f", "n": "many"})
        log.removed("g", "r", "", row("g", "older"))
        log.changed("h", "r", "n", "seven", "5")
    with ChangeLog(logs[1]) as log:
        log.removed("g", "r", "", row("g", "newer"))
    context = run(tmp_path / "restore", data, logs, reason="r")
    assert sorted(left(context)) == sorted(
        [("a", LATER), ("b", THERE), ("c", HIDDEN), ("d", HIDDEN), ("e", ADDED), ("g", AGAIN), ("h", MISFIT)]
    )  # fmt: skip
    assert [(entry["row_id"], entry["text"]) for entry in rows_of(context.output("data"))][-1] == ("g", "newer")
    assert len(rows_of(context.output("data"))) == 6
    back = next(entry for entry in rows_of(context.output("data")) if entry["row_id"] == "f")
    assert back["n"] is None
    told = [entry for entry in rows_of(context.output("removed")) if entry["row_id"] == "f"]
    assert [(entry["action"], entry["column"], entry["before"], entry["after"]) for entry in told] == [
        ("added", None, None, None), ("changed", "n", "many", None)
    ]  # fmt: skip
    assert "without a value for n" in told[0]["detail"]


def test_rows_that_a_type_took_out_come_back_without_the_value_that_is_not_of_it(tmp_path: Path) -> None:
    columns: dict[str, tuple[str, str, list[Any]]] = {
        "price": ("feature", "string", ["1", "abc", "2.5"]),
        "day": ("feature", "string", ["2024-01-02", "2024-01-03", "someday"]),
    }
    cleaned = FakeContext(tmp_path / "clean", {"data": make(tmp_path / "in", columns).path})
    rules = {"price": {"type": "number", "on_type": "remove_row"}, "day": {"type": "date", "on_type": "remove_row"}}
    clean_table.run(clean_table.Config.model_validate({"columns": rules}), cleaned)
    context = run(tmp_path / "out", cleaned.output("data"), [cleaned.output("removed")], reason="wrong type")
    assert rows_of(context.output("data")) == [
        {"row_id": "r0", "price": 1.0, "day": datetime.date(2024, 1, 2)},
        {"row_id": "r1", "price": None, "day": datetime.date(2024, 1, 3)},
        {"row_id": "r2", "price": 2.5, "day": None},
    ]
    assert left(context) == []
    told = [(entry["row_id"], entry["column"], entry["before"]) for entry in rows_of(context.output("removed"))]
    assert [item for item in told if item[1]] == [("r1", "price", "abc"), ("r2", "day", "someday")]


def test_no_row_id_is_made_that_another_row_has(tmp_path: Path) -> None:
    sets = [dataset(tmp_path / name, [row("a", name), row(f"only {name}", name)]) for name in ("one", "two", "three")]
    whole = FakeContext(tmp_path / "whole", {"data": sets})
    concatenate.run(concatenate.Config(), whole)
    context = run(tmp_path / "out", whole.output("data"), [whole.output("removed")], reason="row id taken")
    assert rows_of(context.output("data")) == rows_of(whole.output("data"))
    assert left(context) == [("2.a", TAKEN), ("3.a", TAKEN)]
    first = [entry for entry in rows_of(whole.output("data")) if entry["row_id"] != "a"]
    once = run(tmp_path / "b", dataset(tmp_path / "less", first), [whole.output("removed")], reason="row id taken")
    assert [entry["row_id"] for entry in rows_of(once.output("data"))] == [
        "only one", "a", "only two", "3.a", "only three"
    ]  # fmt: skip
    assert left(once) == [("3.a", TAKEN)]


def test_changes_of_one_column_are_undone_the_last_first(tmp_path: Path) -> None:
    data = dataset(tmp_path / "in", [row("a", "third", 3)])
    (tmp_path / "log").mkdir()
    with ChangeLog(tmp_path / "log") as log:
        log.changed("a", "r", "text", "first", "second")
        log.changed("a", "r", "text", "second", "third")
        log.changed("a", "r", "n", "2", "3")
    context = run(tmp_path / "restore", data, [tmp_path / "log"], reason="r")
    found = rows_of(context.output("data"))[0]
    assert (found["text"], found["n"]) == ("first", 2)
    assert context.value("data.changed_rate") == 1.0


def test_settings_and_inputs_that_name_nothing_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="name what to bring back"):
        restore.Config()
    data = dataset(tmp_path / "in", [row("a", "x")])
    with pytest.raises(InputError, match="no log of a step"):
        run(tmp_path / "a", data, [], reason="r")
    with pytest.raises(InputError, match="no log of a step"):
        run(tmp_path / "b", data, [data], reason="r")
    with pytest.raises(InputError, match="cannot be read"):
        run(tmp_path / "c", data, cleaned(tmp_path / "d")[1], path="nowhere.txt", reason="r")


TEXT = st.sampled_from(["", " ", "a", "A ", "a\u200b", "b", "Ã©", "long enough", "long  enough"])


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(TEXT, min_size=1, max_size=15))
def test_restoring_all_of_clean_gives_the_rows_that_came_in(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    root = tmp_path_factory.mktemp("restore")
    original = [row(f"r{n}", text, n) for n, text in enumerate(["one that stays", *texts])]
    context = FakeContext(root / "clean", {"data": dataset(root / "in", original)})
    clean.run(clean.Config(), context)
    reasons = ["empty", "repeat", "conflict", "repaired"]
    restored = run(root / "out", context.output("data"), [context.output("removed")], reason=reasons)
    assert sorted(rows_of(restored.output("data")), key=lambda entry: int(entry["n"])) == original
    assert left(restored) == []
