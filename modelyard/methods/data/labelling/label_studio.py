"""A queue as Label Studio tasks with suggestions, and its export back to answers.

Tasks carry the row id and the queue's digest in their data; the export is JSON or JSON-MIN (Label Studio, "Export
annotations": a task has `data` and `annotations`, each with `result`; JSON-MIN has the data's fields and the label
side by side).
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import quoteattr

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.data.labelling.answers import Answer
from modelyard.methods.data.labelling.queue import Item, Queue
from modelyard.methods.data.labelling.review import answer_to

NAME = "label"
AUTHOR = "label-studio"
MAGIC = {b"\x89PNG": "png", b"\xff\xd8": "jpeg", b"GIF8": "gif", b"BM": "bmp", b"RIFF": "webp"}


def config(queue: Queue) -> str:
    """The labelling interface: the text or picture, the label it has, and a choice of all labels."""
    picture = any(item.image is not None for item in queue.items)
    kind, field_ = ("Image", "image") if picture else ("Text", "text")
    choices = "\n".join(f"    <Choice value={quoteattr(label)}/>" for label in queue.labels)
    return (
        f'<View>\n  <{kind} name="{field_}" value="${field_}"/>\n'
        f'  <Header value="$given"/>\n  <Choices name="{NAME}" toName="{field_}" choice="single" showInLine="true">\n'
        f"{choices}\n  </Choices>\n</View>\n"
    )


def tasks(queue: Queue) -> list[dict[str, Any]]:
    """One task a row, with the suggested label as a prediction."""
    return [_task(item, queue) for item in queue.items]


def _task(item: Item, queue: Queue) -> dict[str, Any]:
    data: dict[str, Any] = {"row_id": item.row_id, "given": item.given or "", "why": item.why, "queue": queue.digest}
    if item.image is not None:
        kind = next((name for magic, name in MAGIC.items() if item.image.startswith(magic)), "png")
        data["image"] = f"data:image/{kind};base64,{base64.b64encode(item.image).decode('ascii')}"
    else:
        data["text"] = item.text or ""
    if item.suggested is None:
        return {"data": data}
    field_ = "text" if item.image is None else "image"
    result = {"from_name": NAME, "to_name": field_, "type": "choices", "value": {"choices": [item.suggested]}}
    return {"data": data, "predictions": [{"model_version": "modelyard", "score": item.confidence, "result": [result]}]}


@dataclass
class Imported:
    """What an export came to.

    Attributes:
        answers: in the order of the export.
        left: annotations and tasks that gave no answer, by reason.
        notes: a line for each of the first of them.
    """

    answers: list[Answer] = field(default_factory=list)
    left: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def leave(self, reason: str, detail: str) -> None:
        self.left[reason] += 1
        if len(self.notes) < 10:
            self.notes.append(detail)


def read(data: bytes, queue: Queue, where: str) -> Imported:
    """The answers of an export. Tasks that are not of this queue, or whose text was changed, are left and said.

    Raises:
        InputError: it is no export of Label Studio.
    """
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(t("not JSON: {error}", error=error), where=where) from None
    if not isinstance(value, list) or not all(isinstance(task, dict) for task in value):
        raise InputError(t("no list of tasks"), where=where, expected=t("Label Studio's export as JSON or JSON-MIN"))
    items = {item.row_id: item for item in queue.items}
    found = Imported()
    for number, task in enumerate(value, 1):
        _read_task(task, f"{where}, {t('task {n}', n=number)}", items, queue, found)
    return found


def _read_task(task: Mapping[str, Any], place: str, items: Mapping[str, Item], queue: Queue, found: Imported) -> None:
    data = task["data"] if isinstance(task.get("data"), dict) else task
    row_id = data.get("row_id")
    item = items.get(row_id) if isinstance(row_id, str) else None
    if item is None:
        found.leave("foreign task", t("{place}: its row is not in the queue", place=place))
        return
    if item.text is not None and data.get("text") != item.text:
        found.leave("changed task", t("{place}: its text is not that of the row", place=place))
        return
    votes = list(_votes(task))
    if not votes:
        found.leave("no answer yet", t("{place}: nobody has answered", place=place))
    for author, time, labels in votes:
        if len(labels) != 1:
            found.leave("not one label", t("{place}: {n} labels, not one", place=place, n=len(labels)))
        elif queue.labels and labels[0] not in queue.labels:
            hint = did_you_mean(labels[0], list(queue.labels)[:20])
            unknown = t("{place}: no row has the label `{label}`", place=place, label=labels[0])
            found.leave("unknown label", f"{unknown}; {hint}")
        else:
            found.answers.append(answer_to(item, labels[0], author, time, queue, place=place))


def _votes(task: Mapping[str, Any]) -> Iterator[tuple[str, str, Sequence[str]]]:
    """(author, time, labels) of every annotation that was not cancelled."""
    if not isinstance(task.get("annotations"), list):
        label = task.get(NAME)
        if label is not None:
            yield _author(task.get("annotator")), _time(task), _labels(label)
        return
    for one in task["annotations"]:
        if isinstance(one, dict) and not one.get("was_cancelled"):
            results = one.get("result") if isinstance(one.get("result"), list) else []
            chosen = [part for part in results or [] if isinstance(part, dict) and part.get("from_name") == NAME]
            values = [
                part.get("value", {}).get("choices", []) for part in chosen if isinstance(part.get("value"), dict)
            ]
            yield _author(one.get("completed_by")), _time(one), [label for value in values for label in _labels(value)]


def _labels(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = value.get("choices", [])
    return [value] if isinstance(value, str) else [str(label) for label in value] if isinstance(value, list) else []


def _author(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    return f"{AUTHOR}:{value}" if value not in (None, "") else AUTHOR


def _time(value: Mapping[str, Any]) -> str:
    found = value.get("updated_at") or value.get("created_at") or ""
    return found if isinstance(found, str) else ""
