"""What a stage says about itself, in the user's language: its help, its settings, its ports and claims.

A stage file holds its texts in English. They are looked up in the catalogue when they are shown, paragraph by
paragraph, so that a stage file knows of no language; a stage of one's own, without an entry, speaks as it is written.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelyard.base.messages import language, t
from modelyard.core.stage import Port, Stage
from modelyard.engine.catalog import FoundStage, find, names

_BETWEEN = re.compile(r"(\n\s*\n|\n(?=- ))")
_VALUES = ("default", "const", "enum", "examples")
"""Keys of a JSON Schema under which stand values, not schemas: a `description` there is data."""


@dataclass(frozen=True)
class StageHelp:
    """What `modelyard stages NAME` shows.

    Attributes:
        name: the stage's name.
        docstring: its help.
        settings: JSON Schema of its Config.
        stage: its ports, claims and libraries, as it declares them.
    """

    name: str
    docstring: str
    settings: dict[str, Any]
    stage: Stage = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "docstring": self.docstring,
            "settings": self.settings,
            "inputs": _ports(self.stage.inputs),
            "outputs": _ports(self.stage.outputs),
            "claims": [{**vars(claim), "description": in_language(claim.description)} for claim in self.stage.claims],
            "libraries": list(self.stage.libraries),
            "extra": self.stage.extra,
        }


def summaries() -> dict[str, str]:
    """By name the first line of every installed stage's help, or what is wrong with the stage. Imports them all."""
    found = {}
    for name in names():
        stage, problems = find(name, Path())
        found[name] = problems[0].found if stage is None else describe(stage).docstring.split("\n", 1)[0]
    return found


def describe(found: FoundStage) -> StageHelp:
    """A stage's help, settings, ports and claims."""
    settings = schema_in_language(found.stage.config.model_json_schema())
    settings.pop("description", None)  # `Settings of …`: the docstring says more
    return StageHelp(found.name, in_language(docstring(found)), settings, found.stage)


def docstring(found: FoundStage) -> str:
    """The help of a stage's file as it is written."""
    module = inspect.getmodule(found.stage.run)
    return inspect.cleandoc((module.__doc__ if module else "") or "")


def in_language(text: str) -> str:
    """A text of a stage in the user's language: each of its paragraphs as the catalogue has it."""
    if language() == "en":
        return text
    parts = _BETWEEN.split(text)
    return "".join(t(key_of(part)) if place % 2 == 0 else part for place, part in enumerate(parts))


def keys_of(text: str) -> list[str]:
    """The keys into the catalogue that a text needs: one a paragraph, or an item of a list."""
    return [key for part in _BETWEEN.split(text)[::2] if (key := key_of(part))]


def key_of(paragraph: str) -> str:
    """A paragraph without the line breaks that only keep its file narrow."""
    return " ".join(paragraph.split())


def schema_in_language(schema: Any) -> Any:
    """A JSON Schema with every `description` in the user's language."""
    if isinstance(schema, list):
        return [schema_in_language(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        key: in_language(value)
        if key == "description" and isinstance(value, str)
        else value
        if key in _VALUES
        else schema_in_language(value)
        for key, value in schema.items()
    }


def descriptions(schema: Any) -> Iterator[str]:
    """Every `description` of a JSON Schema, at any depth."""
    if isinstance(schema, list):
        for item in schema:
            yield from descriptions(item)
    elif isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == "description" and isinstance(value, str):
                yield value
            elif key not in _VALUES:
                yield from descriptions(value)


def _ports(ports: Mapping[str, Port]) -> dict[str, Any]:
    return {name: {**vars(port), "description": in_language(port.description)} for name, port in ports.items()}
