"""`modelyard gc`: free what no release and no recent run needs."""

from __future__ import annotations

import click

from modelyard.app.care import gc
from modelyard.base.canonical import short
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_argument
from modelyard.cli.output import print_json, size


@click.command("gc", help=t("Free what no release and no recent run needs."))
@project_argument()
@profile_option()
@click.option("--keep", default=None, type=click.IntRange(1, 10_000), help=t("done runs of each step that stay"))
@click.option("--dry-run", is_flag=True, help=t("only say what would go"))
@json_option()
def command(project: str | None, profile: str | None, keep: int | None, dry_run: bool, as_json: bool) -> None:
    freed = gc(project, profile=profile, keep=keep, dry_run=dry_run)
    if as_json:
        print_json({**vars(freed), "artifacts": [vars(item) for item in freed.artifacts], "bytes": freed.num_bytes})
        return
    for item in freed.artifacts:
        print(f"  {short(item.digest)}  {item.kind}  {size(item.size)}")
    print(t("would free {size}" if dry_run else "freed {size}", size=size(freed.num_bytes)))
