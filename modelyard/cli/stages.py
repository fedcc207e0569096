"""`modelyard stages`: what there is, or one stage's help, settings, ports and claims."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from modelyard.base.messages import t
from modelyard.cli.options import json_option
from modelyard.cli.output import print_json, table
from modelyard.core.stage import Port
from modelyard.engine.catalog import find
from modelyard.engine.stage_help import StageHelp, describe, in_language, summaries
from modelyard.errors import UsageError

Schema = Mapping[str, Any]
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


@click.command("stages", help=t("List the stages, or show one's help, settings, ports and claims."))
@click.argument("name", required=False)
@json_option()
def command(name: str | None, as_json: bool) -> None:
    if name is None:
        found = summaries()
        if as_json:
            print_json(found)
        else:
            print(table([t("stage"), t("what it does")], list(found.items())))
        return
    stage, problems = find(name, Path.cwd())
    if stage is None:
        raise UsageError.of(problems)
    about = describe(stage)
    if as_json:
        print_json(about.to_json())
    else:
        print("\n".join(_page(about)))


def _page(about: StageHelp) -> Iterator[str]:
    yield from (about.name, "", about.docstring, "", t("settings") + ":")
    yield from _settings(about.settings, about.settings.get("$defs", {}), "  ")
    for heading, ports in ((t("inputs"), about.stage.inputs), (t("outputs"), about.stage.outputs)):
        if ports:
            yield f"\n{heading}:"
        yield from (_port(name, port) for name, port in ports.items())
    if about.stage.claims:
        yield f"\n{t('claims')}:"
    for claim in about.stage.claims:
        yield f"  {claim.name} {f'[{claim.unit}] ' if claim.unit else ''}{in_language(claim.description)}"


def _port(name: str, port: Port) -> str:
    extra = [", ".join(port.splits), t("optional") if port.optional else "", t("only by name") if port.side else ""]
    return f"  {name}: {port.kind} {' '.join(filter(None, extra))}  {in_language(port.description)}".rstrip()


def _settings(block: Schema, definitions: Schema, indent: str, within: tuple[str, ...] = ()) -> Iterator[str]:
    """A block's settings, each with its type and its description; a setting that is a block is followed by its own."""
    for name, schema in block.get("properties", {}).items():
        yield f"{indent}{name}: {_type(schema)}"
        if schema.get("description"):
            yield f"{indent}    {schema['description']}"
        for inner in _blocks(schema):
            if inner not in within:
                yield from _settings(definitions.get(inner, {}), definitions, indent + "    ", (*within, inner))


def _blocks(schema: Schema) -> list[str]:
    """Names of the blocks of settings that a value holds: itself, in a list, or by name."""
    if "$ref" in schema:
        return [schema["$ref"].rsplit("/", 1)[-1]]
    inner = [schema.get("items"), schema.get("additionalProperties"), *schema.get("anyOf", ())]
    inner += [*schema.get("prefixItems", ()), *schema.get("patternProperties", {}).values()]
    found = [name for item in inner if isinstance(item, Mapping) for name in _blocks(item)]
    return list(dict.fromkeys(found))


def _type(schema: Schema) -> str:
    """A setting's type, limits and default in one line, values as the project file writes them."""
    kinds = schema.get("anyOf") or [schema]
    limits = [f"{sign} {_limit(kind[name])}" for kind in kinds for name, sign in LIMITS.items() if name in kind]
    default = f"  = {_value(schema['default'])}" if "default" in schema else ""
    return " | ".join(_kind(kind) for kind in kinds) + (f" ({', '.join(limits)})" if limits else "") + default


def _kind(schema: Schema) -> str:
    if "enum" in schema or "const" in schema:
        return " | ".join(_value(value) for value in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema or "properties" in schema:
        return "{…}"
    if "anyOf" in schema:
        return " | ".join(_kind(kind) for kind in schema["anyOf"])
    if schema.get("type") == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})]
        return f"[{', '.join(_kind(item) for item in items)}{'' if 'prefixItems' in schema else ', …'}]"
    if schema.get("type") == "object":
        values = [schema.get("additionalProperties"), *schema.get("patternProperties", {}).values()]
        inner = next((_kind(value) for value in values if isinstance(value, Mapping)), "…")
        return f"{{{t('a name')}: {inner}}}"
    return _word(schema.get("type", "…"))


def _word(kind: str) -> str:
    words = {
        "string": t("text"),
        "integer": t("a whole number"),
        "number": t("a number"),
        "boolean": t("true or false"),
    }
    return words.get(kind, kind)


def _value(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _limit(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
