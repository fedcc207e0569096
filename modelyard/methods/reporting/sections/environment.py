"""The environment, and how to repeat or check what the page says."""

from __future__ import annotations

from modelyard.methods.reporting.markup import el, isolated
from modelyard.methods.reporting.view import Section, View, digest_code, facts, fold, section, table
from modelyard.methods.reporting.words import DASH, scalar


def environment(view: View) -> Section | None:
    """Machine, system, and the exact versions of the libraries the steps needed."""
    pairs = [
        (str(name).replace("_", " "), isolated(scalar(value), 160)) for name, value in view.record.environment.items()
    ]
    versions = {name: version for run in view.record.runs for name, version in run.libraries.items()}
    rows = [[el("code", name), el("code", version or DASH)] for name, version in sorted(versions.items())]
    listed = table([view.t("Library"), view.t("Version")], rows)
    libraries = fold(view.t("Libraries ({num})", num=len(rows)), listed) if listed else None
    return section("environment", view.t("Environment"), facts(pairs, class_="strip"), libraries)


def reproduce(view: View) -> Section | None:
    """Commands that repeat the work or check the bytes, and the keys that must come out equal."""
    commands = [
        (view.t("Repeat every step; equal keys give equal bytes"), "modelyard run"),
        (view.t("Check every stored byte against its digest"), "modelyard verify"),
    ]
    release = view.record.release
    if release:
        name = f"modelyard release verify {release.name}@{release.version}"
        commands.append((view.t("Check the release's signature and files"), name))
    shown = el(
        "ul",
        *(el("li", el("span", why), el("code", line, class_="command")) for why, line in commands),
        class_="commands",
    )
    rows = [
        [
            run.step,
            el("code", run.uses),
            digest_code(run.key) if run.key else DASH,
            digest_code(run.code) if run.code else DASH,
        ]
        for run in view.record.runs
    ]
    keys = table([view.t("Step"), view.t("Stage"), view.t("Key"), view.t("Code")], rows)
    lead = view.t("A step's key is the digest of its code, settings, seed, inputs and libraries.")
    folded = fold(view.t("Keys"), keys) if keys else None
    return section("reproduce", view.t("Repeat and verify"), shown, folded, lead=lead)
