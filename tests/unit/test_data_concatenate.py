"""data.concatenate: no row is lost, ids stay apart, conflicts are named, overlap is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.concatenating import unite, wider
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.stages.data import concatenate

TEXT, LABEL = Column("text", "text", "string"), Column("label", "label", "string")


def made(folder: Path, columns: list[Column], rows: list[tuple[Any, ...]], prefix: str = "a") -> Path:
    folder.mkdir()
    every = [Column("row_id", "other", "string"), *columns]
    write_schema(folder, every)
    values = [(f"{prefix}-{number}", *row) for number, row in enumerate(rows, start=1)]
    names = [column.name for column in every]
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in values], schema_of(every))
    write_split(folder, "all", [table], schema_of(every))
    return folder


def run(base: Path, *folders: Path, **config: Any) -> tuple[list[dict[str, Any]], FakeContext]:
    context = FakeContext(base / f"out{len(list(base.glob('out*')))}", {"data": list(folders)})
    concatenate.run(concatenate.Config(**config), context)
    return Dataset.open(context.output("data")).table("all").to_pylist(), context


def test_rows_follow_one_another_and_keep_their_ids(tmp_path: Path) -> None:
    first = made(tmp_path / "1", [TEXT, LABEL], [("a", "x"), ("b", "y")])
    second = made(tmp_path / "2", [LABEL, TEXT], [("x", "c")], "b")
    rows, context = run(tmp_path, first, second)
    assert [(row["row_id"], row["text"], row["label"]) for row in rows] == [
        ("a-1", "a", "x"),
        ("a-2", "b", "y"),
        ("b-1", "c", "x"),
    ]
    assert (context.value("data.rows"), context.value("data.changed_rate")) == (3, 0)


def test_an_id_that_two_sets_share_gets_the_position_and_this_is_said_and_kept(tmp_path: Path) -> None:
    first = made(tmp_path / "1", [TEXT], [("a",), ("b",)])
    second = made(tmp_path / "2", [TEXT], [("c",)])
    third = made(tmp_path / "3", [TEXT], [("d",), ("e",), ("f",)])
    rows, context = run(tmp_path, first, second, third)
    assert [row["row_id"] for row in rows] == ["a-1", "a-2", "2.a-1", "3.a-1", "3.a-2", "a-3"]
    changes = Dataset.open(context.output("removed")).table("all").to_pylist()
    assert [(row["row_id"], row["reason"], row["before"]) for row in changes] == [
        ("2.a-1", "row id taken", "a-1"),
        ("3.a-1", "row id taken", "a-1"),
        ("3.a-2", "row id taken", "a-2"),
    ]
    assert any("row id taken 3" in line for line in context.said)
    assert context.value("data.changed_rate") == pytest.approx(3 / 6)


def test_an_id_that_is_made_is_unique_too(tmp_path: Path) -> None:
    folders = [
        made(tmp_path / str(n), [TEXT], [("x",)], prefix) for n, prefix in enumerate(("a", "3.a", "a", "a", "4.a"))
    ]
    rows, _ = run(tmp_path, *folders)
    assert [row["row_id"] for row in rows] == ["a-1", "3.a-1", "3.3.a-1", "4.4.a-1", "4.a-1"]


def test_a_role_is_one_column_whatever_it_is_called(tmp_path: Path) -> None:
    first = made(tmp_path / "1", [Column("review", "text", "string"), LABEL], [("a", "x")])
    second = made(
        tmp_path / "2", [Column("body", "text", "string"), Column("class", "label", "string")], [("b", "y")], "b"
    )
    rows, context = run(tmp_path, first, second, source="origin", names=["reviews", "mails"])
    assert [(row["review"], row["label"], row["origin"]) for row in rows] == [
        ("a", "x", "reviews"),
        ("b", "y", "mails"),
    ]
    assert any("body → review, class → label" in line for line in context.said)
    columns = {column.name: column.role for column in Dataset.open(context.output("data")).columns}
    assert columns == {"row_id": "other", "review": "text", "label": "label", "origin": "other"}


def test_numbers_are_widened_and_missing_features_are_empty(tmp_path: Path) -> None:
    first = made(tmp_path / "1", [TEXT, Column("age", "feature", "int32")], [("a", 1)])
    second = made(tmp_path / "2", [TEXT, Column("age", "feature", "int64"), Column("more", "feature", "string")],
                  [("b", 2**40, "m")], "b")  # fmt: skip
    rows, context = run(tmp_path, first, second)
    assert [(row["age"], row["more"]) for row in rows] == [(1, None), (2**40, "m")]
    assert any("empty, since the set lacks them: more" in line for line in context.said)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ([Column("text", "feature", "string"), LABEL], "`text` is feature"),
        ([TEXT, LABEL, Column("age", "feature", "string")], "`age` is string"),
        ([TEXT], r"no column for label \(`label`\)"),
        ([Column("body", "text", "string"), LABEL, Column("text", "feature", "string")], "its text is `body`"),
    ],
)
def test_conflicts_are_named(tmp_path: Path, second: list[Column], message: str) -> None:
    first = made(tmp_path / "1", [TEXT, LABEL, Column("age", "feature", "int64")], [("a", "x", 1)])
    other = made(tmp_path / "2", second, [], "b")
    with pytest.raises(InputError, match=message):
        run(tmp_path, first, other)


def test_a_set_without_labels_may_be_let_in(tmp_path: Path) -> None:
    first = made(tmp_path / "1", [TEXT, LABEL], [("a", "x")])
    second = made(tmp_path / "2", [TEXT], [("b",)], "b")
    rows, _ = run(tmp_path, first, second, missing="fill")
    assert [row["label"] for row in rows] == ["x", None]


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("int8", "int64", "int64"),
        ("float", "double", "double"),
        ("int32", "float", "double"),
        ("int64", "double", None),
        ("string", "int64", None),
        ("string", "string", "string"),
        ("timestamp[us]", "string", None),
    ],
)
def test_types_are_widened_only_without_loss(first: str, second: str, both: str | None) -> None:
    assert wider(first, second) == wider(second, first) == both


def test_overlap_is_measured_by_text_as_cleaning_compares_it_and_by_source(tmp_path: Path) -> None:
    first = made(tmp_path / "1", [TEXT], [("The same.",), ("only here",), ("the  SAME.",)])
    second = made(tmp_path / "2", [TEXT], [("the same.",), ("elsewhere",)], "b")
    _, context = run(tmp_path, first, second)
    found = {
        item.slice.get("source"): (item.value, item.n)
        for item in context.measurements
        if item.claim == "data.overlap_rate"
    }
    assert found == {"1": (pytest.approx(2 / 3), 3), "2": (0.5, 2), None: (pytest.approx(3 / 5), 5)}


def test_overlap_of_images_is_by_their_bytes(tmp_path: Path) -> None:
    image = [Column("image", "image", "binary")]
    first = made(tmp_path / "1", image, [(b"1",), (b"2",)])
    second = made(tmp_path / "2", image, [(b"2",)], "b")
    _, context = run(tmp_path, first, second)
    assert context.value("data.overlap_rate") == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("config", "num", "message"),
    [({}, 1, "at least two"), ({}, 0, "at least two"), ({"names": ["a", "a"]}, 2, "all different"),
     ({"names": ["a", "b", "c"]}, 2, "3 names for 2"), ({"source": "text"}, 2, "there already")],
)  # fmt: skip
def test_settings_that_do_not_fit_are_refused(tmp_path: Path, config: Any, num: int, message: str) -> None:
    folders = [made(tmp_path / str(number), [TEXT], [("a",)]) for number in range(num)]
    with pytest.raises(InputError, match=message):
        run(tmp_path, *folders, **config)


def test_every_problem_is_told_at_once() -> None:
    sets = [[TEXT, LABEL], [Column("text", "feature", "string")], [Column("label", "label", "int64")]]
    with pytest.raises(InputError) as caught:
        unite(sets, ["1", "2", "3"], may_lack=False)
    assert len(caught.value.problems) == 4


def test_the_sets_are_bound_by_name_in_a_project(tmp_path: Path) -> None:
    import modelyard

    for name in ("one", "two"):
        (tmp_path / f"{name}.csv").write_text(f"text,label\n{name},x\nboth,y\n")
    reads = "".join(
        f"  {name}: {{uses: data.read, with: {{path: {name}.csv, text: text, label: label}}}}\n"
        for name in ("one", "two")
    )
    path = tmp_path / "modelyard.yaml"
    path.write_text(
        f"version: 1\nproject: p\nsteps:\n{reads}  all: {{uses: data.concatenate, in: {{data: [one, two]}}}}\n"
        "  clean: {uses: data.clean}\n"
    )
    modelyard.run(path)
    assert modelyard.evidence("all", claim="data.rows", project=tmp_path)[0]["value"] == 4
    rates = {
        tuple(item["slice"].items()): item["value"]
        for item in modelyard.evidence("all", claim="data.overlap_rate", project=tmp_path)
    }
    assert rates[()] == 0.5
