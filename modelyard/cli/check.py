"""`modelyard check`: every problem of the project file, in one pass."""

from __future__ import annotations

import click

from modelyard.app.plan import check
from modelyard.base.messages import t
from modelyard.cli.options import json_option, project_argument, sets_option
from modelyard.cli.output import print_json
from modelyard.errors import ProjectError


@click.command("check", help=t("Report every problem of the project file, each with file and line."))
@project_argument()
@sets_option()
@json_option()
def command(project: str | None, sets: tuple[str, ...], as_json: bool) -> None:
    problems = check(project, sets=sets)
    if problems:
        raise ProjectError.of(problems)
    if as_json:
        print_json({"problems": []})
    else:
        print(t("no problems"))
