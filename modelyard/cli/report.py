"""`modelyard report`: the transparency report of the project as it stands."""

from __future__ import annotations

import os
from pathlib import Path

import click

from modelyard.app.report import report
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_argument, sets_option
from modelyard.cli.output import print_json


@click.command("report", help=t("Write the transparency report (HTML and JSON) of the project as it stands."))
@project_argument()
@sets_option()
@profile_option()
@click.option("--out", default=None, type=click.Path(path_type=Path), help=t("where to: a folder or a .html file"))
@click.option("--lang", default=None, type=click.Choice(["en", "zh"]), help=t("the language the page opens in"))
@json_option()
def command(
    project: str | None,
    sets: tuple[str, ...],
    profile: str | None,
    out: Path | None,
    lang: str | None,
    as_json: bool,
) -> None:
    written = report(project, sets=sets, profile=profile, out=out, lang=lang)
    if as_json:
        print_json(written.to_json())
        return
    print(f"{t('report')}: {os.path.relpath(written.page)}")
    print(f"JSON: {os.path.relpath(written.data)}")
    print(f"Markdown: {', '.join(os.path.relpath(card) for card in written.cards)}")
    if written.undone:
        print(t("not in it, since they have not run: {steps}", steps=", ".join(written.undone)))
