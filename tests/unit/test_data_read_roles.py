"""What each role makes of a value, or why the row is rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.reading_files import pairs, read_bytes, run_as

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset


def test_labels_become_strings_and_whole_floats_lose_their_point(tmp_path: Path) -> None:
    rows, _, context = read_bytes(tmp_path, b"text,label\na,1.0\nb,0.0\nc, 1 \n")
    assert [row["label"] for row in rows] == ["1", "0", "1"]
    assert any("like 1.0 are written as 1" in line for line in context.said)
    assert any("spaces around" in line for line in context.said)


@pytest.mark.parametrize("whole", [True, False])
def test_labels_that_are_a_quantity_are_refused_as_regression(tmp_path: Path, whole: bool) -> None:
    values = (f"{n * 37 % 1000}.0" if whole else f"{n * 0.37:.3f}" for n in range(300))
    with pytest.raises(InputError, match="regression"):
        read_bytes(tmp_path, b"text,label\n" + "".join(f"t,{value}\n" for value in values).encode())


def test_a_row_without_label_is_rejected_and_one_without_text_is_left_to_cleaning(tmp_path: Path) -> None:
    rows, bad, _ = read_bytes(tmp_path, b"text,label\n,x\na,\nb,  \nc,y\n", max_bad_fraction=1.0)
    assert pairs(rows) == [("", "x"), ("c", "y")]
    assert [row["reason"] for row in bad] == ["no label: label", "no label: label"]


def test_every_role_makes_its_value_or_rejects_the_row(tmp_path: Path) -> None:
    content = (
        b"text,label,w,when,who,part\n"
        b"a,x,2,2024-01-05,p1,dev\n"
        b"b,x,0.5,2024/1/6 10:00,p2,train\n"
        b"c,x,1,1704067200,p3,test\n"
        b"d,x,-1,2024-01-01,p4,train\n"
        b"e,x,1,yesterday,p5,train\n"
        b"f,x,1,2024-01-01,p6,other\n"
    )
    roles = {"weight": "w", "time": "when", "subject": "who", "split": "part"}
    rows, bad, _ = read_bytes(tmp_path, content, max_bad_fraction=1.0, **roles)
    assert [row["w"] for row in rows] == [2.0, 0.5, 1.0]
    assert [row["when"].isoformat() for row in rows] == [
        "2024-01-05T00:00:00",
        "2024-01-06T10:00:00",
        "2024-01-01T00:00:00",
    ]
    assert [row["part"] for row in rows] == ["validation", "train", "test"]
    assert [row["reason"].split(":")[0] for row in bad] == [
        "weight is not a finite number of at least 0",
        "time is no date",
        "split is not train, validation or test",
    ]


def test_only_the_columns_to_keep_are_kept(tmp_path: Path) -> None:
    rows, _, _ = read_bytes(tmp_path, b"id,text,secret,label\n1,a,s,x\n", keep=["id"])
    assert sorted(rows[0]) == ["id", "label", "row_id", "text"]


def soft(*shares: str) -> bytes:
    return "\n".join(json.dumps({"text": f"t{n}", "votes": share}) for n, share in enumerate(shares)).encode()


def test_a_soft_label_brings_its_likeliest_class_and_ties_go_by_name(tmp_path: Path) -> None:
    content = soft('{"spam": 0.25, "ham": 0.75}', '{"spam": 0.5, "ham": 0.5}', '{"spam": 1}')
    (tmp_path / "data.jsonl").write_bytes(content)
    rows, bad, context = run_as(tmp_path, path="data.jsonl", text="text", soft_label="votes")
    assert [row["label"] for row in rows] == ["ham", "ham", "spam"]
    assert [json.loads(row["votes"]) for row in rows] == [
        {"ham": 0.75, "spam": 0.25},
        {"ham": 0.5, "spam": 0.5},
        {"spam": 1.0},
    ]
    assert bad == []
    data = Dataset.open(context.output("data"))
    assert (data.role("label"), data.role("soft_label")) == ("label", "votes")


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ('{"a": 0.5, "b": 0.4}', "soft label does not sum to 1"),
        ('{"a": 1.5, "b": -0.5}', "soft label has a share that is no number of at least 0"),
        ('{"a": NaN}', "soft label has a share that is no number of at least 0"),
        ('{"a": true}', "soft label has a share that is no number of at least 0"),
        ('{"a": "1"}', "soft label has a share that is no number of at least 0"),
        ('{"a": 0.5, "a": 0.5}', "soft label names a class twice"),
        ('{"a": 0.5, " a": 0.5}', "soft label names a class twice"),
        ('{"": 1}', "soft label names a class by nothing"),
        ("{}", "soft label does not sum to 1"),
        ("[1]", "soft label is no JSON object of class to share"),
        ("{broken", "soft label is no JSON object of class to share"),
        ("[" * 10_000, "soft label is no JSON object of class to share"),
        ("", "no soft label"),
    ],
)
def test_a_soft_label_that_is_none_rejects_its_row(tmp_path: Path, shares: str, reason: str) -> None:
    (tmp_path / "data.jsonl").write_bytes(soft('{"a": 0.4, "b": 0.6000000001}', shares))
    rows, bad, _ = run_as(tmp_path, path="data.jsonl", text="text", soft_label="votes", max_bad_fraction=1.0)
    assert len(rows) == 1
    assert [row["reason"].split(":")[0] for row in bad] == [reason]


def test_a_label_beside_a_soft_label_counts_and_one_that_is_empty_is_filled(tmp_path: Path) -> None:
    content = b'text,label,votes\nx,b,"{""a"": 1}"\ny,,"{""a"": 1}"\n'
    rows, _, context = read_bytes(tmp_path, content, soft_label="votes")
    assert [row["label"] for row in rows] == ["b", "a"]
    assert any("greatest share" in line for line in context.said)
    with pytest.raises(InputError, match="label: label"):
        run_as(tmp_path, path="data.csv", text="text", soft_label="votes")


def test_numbers_are_given_names_and_one_without_name_rejects_its_row(tmp_path: Path) -> None:
    content = b"text,label\na,0\nb,1.0\nc, 1 \nd,2\n"
    rows, bad, _ = read_bytes(tmp_path, content, labels={"0": "负面", "1": "正面"}, max_bad_fraction=1.0)
    assert [row["label"] for row in rows] == ["负面", "正面", "正面"]
    assert [row["reason"] for row in bad] == ["label has no name in `labels`: label: 2"]
    (tmp_path / "data.jsonl").write_bytes(soft('{"0": 0.3, "1": 0.7}'))
    rows, _, _ = run_as(tmp_path, path="data.jsonl", text="text", soft_label="votes", labels={"0": "no", "1": "yes"})
    assert (rows[0]["label"], rows[0]["votes"]) == ("yes", '{"no": 0.3, "yes": 0.7}')


def test_more_columns_than_a_table_has_are_refused_unless_the_few_to_keep_are_named(tmp_path: Path) -> None:
    names = ["text", "label", *(f"c{n}" for n in range(16_383))]
    content = (",".join(names) + "\n" + ",".join("x" * len(names)) + "\n" + "y," * (len(names) - 1) + "z\n").encode()
    with pytest.raises(InputError, match="16,385 columns") as error:
        read_bytes(tmp_path, content)
    assert "keep" in str(error.value)
    rows, _, _ = read_bytes(tmp_path, content, keep=["c16382"])
    assert [set(row) for row in rows] == 2 * [{"row_id", "text", "label", "c16382"}]
