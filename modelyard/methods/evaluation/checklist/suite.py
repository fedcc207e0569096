"""The file of a checklist: what a test is.

    fill:
      food: [noodles, rice]
    tests:
      - {name: plain praise, kind: MFT, templates: ["The {food} is great."], label: pos}
      - {name: names do not matter, kind: INV, templates: ["{who} liked the {food}."], vary: who,
         fill: {who: [Ann, Wei]}}
      - {name: not lowers praise, kind: DIR, templates: ["The {food} is great."], change: [is great, is not great],
         label: pos, direction: falls}
      - {name: age raises the price, kind: DIR, rows: [{age: 30, rooms: 4}], set: {age: 60}, direction: rises}

A JSONL file has one test a line. `MFT`: the answer is what is written: `label`, all of `labels`, the `spans`, or a
number between the two of `value`. `INV`: the answer stays, whichever of the values of `vary` stands in the template (or
the column), or when `change` or `set` is made, or between the texts of a pair. `DIR`: the probability of `label`, or
the number, moves in `direction` by at least `least` when `change` or `set` is made, or from the first of a pair to the
second. Models of texts have `templates` and `pairs`, models of tables `rows`; `base` holds what a row does not say.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from modelyard.base.messages import t
from modelyard.base.yaml import Document, KeyPath, read_yaml
from modelyard.errors import InputError, Problem
from modelyard.methods.evaluation.checklist import mistakes

Kind = Literal["MFT", "INV", "DIR"]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Values = Annotated[tuple[Text, ...], Field(min_length=1, max_length=10_000)]
Cell = str | int | float | bool | None
Row = dict[str, Cell]
Label = Annotated[str, Field(min_length=1, max_length=1000)]


class MarkedText(BaseModel):
    """A span that a model should mark: what stands there, and what it is called. Its text may name a fill-in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: Text
    label: Label


class Test(BaseModel):
    """One test of a checklist."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Kind
    capability: str = Field("", max_length=200)
    templates: tuple[Text, ...] = Field((), max_length=10_000)
    pairs: tuple[tuple[Text, Text], ...] = Field((), max_length=100_000)
    rows: tuple[Row, ...] = Field((), max_length=100_000)
    fill: dict[str, Values] = Field({}, max_length=100)
    label: Label | None = None
    labels: tuple[Label, ...] | None = Field(None, max_length=1000)
    spans: tuple[MarkedText, ...] | None = Field(None, max_length=1000)
    value: tuple[float, float] | None = None
    vary: str | None = Field(None, min_length=1, max_length=100)
    change: tuple[Text, str] | None = None
    set: Row | None = Field(None, min_length=1, max_length=1000)
    direction: Literal["falls", "rises"] | None = None
    least: float = Field(0.0, ge=0)
    tolerance: float = Field(0.0, ge=0)


class Suite(BaseModel):
    """A whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    fill: dict[str, Values] = Field({}, max_length=1000)
    base: Row = Field({}, max_length=10_000)
    tests: tuple[Test, ...] = Field(min_length=1, max_length=10_000)
    _places: dict[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _sound(self) -> Suite:
        found = list(_mistakes(self))
        if found:
            raise ValueError(found[0][1].found)
        return self

    def where(self, test: Test) -> str:
        """File and line of a test, or its name if it came from no file."""
        return self._places.get(test.name, test.name)


def read(path: Path) -> Suite:
    """A file of tests, YAML or JSONL. Raises InputError that lists everything that is wrong, each with its line."""
    lines = _lines(path) if path.suffix.lower() == ".jsonl" else read_yaml(path, path.name)
    if lines.problems:
        raise InputError.of(lines.problems[: mistakes.MOST])
    if not isinstance(lines.value, dict):
        raise InputError(t("the file holds no mapping"), where=path.name, expected="tests: [{name: …, kind: MFT, …}]")
    try:
        suite = Suite.model_validate_json(json.dumps(lines.value))
    except ValidationError as error:
        problems = [mistakes.problem(item, lines, Test, Suite) for item in error.errors() if item["loc"]]
        raise InputError.of((problems or _whole(lines))[: mistakes.MOST]) from error
    suite._places.update({test.name: lines.where(("tests", at)) for at, test in enumerate(suite.tests)})
    return suite


def _whole(lines: Document) -> list[Problem]:
    """What is wrong between the fields of tests that are right one by one."""
    loose = Suite.model_construct(**{name: value for name, value in lines.value.items() if name != "tests"})
    tests = tuple(Test.model_validate_json(json.dumps(value)) for value in lines.value["tests"])
    fill = {name: tuple(values) for name, values in lines.value.get("fill", {}).items()}
    found = _mistakes(loose.model_copy(update={"tests": tests, "fill": fill}))
    return [Problem(lines.where(place), one.found, one.expected, one.remedy) for place, one in found]


def _mistakes(suite: Suite) -> Iterator[tuple[KeyPath, Problem]]:
    seen: dict[str, int] = {}
    for at, test in enumerate(suite.tests):
        if test.name in seen:
            twice = Problem("", t("the name `{name}` is there twice", name=test.name), t("a name of its own"))
            yield ("tests", at, "name"), twice
        seen[test.name] = at
        for field, one in mistakes.of_test(test, suite.fill):
            yield ("tests", at, field), one


def _lines(path: Path) -> Document:
    tests: list[Any] = []
    places: dict[KeyPath, int] = {}
    problems: list[Problem] = []
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        return Document(
            path.name, None, (Problem(path.name, t("the checklist cannot be used: {reason}", reason=error)),)
        )
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            json.dumps(value, ensure_ascii=False).encode()  # half a surrogate is no text
        except (ValueError, RecursionError) as error:
            reason = t("the checklist cannot be used: {reason}", reason=error)
            problems.append(Problem(f"{path.name}:{number}", reason, t("one test a line, as JSON")))
            continue
        places["tests", len(tests)] = number
        if isinstance(value, dict):
            places |= {("tests", len(tests), key): number for key in value}
        tests.append(value)
    return Document(path.name, {"tests": tests}, tuple(problems), places, places)
