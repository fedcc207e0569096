"""data.annotations: exports of several annotators become rows with one label, and nothing is lost on the way."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from support.fake_context import FakeContext

from modelyard.errors import InputError
from modelyard.methods.data.annotators import label_studio
from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.data.roles import schema_of
from modelyard.stages.data import annotations


def run(tmp_path: Path, inputs: dict[str, Any] | None = None, **config: Any) -> FakeContext:
    context = FakeContext(tmp_path / "out", inputs, base=tmp_path)
    annotations.run(annotations.Config(**config), context)
    return context


def rows(context: FakeContext, port: str = "data") -> list[dict[str, Any]]:
    return Dataset.open(context.output(port)).table("all").to_pylist()


def labels(context: FakeContext) -> dict[str, str]:
    return {row["row_id"]: row["label"] for row in rows(context)}


def reasons(context: FakeContext) -> dict[str, str]:
    return {row["row_id"]: row["reason"] for row in rows(context, "removed")}


def choice(label: str | list[str], name: str = "kind") -> dict[str, Any]:
    chosen = [label] if isinstance(label, str) else label
    return {"from_name": name, "to_name": "text", "type": "choices", "value": {"choices": chosen}}


def annotation(who: Any, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": 1, "completed_by": who, "result": list(results), "was_cancelled": False, **more}


TASKS = [
    {
        "id": 11,
        "data": {"text": "free money", "source": "mail"},
        "annotations": [annotation(1, choice("spam")), annotation(2, choice("spam")), annotation(3, choice("ham"))],
        "predictions": [{"result": [choice("ham")], "model_version": "v1"}] * 5,
    },
    {"id": 12, "data": {"text": "see you at 8", "source": "sms"}, "annotations": [annotation(1, choice("ham"))]},
    {
        "id": 13,
        "data": {"text": "??", "source": "sms"},
        "annotations": [annotation(1, choice("ham")), annotation(2, choice("spam"), was_cancelled=True)],
    },
    {"id": 14, "data": {"text": "nobody saw this", "source": "mail"}, "annotations": [], "predictions": []},
    {
        "id": 15,
        "data": {"text": "tie", "source": "sms"},
        "annotations": [annotation(1, choice("ham")), annotation(2, choice("spam"))],
    },
    {"id": 16, "data": {"text": "two", "source": "sms"}, "annotations": [annotation(3, choice(["ham", "spam"]))]},
    {"id": 17, "data": {"text": "empty", "source": "sms"}, "annotations": [annotation(2)]},
    {
        "id": 18,
        "data": {"text": "said twice", "source": "sms"},
        "annotations": [annotation(1, choice("ham")), annotation(1, choice("spam"))],
    },
]  # fmt: skip


def studio(tmp_path: Path, tasks: Any = TASKS, name: str = "export.json") -> str:
    (tmp_path / name).write_text(json.dumps(tasks, ensure_ascii=False, indent=1), encoding="utf-8")
    return name


def test_a_label_studio_export_becomes_labelled_rows(tmp_path: Path) -> None:
    context = run(tmp_path, path=studio(tmp_path), text="text")
    assert labels(context) == {"11": "spam", "12": "ham", "13": "ham", "18": "spam"}
    assert reasons(context) == {"14": "no vote", "15": "tied votes", "16": "no vote", "17": "no vote"}
    first = rows(context)[0]
    assert first["text"] == "free money"
    assert first["source"] == "mail"
    assert json.loads(first["soft_label"]) == {"ham": 0.333333, "spam": 0.666667}
    assert first["num_annotators"] == 3
    assert first["agreement"] == pytest.approx(1 / 3)
    roles = {column.name: column.role for column in Dataset.open(context.output("data")).columns}
    assert roles["text"] == "text"
    assert roles["label"] == "label"
    assert roles["soft_label"] == "soft_label"
    assert context.value("data.votes") == 8
    assert context.value("data.disagreement_rate") == 1.0


def test_every_vote_is_kept_with_the_reason_it_does_not_count(tmp_path: Path) -> None:
    context = run(tmp_path, path=studio(tmp_path), text="text")
    found = [(row["item"], row["annotator"], row["label"], row["reason"]) for row in rows(context, "votes")]
    assert ("13", "2", None, "skipped") in found
    assert ("16", None, "ham | spam", "several classes") in found or (
        "16",
        "3",
        "ham | spam",
        "several classes",
    ) in found
    assert ("17", "2", None, "no label") in found
    assert ("18", "1", "ham", "repeated") in found
    assert ("18", "1", "spam", "") in found
    assert len(found) == 12
    assert any(line.startswith("1 votes do not count: skipped") for line in context.said)


def test_several_questions_need_a_choice(tmp_path: Path) -> None:
    tasks = [{"id": n, "data": {"text": f"t{n}"}, "annotations": [annotation(1, choice("a"), choice("b", "tone"))]} for n in (1, 2)]  # noqa: E501 # fmt: skip
    path = studio(tmp_path, tasks)
    with pytest.raises(InputError, match="several questions were answered: kind, tone"):
        run(tmp_path, path=path, text="text")
    assert labels(run(tmp_path, path=path, text="text", question="tone")) == {"1": "b", "2": "b"}
    with pytest.raises(InputError, match="no answer to the question `mood`"):
        run(tmp_path, path=path, text="text", question="mood")


def test_people_are_numbers_where_the_export_has_them(tmp_path: Path) -> None:
    person = {"id": 7, "email": "li@example.org", "first_name": "Li"}
    mail = {"email": "wu@example.org"}
    tasks = [{"id": 1, "data": {"text": "x"}, "annotations": [annotation(person, choice("a")), annotation(mail, choice("a"))]}]  # noqa: E501 # fmt: skip
    context = run(tmp_path, path=studio(tmp_path, tasks), text="text")
    assert {row["annotator"] for row in rows(context, "annotators")} == {"7", "wu@example.org"}
    assert any("e-mail addresses" in line for line in context.said)
    hidden = run(tmp_path, path="export.json", text="text", annotator_names="number")
    assert {row["annotator"] for row in rows(hidden, "annotators")} == {"annotator 1", "annotator 2"}
    everything = "".join(json.dumps(rows(hidden, port)) for port in ("data", "votes", "annotators", "pairs", "removed"))
    assert "@" not in everything


def test_json_min_is_flat(tmp_path: Path) -> None:
    flat = [
        {"id": 1, "text": "x", "kind": "a", "annotator": 1, "annotation_id": 1, "lead_time": 2.5},
        {"id": 1, "text": "x", "kind": "a", "annotator": 2, "annotation_id": 2, "lead_time": 1.5},
        {"id": 2, "text": "y", "kind": "b", "annotator": 1, "annotation_id": 3, "lead_time": 9.5},
    ]
    context = run(tmp_path, path=studio(tmp_path, flat), text="text", question="kind", keep=["text"])
    assert labels(context) == {"1": "a", "2": "b"}


def csv(tmp_path: Path, text: str, name: str = "votes.csv") -> str:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return name


LONG = "post,who,verdict,body\n1,a,x,one\n2,a,y,two\n1,b,x,one\n2,b,x,two\n1,c,y,one\n2,c,y,two\n3,a,x,three\n"
NAMES = {"item": "post", "annotator": "who", "label": "verdict", "text": "body"}


def test_a_long_table(tmp_path: Path) -> None:
    context = run(tmp_path, path=csv(tmp_path, LONG), **NAMES)
    assert labels(context) == {"1": "x", "2": "y", "3": "x"}
    assert [row["body"] for row in rows(context)] == ["one", "two", "three"]
    pairs = {(row["first"], row["second"]): row["num_items"] for row in rows(context, "pairs")}
    assert pairs == {("a", "b"): 2, ("a", "c"): 2, ("b", "c"): 2}


def test_a_wide_table_with_gaps(tmp_path: Path) -> None:
    text = "id,body,li,wu,qi\np1,one,x,x,y\np2,two,,y,\np3,three,,,\np4,four,not sure,y,y\n"
    wide = {"item": "id", "text": "body", "annotators": ["li", "wu", "qi"], "abstain": ["not sure"]}
    context = run(tmp_path, path=csv(tmp_path, text), **wide)
    assert labels(context) == {"p1": "x", "p2": "y", "p4": "y"}
    assert reasons(context) == {"p3": "no vote"}
    assert [row["num_annotators"] for row in rows(context)] == [3, 1, 2]
    assert [row["agreement"] for row in rows(context)] == [pytest.approx(1 / 3), None, 1.0]
    assert ("p4", "abstained") in [(row["item"], row["reason"]) for row in rows(context, "votes")]


def test_counted_votes(tmp_path: Path) -> None:
    text = "body,hate,fine\none,0,3\ntwo,2,1\nthree,1,1\nfour,x,2\n"
    counted = {"text": "body", "vote_counts": {"bad": "hate", "good": "fine"}}
    context = run(tmp_path, path=csv(tmp_path, text), **counted)
    assert sorted(labels(context).values()) == ["bad", "good", "good"]
    assert list(reasons(context).values()) == ["tied votes"]
    assert context.value("data.votes") == 10
    assert rows(context, "annotators") == []


def test_rows_come_from_another_step(tmp_path: Path) -> None:
    columns = [Column("row_id", "other", "string"), Column("key", "other", "int64"), Column("text", "text", "string")]
    folder = tmp_path / "items"
    folder.mkdir()
    write_schema(folder, columns)
    table = pa.table([["r1", "r2", "r3"], [10, 20, 30], ["one", "two", "three"]], schema=schema_of(columns))
    write_split(folder, "all", [table], table.schema)
    path = csv(tmp_path, "item,who,label\n10,a,x\n20,a,y\n10,b,x\n99,a,y\n")
    named = {"item": "item", "annotator": "who", "label": "label"}
    context = run(tmp_path, {"items": folder}, path=path, items_key="key", **named)
    assert labels(context) == {"r1": "x", "r2": "y"}
    assert reasons(context) == {"r3": "no vote"}
    assert any("1 items that were voted on are not in `items`" in line for line in context.said)
    with pytest.raises(InputError, match="the export holds votes only"):
        run(tmp_path, path=path, **named)


def test_votes_on_another_text_under_the_same_id_do_not_count(tmp_path: Path) -> None:
    text = LONG + "3,b,y,not three\n3,c,y,\n"
    context = run(tmp_path, path=csv(tmp_path, text), **NAMES)
    assert ("3", "b", "another text") in [
        (row["item"], row["annotator"], row["reason"]) for row in rows(context, "votes")
    ]


def test_unknown_classes_and_rows_without_item_or_annotator(tmp_path: Path) -> None:
    text = LONG + "4,a,z,four\n,a,x,five\n5,,x,six\n6,b,,seven\n"
    context = run(tmp_path, path=csv(tmp_path, text), classes=["x", "y"], **NAMES)
    why = {row["reason"] for row in rows(context, "votes")}
    assert why == {"", "unknown class", "no item", "no annotator", "no label"}
    assert {"4", "5", "6"} <= set(reasons(context))


def test_review_rules(tmp_path: Path) -> None:
    path = csv(tmp_path, LONG)
    assert reasons(run(tmp_path, path=path, min_annotators=2, **NAMES)) == {"3": "too few annotators"}
    assert reasons(run(tmp_path, path=path, min_share=0.7, **NAMES)) == {
        "1": "too little agreement",
        "2": "too little agreement",
    }
    assert reasons(run(tmp_path, path=path, min_share=0.6667, **NAMES)) == {}


def test_dawid_and_skene_say_whom_to_trust(tmp_path: Path) -> None:
    lines = ["post,who,verdict,body"]
    source = random.Random(3)
    for post in range(60):
        truth = "xy"[post % 2]
        for who in ("good1", "good2"):
            lines.append(f"{post},{who},{truth},t{post}")
        for number in (1, 2, 3):
            given = truth if source.random() < 0.4 else "yx"[post % 2]
            lines.append(f"{post},bad{number},{given},t{post}")
    path = csv(tmp_path, "\n".join(lines) + "\n")
    right = {str(post): "xy"[post % 2] for post in range(60)}
    weighed = run(tmp_path / "w", path=str(tmp_path / path), adjudicate="dawid_skene", **NAMES)
    counted = run(tmp_path / "c", path=str(tmp_path / path), **NAMES)
    assert labels(weighed) == right
    assert sum(labels(counted).get(post) == label for post, label in right.items()) < 50
    table = {row["annotator"]: row for row in rows(weighed, "annotators")}
    assert table["good1"]["estimated_accuracy"] > 0.95
    assert table["bad1"]["estimated_accuracy"] < 0.6
    assert json.loads(table["good1"]["confusion"])["x"]["x"] > 0.95
    assert any("converged" in line for line in weighed.said)


def test_the_artifacts_are_the_same_bytes_again(tmp_path: Path) -> None:
    path = studio(tmp_path)
    made = []
    for name in ("one", "two"):
        context = FakeContext(tmp_path / name, base=tmp_path, seed=5)
        annotations.run(annotations.Config(path=path, text="text", tie="random"), context)
        folder = tmp_path / name / "outputs"
        made.append({file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.*")})
        assert context.measurements
    assert made[0] == made[1]
    assert labels(context)["15"] in ("ham", "spam")


@pytest.mark.parametrize(
    "config",
    [
        {"annotator": "a"},
        {"annotator": "a", "item": "i", "label": "l", "vote_counts": {"x": "x", "y": "y"}},
        {"vote_counts": {"x": "x", "y": "y"}, "adjudicate": "dawid_skene"},
        {"shares": "posterior"},
        {"soft_label": "s"},
    ],
)
def test_settings_that_contradict_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        annotations.Config(path="x.csv", **config)


def test_where_the_votes_stand_must_be_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="it is not said where the votes stand"):
        run(tmp_path, path=csv(tmp_path, LONG), text="body")
    with pytest.raises(InputError, match="no column `whom`"):
        run(tmp_path, path="votes.csv", **(NAMES | {"annotator": "whom"}))
    with pytest.raises(InputError, match="already"):
        run(
            tmp_path, path=csv(tmp_path, "id,who,verdict,label\n1,a,x,y\n"), item="id", annotator="who", label="verdict"
        )


def test_an_ordinal_scale_needs_an_order(tmp_path: Path) -> None:
    path = csv(tmp_path, LONG)
    with pytest.raises(InputError, match="the order of the classes is not known: x, y"):
        run(tmp_path, path=path, scale="ordinal", **NAMES)
    run(tmp_path, path=path, scale="ordinal", classes=["x", "y"], **NAMES)
    with pytest.raises(InputError, match="the label `x` is no number"):
        run(tmp_path, path=path, scale="interval", **NAMES)


@pytest.mark.parametrize(
    "damaged",
    ['[{"id": 1, "annotations": [', "[1, 2]", '[{"a": NaN}]', "[" + '{"a":' * 50_000, '[{"a": "\udcff"}]'],
    ids=["cut", "numbers", "nan", "deep", "bytes"],
)
def test_damaged_exports_are_errors_with_their_place(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "bad.json").write_bytes(damaged.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError) as caught:
        run(tmp_path, path="bad.json", text="text")
    assert "bad.json" in str(caught.value)


VALUE = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(max_size=3), x, max_size=3), max_leaves=6)  # noqa: E501 # fmt: skip


@settings(max_examples=200, deadline=None)
@given(tasks=st.lists(st.dictionaries(st.text(max_size=4), VALUE, max_size=4), max_size=6), chunk=st.integers(1, 40))
def test_a_json_array_is_read_in_pieces_as_a_whole(tasks: list[dict[str, Any]], chunk: int) -> None:
    import io

    text = json.dumps(tasks, indent=1, ensure_ascii=False)
    old = label_studio.CHUNK_CHARACTERS
    label_studio.CHUNK_CHARACTERS = chunk
    try:
        assert list(label_studio.objects(io.BytesIO(text.encode()), "x")) == tasks
    finally:
        label_studio.CHUNK_CHARACTERS = old


@settings(max_examples=100, deadline=None)
@given(task=st.fixed_dictionaries({"id": VALUE, "data": VALUE, "annotations": st.lists(VALUE, max_size=3)}))
def test_odd_tasks_never_break_the_reader(task: dict[str, Any]) -> None:
    from collections import Counter

    for row in label_studio.votes(task, None, Counter()):
        assert row[label_studio.LABEL] is None or isinstance(row[label_studio.LABEL], str)


def test_a_result_that_is_no_list_is_a_vote_that_does_not_count(tmp_path: Path) -> None:
    broken = [annotation(1) | {"result": odd} for odd in (5, "choices", {"type": "choices"}, [{"type": []}])]
    tasks = [*TASKS, {"id": 30, "data": {"text": "odd", "source": "sms"}, "annotations": broken}]
    context = run(tmp_path, path=studio(tmp_path, tasks), text="text")
    found = [row["reason"] for row in rows(context, "votes") if row["item"] == "30"]
    assert found == ["the result is no list"] * 3 + ["no label"]
    assert reasons(context)["30"] == "no vote"
    assert labels(context)["11"] == "spam"


def test_half_a_character_in_a_task_is_a_rejected_row(tmp_path: Path) -> None:
    half = {"id": 31, "data": {"text": "half \ud83d", "source": "sms"}, "annotations": [annotation(1, choice("ham"))]}
    (tmp_path / "half.json").write_text(json.dumps([*TASKS, half]), encoding="ascii")
    context = run(tmp_path, path="half.json", text="text", max_bad_fraction=0.5)
    assert "31" not in labels(context)
    assert labels(context)["11"] == "spam"
    (rejected,) = rows(context, "rejected")
    assert rejected["reason"]
    assert "half" in rejected["raw"]


def test_annotators_that_differ_only_in_case_are_said(tmp_path: Path) -> None:
    both = [annotation({"email": name}, choice("a")) for name in ("a@x", "A@x", "b@x")]
    tasks = [{"id": 1, "data": {"text": "x"}, "annotations": both}]
    context = run(tmp_path, path=studio(tmp_path, tasks), text="text")
    (said,) = [line for line in context.said if "only in case" in line]
    assert "A@x, a@x" in said
    hidden = run(tmp_path, path="export.json", text="text", annotator_names="number")
    assert not any("@x" in line for line in hidden.said if "only in case" in line)
