"""`modelyard run`: the project from top to bottom, the gate, the release."""

from __future__ import annotations

import json
import os
import shlex
import signal
from collections.abc import Mapping
from types import FrameType
from typing import Any

import click

from modelyard.app.run import RunResult, run
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_argument, sets_option
from modelyard.cli.output import duration, print_json, table
from modelyard.cli.progress import TerminalListener
from modelyard.core.gate import Decision, Finding
from modelyard.errors import GateError, Problem

MOST_ASKED = 2_000
"""Characters of a record that is shown to be asked about."""


@click.command("run", help=t("Run the project: data in, a release out. What is done is kept and reused."))
@project_argument()
@sets_option()
@profile_option()
@click.option("--until", default=None, metavar="STEP", help=t("stop after this step"))
@click.option("--again", multiple=True, metavar="STEP", help=t("run this step anew though it is cached (repeatable)"))
@click.option("--release/--no-release", default=None, help=t("make a release; default: unless --set is given"))
@click.option("--quiet", is_flag=True, help=t("no progress"))
@json_option()
def command(
    project: str | None,
    sets: tuple[str, ...],
    profile: str | None,
    until: str | None,
    again: tuple[str, ...],
    release: bool | None,
    quiet: bool,
    as_json: bool,
) -> None:
    signal.signal(signal.SIGTERM, _stop)
    listener = TerminalListener(quiet=quiet)
    result = run(project, sets=sets, profile=profile, until=until, listener=listener, release=release, again=again)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    if result.refused and result.decision is not None:
        if as_json:
            raise click.exceptions.Exit(GateError.exit_code)
        raise refusal(result.project, result.decision)


def _stop(signum: int, frame: FrameType | None) -> None:
    """SIGTERM stops as Ctrl-C does: what is done is kept."""
    raise KeyboardInterrupt


def refusal(project: str, decision: Decision) -> GateError:
    """The error of a release that was refused, one problem a failed rule."""
    error = GateError.of(
        [Problem(f"release {project}", finding.text(), remedy=_remedy(finding)) for finding in decision.failed]
    )
    assert isinstance(error, GateError)
    return error


def _remedy(finding: Finding) -> str:
    if finding.reason == "missed":
        return t("improve the model or the data, measure on more rows, or change the rule")
    if finding.withdrawn:
        return t("mend what it was withdrawn for; `modelyard run --again STEP` measures again")
    if finding.reason == "no evidence":
        return t("add the stage that measures this claim below the released model")
    return ""


def decision_table(decision: Decision) -> str:
    """The gate table: one line a rule."""
    rows = []
    for finding in decision.findings:
        low_high = f"[{finding.interval[0]:.4g}, {finding.interval[1]:.4g}]" if finding.interval else None
        value = f"{finding.value:.4g}" if finding.value is not None else None
        rows.append(
            (
                "✓" if finding.passed else "✗",
                finding.rule.text(),
                value,
                t("exact") if finding.exact else low_high,
                finding.n or None,
            )
        )
    return table(["", t("rule"), t("measured"), t("95 % interval"), "n"], rows)


def question(record: Mapping[str, Any] | None) -> str:
    """What to ask `predict`: a text in general, a record of the model's own as JSON, a picture's path."""
    if record is None or set(record) == {"text"}:
        return "'…'"
    if "image" in record:
        return "…"
    asked = shlex.quote(json.dumps(record, ensure_ascii=False))
    return asked if len(asked) <= MOST_ASKED else "--file records.jsonl"


def _print(result: RunResult) -> None:
    cached = sum(step.cached for step in result.steps)
    words = t("{steps} steps, {cached} cached, {time}", steps=len(result.steps), cached=cached,
              time=duration(result.seconds))  # fmt: skip
    print(words)
    if result.decision is None:
        return
    print()
    if result.decision.draft:
        print(t("no rules: this release is a draft, nothing was decided about it"))
    else:
        print(decision_table(result.decision))
    print()
    if result.report:
        print(f"{t('report')}:   {os.path.relpath(result.report)}")
    if result.release:
        new = t("new") if result.new_release else t("as before")
        state = t("draft") if result.release.state == "draft" else t("released")
        print(f"{t('release')}:  {result.release.name} v{result.release.version} ({state}, {new})")
        print(f"{t('ask it')}:   modelyard predict {result.release.name} {question(result.sample)}")
        print(f"{t('serve it')}: modelyard serve {result.release.name}")
    elif result.decision.releasable:
        print(t("not released: settings were overridden or --no-release was given; --release makes one"))
