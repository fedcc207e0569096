"""The file of a checklist: what a test is, and how templates become cases.

    fill:
      food: [noodles, rice]
    tests:
      - {name: plain praise, kind: MFT, templates: ["The {food} is great."], label: pos}
      - {name: names do not matter, kind: INV, templates: ["{who} liked the {food}."], vary: who,
         fill: {who: [Ann, Wei]}}
      - {name: not lowers praise, kind: DIR, templates: ["The {food} is great."], change: [is great, is not great],
         label: pos, direction: falls}

A JSONL file has one test a line. `MFT`: the answer is `label`. `INV`: the answer stays, whichever of the values of
`vary` stands in the template, or when `change` is made, or between the texts of a pair. `DIR`: the probability of
`label` moves in `direction` by at least `least` when `change` is made, or from the first of a pair to the second.
"""

from __future__ import annotations

import itertools
import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from modelyard.base.messages import t
from modelyard.base.yaml import Document, read_yaml
from modelyard.errors import InputError
from modelyard.methods.data.row_random import ranks

Kind = Literal["MFT", "INV", "DIR"]
Text = Annotated[str, Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
Values = Annotated[tuple[Text, ...], Field(min_length=1, max_length=10_000)]
MOST_PRODUCT = 1_000_000


class Test(BaseModel):
    """One test of a checklist."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    kind: Kind
    capability: str = Field("", max_length=200)
    templates: tuple[Text, ...] = Field((), max_length=10_000)
    pairs: tuple[tuple[Text, Text], ...] = Field((), max_length=100_000)
    fill: dict[str, Values] = Field({}, max_length=100)
    label: str | None = Field(None, min_length=1, max_length=1000)
    vary: str | None = Field(None, min_length=1, max_length=100)
    change: tuple[Text, str] | None = None
    direction: Literal["falls", "rises"] | None = None
    least: float = Field(0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _whole(self) -> Test:
        if self.kind == "MFT" and (not self.templates or self.label is None or self.pairs):
            raise ValueError("MFT needs `templates` and a `label`")
        if self.kind == "INV" and not (self.pairs or (self.templates and (self.vary or self.change))):
            raise ValueError("INV needs `pairs`, or `templates` with `vary` or `change`")
        if self.kind == "DIR" and (self.label is None or self.direction is None):
            raise ValueError("DIR needs a `label` and a `direction`")
        if self.kind == "DIR" and not (self.pairs or (self.templates and self.change)):
            raise ValueError("DIR needs `pairs`, or `templates` with `change`")
        return self


class Suite(BaseModel):
    """A whole file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    fill: dict[str, Values] = Field({}, max_length=1000)
    tests: tuple[Test, ...] = Field(min_length=1, max_length=10_000)

    @model_validator(mode="after")
    def _distinct(self) -> Suite:
        names = [one.name for one in self.tests]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names are there twice: {', '.join(twice)}")
        return self


@dataclass(frozen=True)
class Case:
    """Texts that are judged together: one for MFT, the first and its variants for INV, before and after for DIR."""

    texts: tuple[str, ...]


def read(path: Path) -> Suite:
    """A file of tests, YAML or JSONL. Raises InputError naming the place of the first thing that is wrong."""
    if path.suffix.lower() == ".jsonl":
        value = _lines(path)
        lines = Document(path.name, value)
    else:
        lines = read_yaml(path, path.name)
        if lines.problems:
            first = lines.problems[0]
            raise InputError(first.found, where=first.where, expected=first.expected, remedy=first.remedy)
        value = lines.value
    try:
        return Suite.model_validate_json(json.dumps(value))
    except ValidationError as error:
        item = error.errors()[0]
        place = tuple(item["loc"])
        raise InputError(
            t("the checklist cannot be used: {reason}", reason=item["msg"]),
            where=f"{lines.where(place)} ({'.'.join(map(str, place))})",
            expected=t("tests with a name, a kind (MFT, INV, DIR) and templates or pairs"),
        ) from error


def _lines(path: Path) -> dict[str, Any]:
    tests, number = [], 0
    try:
        for line in path.read_text(encoding="utf-8-sig").splitlines():
            number += 1
            if line.strip():
                tests.append(json.loads(line))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            t("the checklist cannot be used: {reason}", reason=error), where=f"{path.name}:{number}"
        ) from error
    return {"tests": tests}


def cases(test: Test, shared: Mapping[str, tuple[str, ...]], most: int, seed: int) -> list[Case]:
    """All cases of a test, or `most` of them, chosen by their texts. Raises InputError for a name without values."""
    found = [Case(pair) for pair in test.pairs]
    for template in test.templates:
        found += _filled(test, template, {**shared, **test.fill})
    unique = list(dict.fromkeys(found))
    if len(unique) <= most:
        return unique
    order = ranks(seed, f"checklist/{test.name}", ["\n".join(case.texts) for case in unique]).argsort(kind="stable")
    return [unique[place] for place in sorted(order[:most].tolist())]


def _filled(test: Test, template: str, values: Mapping[str, tuple[str, ...]]) -> list[Case]:
    names = _names(test, template)
    unknown = [name for name in names if name not in values]
    if unknown:
        raise InputError(
            t("no values for {names}", names=", ".join(unknown)), where=test.name, expected=", ".join(values) or "fill"
        )
    if test.vary is not None and test.vary not in names:
        return []
    free = [name for name in names if name != test.vary]
    total = 1
    for name in free:
        total *= len(values[name])
    if total > MOST_PRODUCT:
        raise InputError(t("a template has {count} fillings", count=total), where=test.name, expected=str(MOST_PRODUCT))
    found = []
    for chosen in itertools.product(*(values[name] for name in free)):
        filling = dict(zip(free, chosen, strict=True))
        case = _case(test, template, filling, values)
        if case is not None:
            found.append(case)
    return found


def _case(test: Test, template: str, filling: Mapping[str, str], values: Mapping[str, tuple[str, ...]]) -> Case | None:
    if test.vary is not None:
        return Case(tuple(template.format(**filling, **{test.vary: value}) for value in values[test.vary]))
    text = template.format(**filling)
    if test.change is None:
        return Case((text,))
    after = text.replace(test.change[0], test.change[1])
    return None if after == text else Case((text, after))


def _names(test: Test, template: str) -> list[str]:
    """Names in braces, each once."""
    try:
        found = [(name, more, how) for _, name, more, how in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise InputError(t("a template cannot be read: {reason}", reason=error), where=test.name) from error
    strange = [name for name, more, how in found if not name.isidentifier() or more or how]
    if strange:
        raise InputError(
            t("a template has strange braces: {names}", names=", ".join(strange)),
            where=test.name,
            expected=t("names in single braces; a brace itself is doubled"),
        )
    return list(dict.fromkeys(name for name, _, _ in found))
