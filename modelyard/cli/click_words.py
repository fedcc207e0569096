"""The words of the command-line library in the user's language: `Usage`, `Options`, what is wrong with an option.

Click asks gettext for them; here it asks our catalogue, so that a help page is in one language from head to foot.
"""

from __future__ import annotations

import click.core
import click.exceptions
import click.formatting
import click.types

from modelyard.base.messages import t

TEXTS = (
    "Usage:",
    "Options",
    "Commands",
    "Missing command.",
    "Missing argument",
    "Missing option",
    "Missing parameter",
    "Missing {param_type}",
    "Missing parameter: {param_name}",
    "default: {default}",
    "env var: {var}",
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    "No such option {name!r}.",
    "{value!r} is not a valid {number_type}.",
    "{value} is not in the range {range}.",
    "{name} {filename!r} does not exist.",
    "file",
    "directory",
    "path",
)
"""Of click, as it has them; each has an entry in the catalogue."""


def translate() -> None:
    """Let click's modules look their texts up here. Texts it has not in TEXTS stay English."""
    for module in (click.core, click.exceptions, click.formatting, click.types):
        vars(module)["_"] = _text


def _text(text: str) -> str:
    return t(text) if text in TEXTS else text
