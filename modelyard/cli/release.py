"""`modelyard release`: make, list, show, verify, promote, roll back."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from modelyard.app import releases as app
from modelyard.base.canonical import short
from modelyard.base.messages import t
from modelyard.cli.options import json_option, profile_option, project_option, sets_option
from modelyard.cli.output import print_json, table
from modelyard.core.release import Alias


@click.group("release", invoke_without_command=True, help=t("Make, list, show, verify, promote, roll back."))
@project_option()
@sets_option()
@profile_option()
@json_option()
@click.pass_context
def command(
    context: click.Context, project: str | None, sets: tuple[str, ...], profile: str | None, as_json: bool
) -> None:
    if context.invoked_subcommand is None:
        from modelyard.cli.run import command as run_command

        context.invoke(run_command, project=project, sets=sets, profile=profile, as_json=as_json, release=True)


@command.command("list", help=t("List releases, newest first."))
@click.argument("name", required=False)
@project_option()
@profile_option()
@json_option()
def list_command(name: str | None, project: str | None, profile: str | None, as_json: bool) -> None:
    found = app.releases(name, project=project, profile=profile)
    if as_json:
        print_json([item.to_json() for item in found])
        return
    rows = [
        (
            f"{item.release.name}@{item.release.version}",
            t(item.release.state),
            ", ".join(item.aliases),
            short(item.release.model),
            item.release.created,
        )
        for item in found
    ]
    print(table([t("release"), t("state"), t("aliases"), t("model"), t("made")], rows))


@command.command("show", help=t("Show one release: its decision, every finding, where its bundle lies."))
@click.argument("release")
@project_option()
@profile_option()
@json_option()
def show_command(release: str, project: str | None, profile: str | None, as_json: bool) -> None:
    found = app.show_release(release, project=project, profile=profile)
    if as_json:
        print_json(found)
        return
    print(f"{found['name']}@{found['version']}  {t(found['state'])}  {', '.join(found['aliases'])}")
    heads = {"created": t("made"), "model": t("model"), "bundle": t("bundle"), "path": t("path")}
    for name, head in heads.items():
        print(f"  {head}: {found[name]}")
    for finding in found["about"]["decision"]["findings"]:
        print(f"  {'✓' if finding['passed'] else '✗'} {_finding(finding)}")


def _finding(found: Mapping[str, Any]) -> str:
    """A finding of a signed decision in the user's language; those that measured nothing as they were signed."""
    if found["reason"] not in ("met", "missed") or found["value"] is None:
        return str(found["text"])
    rule, value, passed = found["text"].split(": ", 1)[0], f"{found['value']:.6g}", found["passed"]
    if found["exact"]:
        words = t("{value}, exact, passes" if passed else "{value}, exact, fails", value=value)
    else:
        words = t(
            "{value}, 95 % interval {interval}, n = {n}: the bad end {end} passes"
            if passed
            else "{value}, 95 % interval {interval}, n = {n}: the bad end {end} fails",
            value=value,
            interval="[{:.6g}, {:.6g}]".format(*found["interval"]),
            n=found["n"],
            end=f"{found['bad_end']:.6g}",
        )
    return f"{rule}: {words}"


@command.command("verify", help=t("Check all bytes and the signature of RELEASE: name, name@3, a bundle's folder."))
@click.argument("release")
@click.option("--key", default=None, type=click.Path(exists=True, path_type=Path), help=t("the public key you trust"))
@project_option()
@profile_option()
@json_option()
def verify_command(release: str, key: Path | None, project: str | None, profile: str | None, as_json: bool) -> None:
    found = app.verify_release(release, key=key, project=project, profile=profile)
    if as_json:
        print_json(found.to_json())
        return
    print(t("{count} files as signed; model {model}", count=found.num_files, model=short(found.model)))
    print(t("signed by key {key}", key=short(found.signer)))
    if not found.trusted:
        print(t("the key came with the bundle: nothing was changed since it was signed; who signed it is not proved "
                "(--key PUBLIC_KEY proves it)"))  # fmt: skip


def _print_alias(alias: Alias, as_json: bool) -> None:
    if as_json:
        print_json(vars(alias))
    else:
        values = {**vars(alias), "previous": alias.previous or "–"}
        print(t("{name}:{alias} → version {version} (was {previous}), revision {revision}", **values))


@command.command("promote", help=t("Point an alias to RELEASE (name@3), after checking its bundle."))
@click.argument("release")
@click.option("--alias", default="production", show_default=True, help=t("the alias to move"))
@click.option("--allow-draft", is_flag=True, help=t("also a draft, which no rule has judged"))
@click.option("--if-revision", default=None, type=int, help=t("only if the alias still has this revision"))
@project_option()
@profile_option()
@json_option()
def promote_command(
    release: str,
    alias: str,
    if_revision: int | None,
    allow_draft: bool,
    project: str | None,
    profile: str | None,
    as_json: bool,
) -> None:
    moved = app.promote(
        release, alias, expected_revision=if_revision, allow_draft=allow_draft, project=project, profile=profile
    )
    _print_alias(moved, as_json)


@command.command("rollback", help=t("Point an alias back to what it pointed to before."))
@click.argument("name")
@click.option("--alias", default="production", show_default=True, help=t("the alias to move"))
@project_option()
@profile_option()
@json_option()
def rollback_command(name: str, alias: str, project: str | None, profile: str | None, as_json: bool) -> None:
    _print_alias(app.rollback(name, alias, project=project, profile=profile), as_json)
