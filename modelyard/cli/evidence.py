"""`modelyard evidence`: list it, or withdraw it with a name and a reason."""

from __future__ import annotations

import click

from modelyard.app import show
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_option
from modelyard.cli.output import print_json
from modelyard.cli.show import VIEWS


@click.group("evidence", help=t("List evidence, or withdraw it with a name and a reason."))
def command() -> None:
    pass


@command.command("list", help=t("List evidence about NAME: a digest, a step, or a release; about everything without."))
@click.argument("name", required=False)
@click.option("--claim", default=None, help=t("only this claim"))
@project_option()
@profile_option()
@json_option()
def list_command(name: str | None, claim: str | None, project: str | None, profile: str | None, as_json: bool) -> None:
    found = show.evidence(name, claim=claim, project=project, profile=profile)
    if as_json:
        print_json(found)
    else:
        print(VIEWS["evidence"](found))


@command.command("withdraw", help=t("Withdraw evidence NUMBER. It stays visible; no gate accepts it any more."))
@click.argument("number", type=int)
@click.option("--name", required=True, help=t("who withdraws it"))
@click.option("--reason", required=True, help=t("why"))
@project_option()
@profile_option()
def withdraw_command(number: int, name: str, reason: str, project: str | None, profile: str | None) -> None:
    show.withdraw(number, name=name, reason=reason, project=project, profile=profile)
    print(t("withdrawn"))
