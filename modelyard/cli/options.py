"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from modelyard.base.messages import t

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def project_argument() -> Decorator:
    return click.argument("project", required=False, type=click.Path())


def sets_option() -> Decorator:
    text = t("override a setting: steps.classifier.with.epochs=2 (repeatable)")
    return click.option("--set", "sets", multiple=True, metavar=t("PATH=VALUE"), help=text)


def profile_option() -> Decorator:
    return click.option("--profile", default=None, help=t("a profile of modelyard.profiles.yaml"))


def json_option() -> Decorator:
    return click.option("--json", "as_json", is_flag=True, help=t("print JSON"))


def project_option() -> Decorator:
    return click.option("--project", default=None, type=click.Path(), help=t("the project file or its folder"))
