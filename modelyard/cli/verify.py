"""`modelyard verify`: every artifact against its digest."""

from __future__ import annotations

import click

from modelyard.app.care import verify
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_argument
from modelyard.cli.output import print_json, size
from modelyard.errors import IntegrityError


@click.command("verify", help=t("Scrub the store: read every byte of every artifact, follow every reference."))
@project_argument()
@profile_option()
@click.option("--quarantine", is_flag=True, help=t("set damaged artifacts aside; the next run makes them"))
@json_option()
def command(project: str | None, profile: str | None, quarantine: bool, as_json: bool) -> None:
    found = verify(project, profile=profile, quarantine=quarantine)
    if found.problems:
        raise IntegrityError.of(found.problems)
    if as_json:
        print_json({"problems": [], "artifacts": found.num_artifacts, "bytes": found.num_bytes})
    else:
        print(
            t("{count} artifacts, {size}: every byte as stored", count=found.num_artifacts, size=size(found.num_bytes))
        )
