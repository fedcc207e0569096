"""`modelyard stages`: what there is, or one stage's help, settings, ports and claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from modelyard.base.messages import t
from modelyard.cli.options import json_option
from modelyard.cli.output import print_json, table
from modelyard.engine.catalog import StageHelp, describe, find, summaries
from modelyard.errors import UsageError


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
        _print(about)


def _print(about: StageHelp) -> None:
    print(f"{about.name}\n\n{about.docstring}\n")
    print(t("settings") + ":")
    definitions = about.settings.get("$defs", {})
    for name, schema in about.settings.get("properties", {}).items():
        print(f"  {name}: {_type(schema, definitions)}")
        if schema.get("description"):
            print(f"      {schema['description']}")
    for heading, ports in ((t("inputs"), about.stage.inputs), (t("outputs"), about.stage.outputs)):
        print(f"\n{heading}:")
        for name, port in ports.items():
            extra = [
                ", ".join(port.splits),
                t("optional") if port.optional else "",
                t("only by name") if port.side else "",
            ]
            print(f"  {name}: {port.kind} {' '.join(filter(None, extra))}  {port.description}".rstrip())
    print(f"\n{t('claims')}:")
    for claim in about.stage.claims:
        print(f"  {claim.name} {f'[{claim.unit}] ' if claim.unit else ''}{claim.description}")


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A setting's type, limits and default in one line."""
    if "$ref" in schema:
        inner = definitions.get(schema["$ref"].rsplit("/", 1)[-1], {})
        return "{" + ", ".join(inner.get("properties", {})) + "}"
    kinds = schema.get("anyOf") or [schema]
    parts = [str(kind.get("enum") or kind.get("const") or kind.get("type", "")) for kind in kinds]
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {kind[name]}" for kind in kinds for name, sign in words.items() if name in kind]
    default = f"  = {schema['default']}" if "default" in schema else ""
    return " | ".join(parts) + (f" ({', '.join(limits)})" if limits else "") + default
