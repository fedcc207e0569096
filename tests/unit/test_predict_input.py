"""What `predict` is asked about: files as people have them, and nothing that is no text."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelyard
from modelyard.app.records import from_file, record_of
from modelyard.errors import InputError


def items(path: Path) -> list[object]:
    """Raises as `predict` does for a line that is none."""
    return [record_of(question, {}) if question.problem else question.item for question in from_file(path)]


def test_a_line_of_json_ends_in_a_line_feed_only(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes('{"text": "a\u2028b"}\r\n\n{"text": "c\u0085d"}\n'.encode())
    assert items(path) == [{"text": "a\u2028b"}, {"text": "c\u0085d"}]


def test_plain_lines_lose_their_ends_and_empty_ones_are_passed_by(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\r\ntwo\x0cthree\n")
    assert items(path) == ["one", "two\x0cthree"]


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "{'a': 1}"])
def test_what_is_not_json_is_named_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(f'{{"text": "a"}}\n{text}\n')
    with pytest.raises(InputError, match=r"r\.jsonl:2: not JSON"):
        items(path)


@pytest.mark.parametrize("record", ["a\udcff", {"text": "\ud800"}])
def test_bytes_that_are_no_text_get_no_answer(record: object) -> None:
    with pytest.raises(InputError, match="UTF-8"):
        modelyard.predict("any", ["fine", record])
