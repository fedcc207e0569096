"""The file of concepts: what stands for a concept, and what does not.

    concepts:
      - name: slow delivery
        positive: ["送得太慢了", "等了两个小时"]
        negative: ["送得很快", "半小时就到了"]

Examples are texts, rows of a table (`{age: 30, city: Oslo}`) with every column the model reads, or pictures: files
(`striped/1.png`) or one folder of them (`positive: striped`), beside the file of concepts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelyard.base.messages import t
from modelyard.base.yaml import read_yaml
from modelyard.errors import InputError, Problem
from modelyard.methods.evaluation.checklist.mistakes import MOST, problem
from modelyard.methods.runtimes.predictor import Record

FEWEST = 5
"""Examples on each side: five folds hold one of each out."""
Cell = str | int | float | bool | None
Example = Annotated[str, Field(min_length=1, max_length=10_000)] | dict[str, Cell]
Examples = Annotated[tuple[Example, ...], Field(min_length=FEWEST, max_length=10_000)]
Given = Examples | Annotated[str, Field(min_length=1, max_length=1000)]
"""Examples one by one, or a folder of pictures."""


class Concept(BaseModel):
    """A concept by its examples."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=100)
    positive: Given
    negative: Given


class Concepts(BaseModel):
    """A whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(1, ge=1, le=1)
    concepts: tuple[Concept, ...] = Field(min_length=1, max_length=200)


def read(path: Path) -> tuple[Concept, ...]:
    """The concepts of a YAML or JSON file. Raises InputError that lists what is wrong, each with its line."""
    lines = read_yaml(path, path.name)
    if lines.problems:
        raise InputError.of(lines.problems[:MOST])
    if not isinstance(lines.value, dict):
        raise InputError(t("the file holds no mapping"), where=path.name, expected="concepts: [{name: …, …}]")
    try:
        found = Concepts.model_validate_json(json.dumps(lines.value)).concepts
    except ValidationError as error:
        raise InputError.of([problem(item, lines, Concept, Concepts) for item in error.errors()][:MOST]) from error
    names = [one.name for one in found]
    twice = [
        Problem(lines.where(("concepts", at, "name")), t("the name `{name}` is there twice", name=name),
                t("a name of its own"))
        for at, name in enumerate(names) if name in names[:at]
    ]  # fmt: skip
    if twice:
        raise InputError.of(twice[:MOST])
    return found


def records(concept: Concept, examples: Given, columns: Sequence[str]) -> list[Record]:
    """What the model is asked. Raises InputError where texts and rows are mixed up, or a row lacks a column.

    Args:
        columns: that a model of tables reads; empty for one of texts.
    """
    if isinstance(examples, str):
        raise InputError(
            t("the concept `{name}` names a folder, and the model reads no pictures", name=concept.name),
            where=examples,
            expected=t("a list of texts, or of rows"),
        )
    found: list[Record] = []
    for example in examples:
        if columns and (isinstance(example, str) or not set(columns) <= set(example)):
            lacking = [] if isinstance(example, str) else sorted(set(columns) - set(example))
            raise InputError(
                t("an example of the concept `{name}` is no whole row", name=concept.name),
                where=", ".join(lacking[:10]),
                expected=t("rows with the columns {columns}", columns=", ".join(columns)),
            )
        if not columns and not isinstance(example, str):
            raise InputError(
                t("an example of the concept `{name}` is a row, and the model reads texts", name=concept.name),
                expected=t("texts"),
            )
        found.append({"text": example} if isinstance(example, str) else dict(example))
    return found
