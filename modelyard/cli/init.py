"""`modelyard init`: a project file from your data, and a signing key."""

from __future__ import annotations

import click

from modelyard.app.care import init
from modelyard.base.messages import t
from modelyard.cli.options import json_option
from modelyard.cli.output import print_json


@click.command("init", help=t("Start a project in FOLDER: a commented modelyard.yaml, columns guessed from --data."))
@click.argument("folder", default=".", type=click.Path())
@click.option(
    "--template",
    default="auto",
    show_default=True,
    help=t("what the model is for: a task's name; `auto` guesses it from --data"),
)
@click.option(
    "--data",
    default=None,
    type=click.Path(),
    help=t("a file of data (CSV, TSV, JSONL, Parquet), or a folder of images in folders"),
)
@json_option()
def command(folder: str, template: str, data: str | None, as_json: bool) -> None:
    started = init(folder, template=template, data=data)
    if as_json:
        print_json(started.to_json())
        return
    print(t("wrote {file}", file=started.file))
    for guess in started.guesses:
        print(f"  {guess}")
    print(t("signing key: {key} (its private half stays beside it)", key=started.key))
    print(t("next: look at the file, then `modelyard plan {file}` and `modelyard run {file}`", file=started.file))
