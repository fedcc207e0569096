"""Answers about labels: what a file says, who wins, and that nothing is lost when it is written."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.base import files
from modelyard.methods.data.labelling.answers import Answer, parse, settle


def line(**changes):
    value = {"row_id": "r1", "before": "ham", "after": "spam", "author": "li", "time": "2026-03-01T09:00:00Z"}
    return (json.dumps({**value, **changes}) + "\n").encode()


def said(*lines):
    answers, bad = parse(b"".join(lines), "a.jsonl")
    assert bad == []
    return settle(answers)


def test_what_is_written_is_what_is_read():
    answer = Answer("r1", None, "猫", "li", "2026-03-01T09:00:00Z", "a “note”\nof two lines", "sha256:1", "next", "00")
    found, bad = parse(answer.to_line().encode() + b"\n", "a")
    assert bad == []
    assert found[0].to_line() == answer.to_line()


def test_an_authors_later_line_replaces_the_earlier_one():
    assert said(line(after="spam"), line(after="ham"))["r1"].answer.after == "ham"


def test_an_answer_that_was_taken_back_says_nothing():
    assert said(line(), line(after=None))["r1"].answer is None


def test_of_two_authors_the_one_whose_line_is_later_holds_and_the_other_is_named():
    found = said(line(author="wu", after="ham", time="2026-03-02T00:00:00Z"), line(time="2026-03-01T00:00:00Z"))["r1"]
    assert (found.answer.after, [other.author for other in found.others]) == ("spam", ["wu"])


def test_times_of_other_zones_are_compared_as_moments():
    found = said(
        line(time="2026-03-01T09:00:00+08:00", after="spam"),  # 01:00 UTC
        line(author="wu", time="2026-03-01T02:00:00Z", after="ham"),
    )
    assert found["r1"].answer.after == "ham"


def test_a_clock_that_was_set_back_does_not_bring_an_old_answer_back():
    assert said(line(after="spam"), line(after="ham", time="2020-01-01T00:00:00Z"))["r1"].answer.after == "ham"


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"row_id": 1, "before": "a", "after": "b"}',
        b'{"row_id": "", "before": "a", "after": "b"}',
        b'{"row_id": "r", "before": "a"}',
        b'{"row_id": "r", "before": "a", "after": " "}',
        b'{"row_id": "r", "before": "a", "after": ["b"]}',
        b'{"row_id": "r", "before": "a", "after": "b", "author": {"$gt": ""}}',
        b'{"row_id": "r", "before": "a", "after": "\\ud800"}',
        b"[" * 100_000,
    ],
)
def test_a_line_that_is_no_answer_is_kept_with_its_place_and_spoils_no_other(text):
    answers, bad = parse(line() + text + b"\n" + line(row_id="r2"), "a.jsonl")
    assert [answer.row_id for answer in answers] == ["r1", "r2"]
    assert [(one.place, one.kind) for one in bad] == [("a.jsonl:2", "no answer")]


@given(st.binary(max_size=300))
def test_no_bytes_make_parsing_fail(data):
    answers, bad = parse(data, "a")
    assert len(answers) + len(bad) == sum(bool(part.strip()) for part in data.split(b"\n"))


def test_an_append_ends_a_line_that_was_torn_before(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(line() + b'{"row_id": "to')
    files.append_durably(path, line(row_id="r2"))
    answers, bad = parse(path.read_bytes(), "a")
    assert [answer.row_id for answer in answers] == ["r1", "r2"]
    assert len(bad) == 1


def test_an_append_is_on_the_disk_before_it_returns(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    files.append_durably(tmp_path / "a.jsonl", b"one\n")
    assert synced[0] == 4  # the file with its bytes; then its folder
    assert len(synced) == 2


def test_a_failed_append_raises_and_a_later_one_goes_on(tmp_path, monkeypatch):
    path = tmp_path / "a.jsonl"
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:5]))
    with pytest.raises(OSError):
        files.append_durably(path, line())
    monkeypatch.undo()
    files.append_durably(path, line(row_id="r2"))
    assert [answer.row_id for answer in parse(path.read_bytes(), "a")[0]] == ["r2"]
