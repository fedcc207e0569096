"""Several labels in one cell: both ways to write them, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from modelyard.errors import InputError
from modelyard.methods.data.multi_label import labels_json, parse_labels


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        ('["a", "b"]', ("a", "b")),
        (" [] ", ()),
        ("a; b;;a ", ("a", "b")),
        ("体育", ("体育",)),
        (["x;y", " z "], ("x;y", "z")),
        ("[1, 2]", ("1", "2")),
        (3, ("3",)),
        ("; ;", ()),
        ("", None),
        (None, None),
        (float("nan"), None),
    ],
)
def test_the_labels_of_a_cell(value: Any, labels: tuple[str, ...] | None) -> None:
    assert parse_labels(value) == labels


@pytest.mark.parametrize("value", ["[a, b]", '["a", ""]', "[null]", "[true]", '[["a"]]', '["a"', [1.5], "[" * 100_000])
def test_what_is_no_list_of_labels_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="no list of labels"):
        parse_labels(value)


def test_written_labels_are_read_again() -> None:
    labels = ("a;b", "标签", '"')
    assert parse_labels(labels_json(labels)) == labels
