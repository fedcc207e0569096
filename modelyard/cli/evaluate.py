"""`modelyard evaluate`: measure a release, a model folder or an endpoint."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from modelyard.app.evaluating import Evaluated, evaluate
from modelyard.base.canonical import short
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_option, sets_option
from modelyard.cli.output import print_json, table
from modelyard.cli.progress import TerminalListener
from modelyard.errors import ModelyardError


@click.command(
    "evaluate",
    help=t("Measure MODEL with any family of evaluation: a release (`name`, `name@3`, `name:alias`), a model folder, "
           "or the URL of an endpoint. Without --data on the test rows its release was measured on. What was measured "
           "before is reused; what is stopped goes on when it is run again."),
)  # fmt: skip
@click.argument("model")
@click.option("--with", "families", multiple=True, metavar="FAMILY",
              help=t("a stage after `evaluate.`: quality (default), fairness, robustness, …; `all`: each that fits "
                     "(repeatable)"))  # fmt: skip
@click.option("--data", default=None, type=click.Path(), help=t("a file of test rows"))
@click.option("--text", default=None, help=t("its column of texts; default: as it looks"))
@click.option("--label", default=None, help=t("its column of classes"))
@click.option("--target", default=None, help=t("its column of numbers to predict"))
@click.option("--against", default=None, metavar="OTHER",
              help=t("compare with another one on the same rows: a release, a folder, a URL"))  # fmt: skip
@click.option("--max-seconds", default=None, type=click.FloatRange(min=0.01, max=1e7),
              help=t("stop after so many seconds; what is done is kept"))  # fmt: skip
@click.option("--jobs", default=None, type=click.IntRange(1, 256),
              help=t("families that run side by side; default: the profile's, or one a core"))  # fmt: skip
@click.option("--slices", is_flag=True, help=t("show the figures of groups too"))
@sets_option()
@click.option("--quiet", is_flag=True, help=t("no progress"))
@project_option()
@profile_option()
@json_option()
def command(
    model: str,
    families: tuple[str, ...],
    data: str | None,
    text: str | None,
    label: str | None,
    target: str | None,
    against: str | None,
    max_seconds: float | None,
    jobs: int | None,
    slices: bool,
    sets: tuple[str, ...],
    quiet: bool,
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    found = evaluate(
        model,
        families=families or (() if against else ("quality",)),
        data=data,
        text=text,
        label=label,
        target=target,
        against=against,
        sets=sets,
        max_seconds=max_seconds,
        jobs=jobs,
        listener=TerminalListener(quiet=quiet),
        project=project,
        profile=profile,
    )
    if as_json:
        print_json(found.to_json())
    else:
        _print(found, slices)
    if found.failed:
        if as_json:
            raise click.exceptions.Exit(next(iter(found.failed.values())).exit_code)
        raise _failure(found)


def _failure(found: Evaluated) -> ModelyardError:
    """Of the first kind; with the problems of all."""
    errors = list(found.failed.values())
    return type(errors[0]).of(list(dict.fromkeys(problem for error in errors for problem in error.problems)))


def _print(found: Evaluated, slices: bool) -> None:
    # A task of several is no group of rows: its figures are all there are.
    if found.columns:
        print(found.columns)
    shown = [item for item in found.evidence if slices or set(item["slice"]) <= {"task"}]
    if shown:
        heads = [t("claim"), t("of"), t("group"), t("measured"), t("95 % interval"), "n"]
        rows = [_row(item, found.subjects) for item in shown]
        # A column that says the same in every row says nothing.
        kept = [place for place in range(len(heads)) if place not in (1, 2) or len({row[place] for row in rows}) > 1]
        print(table([heads[place] for place in kept], [[row[place] for place in kept] for row in rows]))
        print()
    for one in found.openings:
        print(
            t(
                "test rows {data}: opened {runs} times so far, for {models} models",
                data=short(one.dataset),
                runs=one.runs,
                models=one.models,
            )
        )
    for name, reason in found.left_out.items():
        print(t("left out: {family}: {reason}", family=name, reason=reason))
    for family, settings in found.cut.items():
        fewer = ", ".join(f"{name}: {to:,} / {whole:,}" for name, (whole, to) in settings.items())
        print(
            t("cut by the time: {family} was measured on fewer rows ({rows}); run it again to go on", family=family,
              rows=fewer)
        )  # fmt: skip
    if found.undone:
        print(t("the time is over before {families}: run it again to go on", families=", ".join(found.undone)))
    if found.report:
        print(f"{t('report')}: {os.path.relpath(found.report)}")


def _row(item: Mapping[str, Any], subjects: Mapping[str, str]) -> Sequence[str | int | None]:
    interval = item["interval"]
    ends = t("exact") if interval == "exact" else f"[{interval[0]:.4g}, {interval[1]:.4g}]" if interval else None
    part = ", ".join(f"{name}={value}" for name, value in item["slice"].items())
    value = item["value"]
    unit = f" {item['unit']}" if item["unit"] else ""
    return (
        item["claim"],
        subjects.get(item["subject"], ""),
        part,
        None if value is None else f"{value:.4g}{unit}",
        ends,
        item["n"],
    )
