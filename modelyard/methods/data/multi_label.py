"""A cell that holds several labels of one row: a JSON list `["a", "b"]`, or names joined by `;`."""

from __future__ import annotations

import json
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.labels import missing

JOIN = ";"


def parse_labels(value: Any) -> tuple[str, ...] | None:
    """The labels of one row, each once, in the order written; None if the cell is empty, so that nothing is known.

    `[]` says that no label fits the row; an empty cell says nothing. A name that holds `;` needs the JSON form.

    Args:
        value: the cell: a string, or a list as Arrow and JSON give it.

    Raises:
        InputError: it begins as a JSON list and is none, or an element is no name.
    """
    if not isinstance(value, list | tuple) and missing(value):
        return None
    if isinstance(value, str):
        found: Any = _listed(value) if value.lstrip().startswith("[") else _joined(value)
    else:
        found = value if isinstance(value, list | tuple) else [value]
    return tuple(dict.fromkeys(_name(one, value) for one in found))


def labels_json(labels: tuple[str, ...]) -> str:
    """The labels of one row as they are stored."""
    return json.dumps(list(labels), ensure_ascii=False)


def _joined(text: str) -> list[str]:
    return [part for part in (part.strip() for part in text.split(JOIN)) if part]


def _listed(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise _bad(text)
    return found


def _name(one: Any, whole: Any) -> str:
    """A label's name: a string that is not blank, or a whole number as it is written."""
    text = one.strip() if isinstance(one, str) else str(one)
    if not text or isinstance(one, bool) or not isinstance(one, str | int):
        raise _bad(whole)
    return text


def _bad(value: Any) -> InputError:
    return InputError(
        t("`{value}` is no list of labels", value=str(value)[:60]),
        expected=t('`["a", "b"]`, or names joined by `;`'),
        remedy=t("write the labels of a row as a JSON list"),
    )
