"""Two versions of a data set: every row is accounted for, as a plain dictionary would."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from support.small_data import make

from modelyard.errors import UsageError
from modelyard.methods.data.dataset import Dataset, write_schema
from modelyard.methods.data.difference import difference, marks


def versions(tmp_path: Path, seed: int) -> tuple[dict[str, Any], dict[str, Any], Dataset, Dataset]:
    generator = random.Random(seed)
    old = {f"r{i}": [f"text {i}", generator.choice("ab"), float(i)] for i in range(500)}
    new = {name: list(row) for name, row in old.items() if generator.random() > 0.1}
    for row in new.values():
        if generator.random() < 0.1:
            row[1] = generator.choice(["a", "b", "c"])
        if generator.random() < 0.05:
            row[0] += "!"
    new |= {f"n{i}": [f"new {i}", "a", None] for i in range(37)}
    order = list(new)
    generator.shuffle(order)
    new = {name: new[name] for name in order}

    def write(name: str, rows: dict[str, Any]) -> Dataset:
        texts, labels, numbers = zip(*rows.values(), strict=True)
        columns = {
            "text": ("text", "string", texts),
            "label": ("label", "string", labels),
            "n": ("other", "double", numbers),
        }
        return make(tmp_path / name, columns, list(rows))

    return old, new, write("old", old), write("new", new)


@pytest.mark.parametrize(("seed", "part_rows"), [(0, 250_000), (1, 60), (2, 7)])
def test_counts_flips_and_examples_are_those_of_a_plain_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, part_rows: int
) -> None:
    monkeypatch.setattr(marks, "PART_ROWS", part_rows)
    old, new, before, after = versions(tmp_path, seed)
    found = difference(before, after, examples=1_000)
    both = old.keys() & new.keys()
    changed = {name for name in both if old[name] != new[name]}
    assert (found.added, found.removed) == (len(new.keys() - old.keys()), len(old.keys() - new.keys()))
    assert (found.changed, found.num_same) == (len(changed), len(both) - len(changed))
    for place, name in enumerate(["text", "label", "n"]):
        num = sum(old[row][place] != new[row][place] for row in both)
        assert found.changed_columns.get(name, 0) == num
    flips = sorted((old[row][1], new[row][1]) for row in both if old[row][1] != new[row][1])
    assert sorted(found.flips.elements()) == flips
    assert {row["row_id"] for row in found.examples["changed"]} == changed
    assert {row["row_id"] for row in found.examples["added"]} == new.keys() - old.keys()
    for row in found.examples["changed"]:
        names = [
            name
            for place, name in enumerate(["text", "label", "n"])
            if old[row["row_id"]][place] != new[row["row_id"]][place]
        ]
        assert sorted(row) == sorted(["row_id", *names])


def test_a_data_set_beside_itself_shows_nothing(tmp_path: Path) -> None:
    _, _, before, _ = versions(tmp_path, 3)
    found = difference(before, before).to_json()
    assert (found["added"], found["removed"], found["changed"], found["num_same"]) == (0, 0, 0, 500)
    assert found["examples"] == {"added": [], "removed": [], "changed": []}


def test_a_change_of_type_is_told_once_and_not_of_every_row(tmp_path: Path) -> None:
    old = make(tmp_path / "a", {"n": ("other", "int64", [1, 2, 3]), "gone": ("other", "string", ["x"] * 3)})
    new = make(tmp_path / "b", {"n": ("feature", "double", [1.0, 2.0, 3.5]), "come": ("other", "string", ["y"] * 3)})
    found = difference(old, new)
    assert found.changed_columns == {"n": 1}
    assert found.columns_retyped == [("n", "other int64", "feature double")]
    assert (found.columns_added, found.columns_removed) == (["come"], ["gone"])


def test_ids_that_repeat_are_counted_and_the_first_is_compared(tmp_path: Path) -> None:
    old = make(tmp_path / "a", {"t": ("text", "string", ["x", "y", "z"])}, ["r", "r", "s"])
    new = make(tmp_path / "b", {"t": ("text", "string", ["x", "z"])}, ["r", "s"])
    found = difference(old, new)
    assert found.repeated == (1, 0)
    assert (found.num_same, found.changed) == (2, 0)


def test_rows_that_moved_between_splits_are_counted_and_test_rows_are_not_shown(tmp_path: Path) -> None:
    for name, train, test in (("a", ["1", "2"], ["3", "4"]), ("b", ["1", "3"], ["2", "5"])):
        for split, ids in (("train", train), ("test", test)):
            data = make(tmp_path / name, {"t": ("text", "string", [f"t{i}{name}" for i in ids])}, ids, split)
        write_schema(data.path, data.columns)
    found = difference(Dataset.open(tmp_path / "a"), Dataset.open(tmp_path / "b"))
    assert found.moved == {("train", "test"): 1, ("test", "train"): 1}
    assert (found.added, found.removed, found.changed) == (1, 1, 3)
    shown = [row["row_id"] for rows in found.examples.values() for row in rows]
    assert shown == ["1"]


def test_rows_whose_ids_all_changed_are_known_by_their_text(tmp_path: Path) -> None:
    """A file that was changed gives all its rows new ids."""
    labels = {"text": ("text", "string", ["x", "y", "z", "z"]), "label": ("label", "string", ["a", "b", "a", "a"])}
    old = make(tmp_path / "a", labels, ["o1", "o2", "o3", "o4"])
    flipped = {"text": ("text", "string", ["z", "x", "w"]), "label": ("label", "string", ["a", "b", "a"])}
    new = make(tmp_path / "b", flipped, ["n1", "n2", "n3"])
    found = difference(old, new)
    assert found.key == ("text",)
    assert (found.num_same, found.changed, found.added, found.removed, found.repeated) == (1, 1, 1, 1, (1, 0))
    assert found.flips == {("a", "b"): 1}
    by_id = difference(old, new, key=["row_id"])
    assert (by_id.added, by_id.removed) == (3, 4)
    both = difference(old, new, key=["text", "label"])
    assert (both.num_same, both.added, both.removed) == (1, 2, 2)
    with pytest.raises(UsageError, match="nope"):
        difference(old, new, key=["nope"])
