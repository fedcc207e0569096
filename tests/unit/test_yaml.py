"""The YAML reader: values by YAML 1.2, lines for everything, every problem at once, and hostile files cheaply."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.base.yaml import MAX_DEPTH, MAX_NODES, parse_scalar, parse_yaml, read_yaml

EXAMPLE = """\
version: 1
project: reviews   # a comment
steps:
  clean: {uses: data.clean, with: {rows: [1, 2]}}
  train:
    uses: train.x
    with:
      text: |
        two
        lines
"""


def value(text):
    document = parse_yaml(text, "f.yaml")
    assert document.problems == ()
    return document.value


def founds(text):
    return [(problem.where, problem.found) for problem in parse_yaml(text, "f.yaml").problems]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on", "on"), ("NO", "NO"), ("yes", "yes"), ("y", "y"), ("off", "off"),
        ("true", True), ("True", True), ("FALSE", False), ("tRue", "tRue"),
        ("null", None), ("~", None), ("Null", None), ("nULL", "nULL"),
        ("1e-4", 1e-4), ("1E5", 1e5), ("-1.5e+3", -1500.0), (".5", 0.5), ("5.", 5.0), ("+1", 1), ("1e4", 10000.0),
        ("012", 12), ("0o14", 12), ("0xC", 12), ("0b11", "0b11"), ("1_000", "1_000"), ("190:20:30", "190:20:30"),
        ("2024-01-02", "2024-01-02"), ("1.2.3", "1.2.3"), (".", "."), ("e5", "e5"), ("=", "="),
        ('"1"', "1"), ("'true'", "true"), ("'it''s'", "it's"), ('"\\u4f60\\n"', "你\n"),
    ],
)  # fmt: skip
def test_plain_scalars_follow_the_core_schema_of_yaml_1_2(text, expected):
    found = value(f"a: {text}\n")["a"]
    assert found == expected
    assert type(found) is type(expected)


def test_infinity_and_not_a_number_are_read_as_such():
    found = value("a: [.inf, -.INF, +.Inf, .nan]")["a"]
    assert found[:3] == [math.inf, -math.inf, math.inf]
    assert math.isnan(found[3])


def test_every_key_and_value_has_its_line():
    document = parse_yaml(EXAMPLE, "f.yaml")
    assert document.line(("steps",)) == 3
    assert document.line(("steps", "clean", "with", "rows", 1)) == 4
    assert document.line(("steps", "train", "with", "text")) == 8
    assert document.line(("steps", "train", "with")) == 7
    assert document.line(("steps", "train", "with"), of_value=True) == 8
    assert document.where(("steps", "train", "nothing", "there")) == "f.yaml:5"
    assert document.where(("nothing",)) == "f.yaml:1"
    assert document.value["steps"]["train"]["with"]["text"] == "two\nlines\n"


def test_keys_are_text_as_written():
    assert value("1: a\ntrue: b\n~: c\n") == {"1": "a", "true": "b", "~": "c"}


def test_all_forbidden_features_are_reported_in_one_pass_with_their_lines():
    text = (
        "a: &x 1\nb: *x\nc: !!str 2\nd: !python/name:os.system\na: 3\n"
        '<<: {k: 1}\n? [1, 2]\n: 3\n"": 4\ne: {f: 1, f: 2}\n'
    )
    assert founds(text) == [
        ("f.yaml:1", "an anchor (`&x`)"),
        ("f.yaml:2", "an alias (`*x`)"),
        ("f.yaml:3", "a tag (`!!str`)"),
        ("f.yaml:4", "a tag (`!python/name:os.system`)"),
        ("f.yaml:5", "the key `a` a second time (first in line 1)"),
        ("f.yaml:6", "a merge key (`<<`)"),
        ("f.yaml:7", "a key that is a list or a mapping"),
        ("f.yaml:9", "an empty key"),
        ("f.yaml:10", "the key `f` a second time (first in line 10)"),
    ]


def test_the_first_of_duplicate_keys_keeps_its_lines_and_value():
    document = parse_yaml("a:\n  x: 1\nb: 2\na:\n  x: 3\n", "f.yaml")
    assert document.value == {"a": {"x": 1}, "b": 2}
    assert document.line(("a", "x")) == 2


def test_a_quoted_double_less_than_is_an_ordinary_key():
    assert value('"<<": 1') == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "where", "part", "remedy"),
    [
        ("a: 1\n--- \nb: 2\n", "f.yaml:2", "a second document", "---"),
        ("%YAML 1.1\n---\na: on\n", "f.yaml:", "a directive", "%"),
        ("a: 1\nb: [1, 2\nc: 3\n", "f.yaml:", "not YAML", ""),
        ("a:\n\tb: 1\n", "f.yaml:2", "not YAML", "spaces"),
        ("a: b: c\n", "f.yaml:1", "mapping values", "quotes"),
        ("a: @x\n", "f.yaml:1", "not YAML", "quotes"),
        ("a: 'x\nb: 2\n", "f.yaml:3", "quoted scalar", ""),
        ("a: " + "9" * 5000, "f.yaml:1", "a number of 5000 digits", ""),
        ("a: 1\nb: \x07\n", "f.yaml:2", "U+0007", "remove"),
        ("a: 1\n\nb: x\x00y\n", "f.yaml:3", "NUL", "remove"),
        ('a: 1\nb: "x\\0y"\n', "f.yaml:2", "NUL", ""),
        ('a: 1\nb: "\\ud800"\n', "f.yaml:2", "half a character", ""),
        ('"\\udc00": 1\n', "f.yaml:1", "half a character", ""),
    ],
)
def test_what_is_no_plain_yaml_is_a_problem_with_its_line(text, where, part, remedy):
    problems = parse_yaml(text, "f.yaml").problems
    assert len(problems) == 1
    assert problems[0].where.startswith(where)
    assert part in problems[0].found
    assert remedy in problems[0].remedy


def test_problems_before_a_syntax_error_are_kept():
    assert [where for where, _ in founds("a: &x 1\na: 2\nb: [\n")][:2] == ["f.yaml:1", "f.yaml:2"]


@pytest.mark.parametrize(
    ("data", "where", "part"),
    [
        (b"a: 1\nb: \xff\n", "f.yaml:2", "0xff"),
        ("a: 评论\n".encode("gb18030"), "f.yaml:1", "not UTF-8"),
        ("a: 1\n".encode("utf-16"), "f.yaml:1", "UTF-16"),
        (b"\xef\xbb\xbfa: 1\n", "f.yaml:1", "byte order mark"),
        (b"PK\x03\x04\x00\x00", "f.yaml:1", "U+0003"),
    ],
)
def test_other_encodings_are_said_with_line_and_remedy(data, where, part):
    (problem,) = parse_yaml(data, "f.yaml").problems
    assert problem.where == where
    assert part in problem.found
    assert problem.remedy


def test_behind_a_byte_order_mark_the_rest_is_checked_too():
    document = parse_yaml(b"\xef\xbb\xbfa: 1\na: 2\n", "f.yaml")
    assert document.value == {"a": 1}
    assert [problem.where for problem in document.problems] == ["f.yaml:1", "f.yaml:2"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        "{" * 60_000,
        ("- " * 30_000 + "\n"),
        "!" * (1 << 20),
        "!" * 65_000,
        "%A b\n" * 49_000,
        "- a\n" * 49_000,
        "a: [" + "1," * 30_000 + "]",
        "a: {" + "a: 1," * 12_000 + "}",
        "".join(f"k{i}: {{k{i}: &x{i} 1}}\n" for i in range(20_000)),
        "a" * (1 << 20) + ": 1",
        "\n" * (1 << 20),
        "".join(f"{' ' * depth}a:\n" for depth in range(2_000)),
        "a: &a [x]\n" + "".join(f"b{i}: [*a, *a]\n" for i in range(5_000)),
        "x" * ((1 << 20) + 1),
    ],
)
def test_hostile_files_are_refused_and_not_with_endless_problems(text):
    document = parse_yaml(text, "f.yaml")
    assert 1 <= len(document.problems) <= 1000
    assert all(len(problem.found) < 500 for problem in document.problems)


def test_depth_and_size_up_to_the_caps_are_fine():
    assert parse_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f").problems == ()
    assert parse_yaml("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "f").problems
    assert parse_yaml("- 1\n" * (MAX_NODES - 1), "f").problems == ()
    assert parse_yaml("- 1\n" * (MAX_NODES + 1), "f").problems


def test_a_missing_file_and_a_folder_are_problems(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        (problem,) = read_yaml(path, "it").problems
        assert problem.where == "it"


def test_an_empty_file_is_nothing():
    assert value("") is None
    assert value("# only a comment\n") is None


def test_a_command_line_value_is_yaml():
    assert parse_scalar("2") == (2, None)
    assert parse_scalar("[a, 1e-4]") == (["a", 1e-4], None)
    assert parse_scalar("") == (None, None)
    assert "not YAML" in (parse_scalar("[a")[1] or "")


@given(st.text(max_size=80))
def test_no_text_makes_the_reader_raise(text):
    parse_yaml(text, "f.yaml")


@given(st.binary(max_size=80))
def test_no_bytes_make_the_reader_raise(data):
    parse_yaml(data, "f.yaml")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.from_regex("[a-z]{1,5}", fullmatch=True), inner),
        max_leaves=8,
    )
)  # fmt: skip
def test_json_reads_back_as_itself(data):
    """YAML 1.2 is a superset of JSON; canonical JSON is what the engine compares."""
    import json

    assert value(json.dumps(data)) == data
