"""JSON Schema (draft 2020-12) of the project file, for editors: completion, hover help and red lines while typing.

Each stage's settings come from its Config, chosen by `uses`. The schema is as strict as JSON Schema can be; what needs
more than one place (bindings, claims) only `modelyard check` can say.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from modelyard.core.artifact import SPLITS
from modelyard.core.stage import Stage
from modelyard.engine.catalog import FoundStage, find, names
from modelyard.engine.project_file import MAX_SEED, PROJECT_NAME, SECRET, STEP_NAME
from modelyard.engine.repeat.settings import FoldsConfig, SearchConfig
from modelyard.engine.stage_help import docstring, schema_in_language

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def project_schema(stages: Iterable[FoundStage] | None = None) -> dict[str, Any]:
    """The schema of the project file, its descriptions in the user's language.

    Args:
        stages: those to describe; None means every installed one that can be loaded.
    """
    known = list(stages) if stages is not None else [stage for name in names() if (stage := find(name, Path())[0])]
    definitions: dict[str, Any] = {"reference": _REFERENCE, "rule": _RULE}
    branches = [_branch(stage, definitions) for stage in known]
    definitions["use"] = _step([stage.uses for stage in known], branches)
    definitions["step"] = _any_step(definitions)
    schema = {
        "$schema": DRAFT,
        "title": "Modelyard project",
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "project", "steps"],
        "properties": {
            "version": {"const": 1, "description": "Version of the file's format."},
            "project": _pattern(PROJECT_NAME.pattern, "The project's name; its releases bear it."),
            "seed": _seed("Of every step that has none of its own."),
            "steps": {
                "type": "object",
                "minProperties": 1,
                "description": "From top to bottom.",
                "propertyNames": _pattern(STEP_NAME.pattern, "The step's name."),
                "additionalProperties": {"$ref": "#/$defs/step"},
            },
            "release": _RELEASE,
        },
        "$defs": definitions,
    }
    translated: dict[str, Any] = schema_in_language(schema)
    return translated


def _seed(description: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": MAX_SEED, "description": description}


def _pattern(pattern: str, description: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^(?:{pattern})$", "description": description}


_REFERENCE: dict[str, Any] = {
    "type": "string",
    "pattern": r"^[a-z][a-z0-9_-]*(\.[A-Za-z0-9_]+)?$",
    "description": "`step` or `step.port` of a step above.",
}

_RULE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["claim"],
    "oneOf": [{"required": ["min"]}, {"required": ["max"]}],
    "properties": {
        "claim": {"type": "string", "minLength": 1, "description": "Name of the claim, such as quality.accuracy."},
        "min": {"type": "number", "description": "The lower end of the 95 % interval must be at least this."},
        "max": {"type": "number", "description": "The upper end of the 95 % interval must be at most this."},
        "of": {"$ref": "#/$defs/reference", "description": "Whose evidence, instead of the released model's."},
        "on": {"enum": list(SPLITS), "description": "The split it must be measured on; test unless said otherwise."},
        "slice": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": ["string", "number", "boolean"]},
            "description": "The subgroup, as column: value.",
        },
    },
}

_RELEASE: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["model"],
    "description": "Which model is released, and what must hold. Without rules the release is a draft.",
    "properties": {
        "model": {"$ref": "#/$defs/reference", "description": "The step whose model is released."},
        "rules": {"type": ["array", "null"], "items": {"$ref": "#/$defs/rule"}},
    },
}


def _step(uses: list[str], branches: list[dict[str, Any]]) -> dict[str, Any]:
    references = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/reference"}}
    return {
        "type": "object",
        "required": ["uses"],
        "additionalProperties": False,
        "properties": {
            "uses": {
                "description": "The stage: its name, or the path of a file of your own that begins with ./",
                "anyOf": [{"enum": uses}, {"type": "string", "pattern": r"^\.{1,2}/.*\.py$"}],
            },
            "with": {"type": ["object", "null"], "description": "The stage's settings."},
            "seed": _seed("Of this step alone, such as of one of several networks that answer together."),
            "in": {
                "type": ["object", "null"],
                "description": "Inputs by name; what is not named binds to the nearest output of its kind above.",
                "additionalProperties": {"anyOf": [{"$ref": "#/$defs/reference"}, references]},
            },
        },
        "allOf": branches,
    }


def _any_step(definitions: dict[str, Any]) -> dict[str, Any]:
    """A step with `uses`, or one that repeats others."""
    other: dict[str, Any] = {"$ref": "#/$defs/use"}
    for key, config in (("folds", FoldsConfig), ("search", SearchConfig)):
        schema = config.model_json_schema(ref_template=f"#/$defs/{key}.{{model}}")
        definitions.update({f"{key}.{name}": definition for name, definition in schema.pop("$defs", {}).items()})
        definitions[key] = schema
        then = {"additionalProperties": False, "properties": {key: {"$ref": f"#/$defs/{key}"}}}
        other = {"if": {"type": "object", "required": [key]}, "then": then, "else": other}
    return other


def _branch(found: FoundStage, definitions: dict[str, Any]) -> dict[str, Any]:
    """`if` the step uses this stage `then` its settings and input ports hold."""
    schema = found.stage.config.model_json_schema(ref_template=f"#/$defs/{found.name}.{{model}}")
    for name, definition in schema.pop("$defs", {}).items():
        definitions[f"{found.name}.{name}"] = _with_secret_pattern(name, definition)
    settings = schema.get("required", [])
    schema["title"] = found.uses
    schema["description"] = docstring(found)
    definitions[found.name] = schema
    reference = {"$ref": f"#/$defs/{found.name}"}
    with_settings = reference if settings else {"anyOf": [reference, {"type": "null"}]}
    then: dict[str, Any] = {"properties": {"with": with_settings, "in": _inputs(found.stage)}}
    if settings:
        then["required"] = ["with"]
    return {"if": {"properties": {"uses": {"const": found.uses}}, "required": ["uses"]}, "then": then}


def _with_secret_pattern(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    if name != "SecretName":
        return definition
    secret = _pattern(SECRET.pattern, "Name of a secret: an environment variable, or a key file of the store.")
    return {**definition, "additionalProperties": False, "properties": {"secret": secret}}


def _inputs(stage: Stage) -> dict[str, Any]:
    ports = {name: {"description": port.description} for name, port in stage.inputs.items() if port.kind != "record"}
    return {"type": ["object", "null"], "properties": ports, "propertyNames": {"enum": list(ports)}}
