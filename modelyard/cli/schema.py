"""`modelyard schema`: the JSON Schema of the project file, for editors."""

from __future__ import annotations

import click

from modelyard.base.messages import t
from modelyard.cli.output import print_json
from modelyard.engine.schema import project_schema


@click.command("schema", help=t("Print the JSON Schema of the project file, for completion in editors."))
def command() -> None:
    print_json(project_schema())
