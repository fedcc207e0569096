"""`modelyard doctor`: this machine, this installation, this store."""

from __future__ import annotations

import click

from modelyard.app.care import doctor
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_argument
from modelyard.cli.output import print_json, table
from modelyard.errors import DependencyError


@click.command("doctor", help=t("Check this machine, this installation, and the store if there is one."))
@project_argument()
@profile_option()
@json_option()
def command(project: str | None, profile: str | None, as_json: bool) -> None:
    checks = doctor(project, profile=profile)
    if as_json:
        print_json([check.to_json() for check in checks])
    else:
        marks = {"ok": "✓", "warning": "!", "failed": "✗"}
        rows = [(marks[check.state], check.name, check.found, check.remedy) for check in checks]
        print(table(["", t("what"), t("found"), t("to do")], rows))
    if any(check.state == "failed" for check in checks):
        raise click.exceptions.Exit(DependencyError.exit_code)
