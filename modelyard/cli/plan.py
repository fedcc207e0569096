"""`modelyard plan`: what a run would do, and what the rules need."""

from __future__ import annotations

import click

from modelyard.app.plan import PlanResult, plan
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_argument, sets_option
from modelyard.cli.output import print_json, table
from modelyard.engine.sample_size import MARGINS
from modelyard.errors import ProjectError


@click.command("plan", help=t("Show steps, bindings, what is cached and why not, and what is missing to run."))
@project_argument()
@sets_option()
@profile_option()
@json_option()
def command(project: str | None, sets: tuple[str, ...], profile: str | None, as_json: bool) -> None:
    result = plan(project, sets=sets, profile=profile)
    if as_json:
        print_json(result.to_json())
    else:
        _print(result)
    if result.blocked and not as_json:
        raise ProjectError.of([problem for step in result.steps for problem in step.problems])


def _print(result: PlanResult) -> None:
    states = {"cached": t("cached"), "run": t("runs"), "later": t("runs later"), "blocked": t("blocked")}
    rows = [
        (
            step.step,
            step.uses,
            ", ".join(f"{port}={'+'.join(given)}" for port, given in step.bindings.items()),
            states[step.state] + (f" ({t('resumes')})" if step.resumes else ""),
            "; ".join(step.reasons),
        )
        for step in result.steps
    ]
    print(table([t("step"), t("stage"), t("inputs"), t("state"), t("why")], rows))
    if not result.rules:
        print("\n" + t("no rules: the run ends in a draft release"))
        return
    print("\n" + rules_table(result))


def rules_table(result: PlanResult) -> str:
    """What each rule needs to be decidable: rows by how much better than the bound the model truly is."""
    rows = []
    for need in result.rules:
        passes = f"{need.passes_at:.4f}" if need.passes_at is not None else None
        rows.append(
            (
                need.rule,
                *(need.needed.get(margin) for margin in MARGINS),
                need.rows,
                passes if need.decidable else t("never: too few rows"),
            )
        )
    heads = [t("rows to decide, {points} points better", points=round(margin * 100)) for margin in MARGINS]
    return table([t("rule"), *heads, t("test rows"), t("passes from")], rows)
