"""A step's `with` against its stage's Config: every problem at the line of the very setting.

Validation is strict and as from JSON, so that YAML's own types count: the text "2" is no number, `on` is no truth
value, a list is fine where a tuple is declared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath
from modelyard.core.project import SecretName
from modelyard.core.stage import Stage
from modelyard.engine.fields import Fields, kind_of, shown
from modelyard.engine.stage_help import in_language

Loc = tuple[str | int, ...]

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "dataclass": "a mapping",
    "path": "a path",
}


def read_settings(stage: Stage, settings: Mapping[str, Any], path: KeyPath, fields: Fields) -> Any | None:
    """The Config, or None when problems were noted.

    Args:
        settings: the step's `with`, secrets marked.
        path: of `with` in the project.
        fields: gathers the problems.
    """
    value = _jsonable(settings)
    try:
        return stage.config.model_validate_json(json.dumps(value), strict=True)
    except ValidationError as error:
        groups: dict[KeyPath, list[Mapping[str, Any]]] = {}
        for item in error.errors(include_url=False):
            groups.setdefault(_place(value, item), []).append(dict(item))
        for place, items in groups.items():
            _note(stage.config, settings, place, items, path, fields)
    except Exception as error:  # for instance a limit on a union, which fails with TypeError when a value comes
        found = t("the stage's own check failed: {kind}: {error}", kind=type(error).__name__, error=error)
        fields.note(path, found, remedy=t("the stage must be mended: its Config should raise ValueError"))
    return None


def _jsonable(value: Any) -> Any:
    if isinstance(value, SecretName):
        return {"secret": value.secret}
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, list) else value


def _place(value: Any, item: Mapping[str, Any]) -> KeyPath:
    """The part of an error's location that is in the settings; the rest names members of a union."""
    path: list[str | int] = []
    for part in item["loc"]:
        inside = (isinstance(value, Mapping) and part in value) or (
            isinstance(value, Sequence) and not isinstance(value, str) and isinstance(part, int) and part < len(value)
        )
        if not inside:
            if item["type"] == "missing":
                path.append(item["loc"][-1])
            break
        path.append(part)
        value = value[part]
    return tuple(path)


def _note(
    config: type[BaseModel],
    settings: Mapping[str, Any],
    place: KeyPath,
    items: list[Mapping[str, Any]],
    path: KeyPath,
    fields: Fields,
) -> None:
    """One problem for one setting, whatever the number of union members that refused it."""
    first = items[0]
    dotted = ".".join(str(part) for part in place)
    about = _description(config, place)
    if first["type"] == "missing":
        found = t("the setting `{name}` is missing", name=dotted)
        fields.note((*path, *place[:-1]), found, about or t("a value"))
    elif first["type"] == "extra_forbidden":
        known = _known(config, place[:-1])
        found = t("unknown setting `{name}`", name=dotted)
        fields.note((*path, *place), found, remedy=did_you_mean(str(place[-1]), known))
    else:
        value = _at(settings, place)
        found = _found(dotted, value, first)
        expected = _either(list(dict.fromkeys(_expected(item) for item in items)))
        if about and place:
            expected = f"{expected} ({about})"
        choices = [choice for item in items for choice in _choices(item)]
        near = did_you_mean(value, choices) if isinstance(value, str) and choices else ""
        fields.note((*path, *place), found, expected, near if "`" in near else "", of_value=bool(place))


def _found(dotted: str, value: object, item: Mapping[str, Any]) -> str:
    if not dotted:
        return t("the settings do not go together")
    if isinstance(value, SecretName):
        return t(
            "`{name}` is the secret `{secret}`, which this setting does not take", name=dotted, secret=value.secret
        )
    if item["type"] == "password_in_url":  # the value is not shown: it holds the password
        return t("`{name}` holds a password", name=dotted)
    if isinstance(value, str) and not item["type"].startswith(("string_", "literal", "enum", "value_")):
        return t("`{name}` is the text {value}", name=dotted, value=shown(value))
    if value is None or isinstance(value, Mapping):
        return t("`{name}` is {value}", name=dotted, value=kind_of(value))
    return t("`{name}` is {value}", name=dotted, value=shown(value))


def _expected(item: Mapping[str, Any]) -> str:
    """What pydantic wanted, in our words where there are some."""
    kind, context = str(item["type"]), item.get("ctx", {})
    if kind == "value_error":
        return in_language(str(context.get("error", item["msg"])))
    limits = {
        "greater_than_equal": ("at least {limit}", "ge"),
        "greater_than": ("more than {limit}", "gt"),
        "less_than_equal": ("at most {limit}", "le"),
        "less_than": ("less than {limit}", "lt"),
        "multiple_of": ("a multiple of {limit}", "multiple_of"),
        "string_too_short": ("at least {limit} characters", "min_length"),
        "string_too_long": ("at most {limit} characters", "max_length"),
        "too_short": ("at least {limit} items", "min_length"),
        "too_long": ("at most {limit} items", "max_length"),
        "string_pattern_mismatch": ("text of the form {limit}", "pattern"),
    }
    if kind in limits:
        template, name = limits[kind]
        return t(template, limit=context[name])
    choices = _choices(item)
    if choices:
        return t("one of: {known}", known=", ".join(choices)) if len(choices) > 1 else f"`{choices[0]}`"
    if kind == "none_required":
        return t("nothing")
    word = _TYPES.get(kind.split("_", 1)[0])
    return t(word) if word else str(item["msg"])


def _choices(item: Mapping[str, Any]) -> list[str]:
    if item["type"] not in ("literal_error", "enum"):
        return []
    text = str(item.get("ctx", {}).get("expected", "")).replace(" or ", ", ")
    return [part.strip("' ") for part in text.split(", ")]


def _either(parts: list[str]) -> str:
    return t(" or ").join(parts)


def _at(value: Any, place: KeyPath) -> Any:
    for part in place:
        value = value[part]
    return value


def _models(config: type[BaseModel], place: KeyPath) -> list[type[BaseModel]]:
    """The Config classes that `place` can lie in: nested blocks, lists and unions of blocks followed."""
    models = [config]
    for part in place:
        if isinstance(part, int):
            continue
        annotations = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        models = [found for annotation in annotations for found in _blocks(annotation)]
    return models


def _blocks(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in get_args(annotation) for found in _blocks(part)]


def _known(config: type[BaseModel], place: KeyPath) -> list[str]:
    return [field.alias or name for model in _models(config, place) for name, field in model.model_fields.items()]


def _description(config: type[BaseModel], place: KeyPath) -> str:
    names = [part for part in place if isinstance(part, str)]
    if not names:
        return ""
    for model in _models(config, tuple(names[:-1])):
        field = model.model_fields.get(names[-1])
        if field is not None and field.description:
            return in_language(field.description)
    return ""
