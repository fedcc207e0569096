"""`modelyard data`: look into data sets, compare their versions, search them."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import click

from modelyard.app import data as app
from modelyard.base.messages import t
from modelyard.cli import data_views as views
from modelyard.cli.options import json_option, profile_option, project_option
from modelyard.cli.output import print_json
from modelyard.errors import UsageError

MOST_IN_JSON = 10_000
SPLITS = click.Choice(["all", "train", "validation", "calibration", "test"])
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@click.group("data", help=t("Look into data sets: list, rows, sample, removed, stats, diff, history, search, contract."
                            "\n\nSTEP is a step, step.port, step~1 (the version before), or the first digits of a "
                            "digest."))  # fmt: skip
def command() -> None:
    pass


def _place(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options every command of the group has."""
    for option in (json_option(), profile_option(), project_option()):
        function = option(function)
    return function


def _split_option() -> Decorator:
    text = t("only this split (repeatable); test rows are shown only when named, and that is counted")
    return click.option("--split", multiple=True, type=SPLITS, help=text)


@command.command("list", help=t("List the data sets of the project: step, port, rows, size, digest."))
@_place
def list_command(project: str | None, profile: str | None, as_json: bool) -> None:
    found = app.data_sets(project=project, profile=profile)
    print_json(found) if as_json else print(views.data_sets(found))


@command.command("rows", help=t("Print rows of STEP, as a table, JSONL or CSV."))
@click.argument("step")
@_split_option()
@click.option("--columns", default="", help=t("names with commas between; only these are read"))
@click.option(
    "--where", multiple=True, help=t("a condition such as label=spam, n>=3, text~free (repeatable: all hold)")
)
@click.option("--limit", default=20, type=click.IntRange(0), show_default=True, help=t("how many at most; 0: all"))
@click.option("--format", "form", default="table", type=click.Choice(["table", "jsonl", "csv"]), help=t("how to print"))
@_place
def rows_command(
    step: str,
    split: tuple[str, ...],
    columns: str,
    where: tuple[str, ...],
    limit: int,
    form: str,
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    if as_json and not 0 < limit <= MOST_IN_JSON:
        raise UsageError(
            t("--json holds all rows at once"), expected=t("--limit 1 to {n:,}, or --format jsonl", n=MOST_IN_JSON)
        )
    names = [name.strip() for name in columns.split(",") if name.strip()]
    for found in app.rows(step, split=split, columns=names, where=where, limit=limit, project=project, profile=profile):
        if as_json:
            print_json({"columns": list(found.columns), "splits": list(found.splits), "rows": list(found.rows)})
        elif form == "jsonl":
            _write_jsonl(found.rows)
        elif form == "csv":
            _write_csv(found.columns, found.rows)
        else:
            for line in views.streamed_table(found.columns, found.rows):
                print(line)
            _say_hidden(found.hidden)


def _write_jsonl(rows: Iterator[dict[str, Any]]) -> None:
    for row in rows:
        print(views.json_line(row))


def _write_csv(columns: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> None:
    """To a terminal control characters go as escapes; to a file every value as it is."""
    show = views.one_line if sys.stdout.isatty() else str
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow([show(name) for name in columns])
    for row in rows:
        values = (row[name] for name in columns)
        writer.writerow(
            "" if value is None else json.dumps(value) if isinstance(value, dict | list | bool) else show(str(value))
            for value in values
        )


def _say_hidden(hidden: tuple[str, ...]) -> None:
    if hidden and not set(hidden) - {"test"}:
        print(t("test rows are not shown; --split test shows them, and that is counted"), file=sys.stderr)


@command.command("sample", help=t("Print rows of STEP chosen at random: the same ones for the same seed."))
@click.argument("step")
@click.option("-n", "num", default=20, type=click.IntRange(1, MOST_IN_JSON), show_default=True, help=t("how many"))
@click.option("--seed", default=0, type=click.IntRange(0, 2**63 - 1), show_default=True, help=t("another gives others"))
@click.option("--by", default=None, help=t("a column: each of its values gets its share, and at least one row"))
@_split_option()
@_place
def sample_command(
    step: str,
    num: int,
    seed: int,
    by: str | None,
    split: tuple[str, ...],
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    found = app.sample(step, num=num, seed=seed, by=by, split=split, project=project, profile=profile)
    if as_json:
        print_json(found)
        return
    names = list(found["rows"][0]) if found["rows"] else ["row_id"]
    for line in views.streamed_table(names, iter(found["rows"])):
        print(line)
    print(t("{n:,} of {total:,} rows", n=len(found["rows"]), total=found["of"]))


@command.command("removed", help=t("Say what STEP removed, changed or rejected: counts by reason, then rows."))
@click.argument("step")
@click.option("--reason", default=None, help=t("only this reason"))
@click.option("--action", default=None, type=click.Choice(["removed", "changed", "added", "rejected"]),
              help=t("only this action"))  # fmt: skip
@click.option("--ids", is_flag=True, help=t("print row ids alone, one a line, as data.restore takes them"))
@click.option("--limit", default=20, type=click.IntRange(0, MOST_IN_JSON), show_default=True, help=t("rows to print"))
@_place
def removed_command(
    step: str,
    reason: str | None,
    action: str | None,
    ids: bool,
    limit: int,
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    if ids:
        for row_id in app.removed_ids(step, reason=reason, action=action, project=project, profile=profile):
            print(json.dumps(row_id) if as_json else views.one_line(row_id))
        return
    found = app.removed(step, reason=reason, action=action, limit=limit, project=project, profile=profile)
    print_json(found) if as_json else print(views.removed(found))


@command.command("stats", help=t("Print figures of every column of STEP: missing, distinct, quantiles, top values."))
@click.argument("step")
@_split_option()
@click.option("--columns", default="", help=t("names with commas between; only these are read"))
@_place
def stats_command(
    step: str, split: tuple[str, ...], columns: str, project: str | None, profile: str | None, as_json: bool
) -> None:
    names = [name.strip() for name in columns.split(",") if name.strip()]
    found = app.stats(step, split=split, columns=names, project=project, profile=profile)
    print_json(found) if as_json else print(views.stats(found))


@command.command("diff", help=t("Compare two data sets row by row: OLD and NEW, or the two newest versions of OLD."))
@click.argument("old")
@click.argument("new", required=False)
@click.option("--examples", default=5, type=click.IntRange(0, 1_000), show_default=True, help=t("rows of each kind"))
@click.option("--key", default="", help=t("columns that say which rows are the same, with commas between; else the id"))
@_place
def diff_command(
    old: str, new: str | None, examples: int, key: str, project: str | None, profile: str | None, as_json: bool
) -> None:
    names = [name.strip() for name in key.split(",") if name.strip()]
    found = app.diff(old, new, examples=examples, key=names, project=project, profile=profile)
    print_json(found) if as_json else print(views.diff(found))


@command.command("history", help=t("Print every version of STEP's data set: rows, missing, labels, drift."))
@click.argument("step")
@click.option("--limit", default=50, type=click.IntRange(1, 1_000), show_default=True, help=t("versions at most"))
@_place
def history_command(step: str, limit: int, project: str | None, profile: str | None, as_json: bool) -> None:
    found = app.history(step, limit=limit, project=project, profile=profile)
    print_json(found) if as_json else print(views.history(found))


@command.command("search", help=t('Search the texts of STEP: words, "a phrase", OR, -not, label:spam, wor*.'))
@click.argument("step")
@click.argument("query")
@click.option("--limit", default=10, type=click.IntRange(1, 1_000), show_default=True, help=t("rows at most"))
@_split_option()
@_place
def search_command(
    step: str,
    query: str,
    limit: int,
    split: tuple[str, ...],
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    found = app.search(
        step, query, limit=limit, split=split, project=project, profile=profile,
        progress=None if as_json else views.building, say=lambda line: print(line, file=sys.stderr),
    )  # fmt: skip
    print_json(found) if as_json else print(views.hits(found, marked=sys.stdout.isatty()))


@command.command("contract", help=t("Propose a contract that STEP keeps, as YAML to paste and to tighten."))
@click.argument("step")
@_place
def contract_command(step: str, project: str | None, profile: str | None, as_json: bool) -> None:
    found = app.contract(step, project=project, profile=profile)
    print_json(found) if as_json else print(found["yaml"], end="")
