"""The words of the command-line library in the user's language: `Usage`, `Options`, what is wrong with an option.

Click asks gettext for them; here it asks our catalogue, so that a help page is in one language from head to foot.
"""

from __future__ import annotations

import re
from typing import Any

import click.core
import click.decorators
import click.exceptions
import click.formatting
import click.parser
import click.types

from modelyard.base.messages import language, t
from modelyard.cli import help_pages

TEXTS = (
    "Usage:",
    "Options",
    "Commands",
    "Positional arguments",
    "Show this message and exit.",
    "Show the version and exit.",
    "%(prog)s, version %(version)s",
    "default: {default}",
    "env var: {var}",
    "required",
    "(dynamic)",
    "Error: {message}",
    "Try '{command} {option}' for help.",
    "Missing command.",
    "Missing argument",
    "Missing option",
    "Missing parameter",
    "Missing {param_type}",
    "Missing parameter: {param_name}",
    "No such command {name!r}.",
    "No such option {name!r}.",
    "Did you mean {possibility}?",
    "(Did you mean one of: {possibilities}?)",
    "Got unexpected extra argument ({args})",
    "Got unexpected extra arguments ({args})",
    "Option {name!r} does not take a value.",
    "Option {name!r} requires an argument.",
    "Option {name!r} requires {nargs} arguments.",
    "Argument {name!r} takes {nargs} values.",
    "Takes {nargs} values but 1 was given.",
    "Takes {nargs} values but {len} were given.",
    "{len_type} values are required, but {len_value} was given.",
    "{len_type} values are required, but {len_value} were given.",
    "Invalid value: {message}",
    "Invalid value for {param_hint}: {message}",
    "Choose from:\n\t{choices}",
    "{value!r} is not {choice}.",
    "{value!r} is not one of {choices}.",
    "{value!r} is not a valid {number_type}.",
    "{value!r} is not a valid boolean. Recognized values: {states}",
    "{value} is not in the range {range}.",
    "Could not open file {filename!r}: {message}",
    "unknown error",
    "{name} {filename!r} does not exist.",
    "{name} {filename!r} is a file.",
    "{name} {filename!r} is a directory.",
    "{name} {filename!r} is not readable.",
    "{name} {filename!r} is not writable.",
    "{name} {filename!r} is not executable.",
    "file",
    "directory",
    "path",
    "text",
    "integer",
    "integer range",
    "float",
    "float range",
    "boolean",
    "filename",
    "[OPTIONS]",
    "[COMMAND]",
    "COMMAND",
    "[ARGS]...",
)
"""Of click, as it has them; each has an entry in the catalogue."""

KINDS: tuple[tuple[type[click.ParamType[Any]], str], ...] = (
    (click.types.StringParamType, "text"),
    (click.types.IntParamType, "integer"),
    (click.types.IntRange, "integer range"),
    (click.types.FloatParamType, "float"),
    (click.types.FloatRange, "float range"),
    (click.types.BoolParamType, "boolean"),
    (click.types.File, "filename"),
)
"""Types of values, which click names in capitals behind an option, and never asks gettext about."""


def translate() -> None:
    """Let click's modules look their texts up here. Texts it has not in TEXTS stay English."""
    modules = (click.core, click.decorators, click.exceptions, click.formatting, click.parser, click.types)
    for module in modules:
        vars(module).update(_=_text, ngettext=_counted)
    for kind, name in KINDS:
        kind.name = _text(name)
    help_pages.install()


def said(error: click.ClickException) -> str:
    """What click found wrong, with the full stop of the user's language: click sets some of them itself."""
    message = error.format_message()
    return message if language() == "en" else re.sub(r"\.(?=\s|$)", "。", message)


def _text(text: str) -> str:
    return t(text) if text in TEXTS else text


def _counted(one: str, many: str, count: int) -> str:
    return _text(one if count == 1 else many)
