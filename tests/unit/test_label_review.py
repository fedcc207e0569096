"""A person's way through a queue, in the terminal and through Label Studio."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from modelyard.errors import InputError
from modelyard.methods.data.labelling import label_studio, queue
from modelyard.methods.data.labelling.answers import parse
from modelyard.methods.data.labelling.queue import Item, Queue
from modelyard.methods.data.labelling.review import Review, answer_to

QUEUE = Queue(
    (
        Item("r1", "win money", None, "ham", "spam", 0.1, 0.9, "issue"),
        Item("r2", "see you", None, "ham", "spam", 0.2, 0.8, "issue"),
        Item("r3", "new text", None, None, "ham", 0.5, 0.5, "next"),
    ),
    ("ham", "spam"),
    "sha256:77",
)
TIME = "2026-03-01T09:00:00Z"


def test_a_queue_comes_back_as_it_was_written(tmp_path):
    queue.write(tmp_path, QUEUE.items, QUEUE.labels)
    assert queue.read(tmp_path, "sha256:77") == QUEUE


def test_a_folder_that_is_no_queue_says_so(tmp_path):
    with pytest.raises(InputError, match="not a queue"):
        queue.read(tmp_path)


def test_a_review_goes_on_where_the_author_was_and_not_where_another_was():
    mine = [answer_to(QUEUE.items[0], "spam", "li", TIME, QUEUE)]
    assert Review.resume(QUEUE, mine, "li").current.row_id == "r2"
    assert Review.resume(QUEUE, mine, "wu").current.row_id == "r1"


def test_undo_takes_the_answer_back_on_the_record_and_asks_again():
    review = Review.resume(QUEUE, [], "li")
    lines = [review.answer("spam", TIME)]
    review.skip()
    assert review.undo(TIME) == (True, None)
    assert review.current.row_id == "r2"
    _, back = review.undo(TIME)
    lines.append(back)
    assert review.current.row_id == "r1"
    assert review.undo(TIME) == (False, None)
    text = "\n".join(line.to_line() for line in lines)
    assert Review.resume(QUEUE, parse(text.encode(), "a")[0], "li").current.row_id == "r1"


def test_a_row_whose_label_has_become_another_is_asked_about_again():
    old = answer_to(Item("r1", "win money", None, "eggs", "spam", 0, 0, "issue"), "bacon", "li", TIME, QUEUE)
    assert Review.resume(QUEUE, [old], "li").current.row_id == "r1"


def annotated(task, label, **changes):
    annotation = {
        "completed_by": {"id": 7, "email": "li@example.org"},
        "was_cancelled": False,
        "created_at": TIME,
        "updated_at": "2026-03-01T09:05:00Z",
        "result": [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}],
    }
    return {"id": 1, **task, "annotations": [{**annotation, **changes}]}


def read(tasks):
    return label_studio.read(json.dumps(tasks).encode(), QUEUE, "export.json")


def test_tasks_come_back_from_label_studio_as_answers():
    tasks = label_studio.tasks(QUEUE)
    assert [task["predictions"][0]["result"][0]["value"]["choices"] for task in tasks] == [["spam"], ["spam"], ["ham"]]
    found = read([annotated(task, label) for task, label in zip(tasks, ("spam", "ham", "spam"), strict=True)])
    assert [(one.row_id, one.before, one.after) for one in found.answers] == [
        ("r1", "ham", "spam"), ("r2", "ham", "ham"), ("r3", None, "spam"),
    ]  # fmt: skip
    assert {(one.author, one.time, one.source) for one in found.answers} == {
        ("label-studio:li@example.org", "2026-03-01T09:05:00Z", "sha256:77")
    }
    assert found.left.total() == 0


def test_json_min_comes_back_too():
    flat = [{**task["data"], "id": 1, "label": "spam", "annotator": 3} for task in label_studio.tasks(QUEUE)]
    found = read(flat)
    assert [one.after for one in found.answers] == ["spam"] * 3
    assert found.answers[0].author == "label-studio:3"


def test_foreign_changed_and_unfinished_tasks_are_left_and_said():
    one, two, three = label_studio.tasks(QUEUE)
    foreign = {"data": {**one["data"], "row_id": "zz"}}
    changed = {"data": {**two["data"], "text": "see you soon"}}
    tasks = [
        annotated(foreign, "spam"),
        annotated(changed, "spam"),
        annotated(three, "spamm"),
        annotated(one, "spam", was_cancelled=True),
        annotated(one, "spam", result=[{"from_name": "label", "value": {"choices": ["ham", "spam"]}}]),
    ]
    found = read(tasks)
    assert found.answers == []
    assert dict(found.left) == {
        "foreign task": 1, "changed task": 1, "unknown label": 1, "no answer yet": 1, "not one label": 1,
    }  # fmt: skip
    assert any("did you mean `spam`?" in note for note in found.notes)


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "null", "[" * 50_000])
def test_what_is_no_export_is_an_error(text):
    with pytest.raises(InputError):
        label_studio.read(text.encode(), QUEUE, "export.json")


@pytest.mark.parametrize(
    "task",
    [
        {"data": None, "annotations": None},
        {
            "data": {"row_id": "r1", "text": "win money"},
            "annotations": [None, 3, {"result": 5}, {"result": [None, {}]}],
        },
        {"data": {"row_id": ["r1"]}, "annotations": []},
        {"row_id": "r1", "text": "win money", "label": {"choices": 5}},
    ],
)
def test_odd_tasks_give_no_answer_and_no_fault(task):
    assert read([task]).answers == []


def test_the_labelling_configuration_offers_every_label_and_is_xml():
    odd = Queue(QUEUE.items, ('a "b" <c> & d', "猫"), "")
    root = ElementTree.fromstring(label_studio.config(odd))
    assert [choice.get("value") for choice in root.iter("Choice")] == ['a "b" <c> & d', "猫"]


def test_an_image_travels_inside_its_task():
    picture = Queue((Item("p", None, b"\x89PNG1234", "cat", "dog", 0.1, 0.9, "issue"),), ("cat", "dog"), "")
    (task,) = label_studio.tasks(picture)
    assert task["data"]["image"].startswith("data:image/png;base64,")
    assert "<Image" in label_studio.config(picture)
    assert len(label_studio.read(json.dumps([annotated(task, "dog")]).encode(), picture, "e").answers) == 1
