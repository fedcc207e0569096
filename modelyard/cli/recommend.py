"""`modelyard recommend`: the best items for a user."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from modelyard.app.recommending import recommend
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_option
from modelyard.cli.output import cut, print_json, table
from modelyard.errors import InputError, UsageError


@click.command(
    "recommend",
    help=t("Rank the items of a recommender for a user. RECORD is JSON: the user and the columns that are not the "
           "items' own."),
)  # fmt: skip
@click.argument("model")
@click.argument("record")
@click.option("--top", default=10, show_default=True, type=int, help=t("how many items"))
@click.option(
    "--exclude",
    default=None,
    type=click.Path(),
    help=t("a file of items not to recommend, one a line, such as those the user had"),
)
@click.option("--label", default=None, help=t("whose probability counts, if the model answers classes"))
@project_option()
@profile_option()
@json_option()
def command(
    model: str,
    record: str,
    top: int,
    exclude: str | None,
    label: str | None,
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    unwanted = _lines(Path(exclude)) if exclude is not None else []
    found = recommend(model, _record(record), top=top, exclude=unwanted, label=label, project=project, profile=profile)
    if as_json:
        print_json({"items": [one.to_json() for one in found]})
        return
    print(table([t("item"), t("score")], [(cut(one.item, 80), f"{one.score:.4f}") for one in found]))


def _record(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UsageError(t("RECORD is no JSON object"), expected='\'{"user": "196"}\'')
    return value


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(t("cannot read the file: {error}", error=error), where=str(path)) from None
    return [line.strip() for line in text.splitlines() if line.strip()]
