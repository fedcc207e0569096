"""The command line. Only the table of commands is loaded at start; each command's module when it is called."""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback

import click

from modelyard.base.messages import t
from modelyard.cli import click_words, streams
from modelyard.cli.output import is_json, print_error
from modelyard.errors import Interrupted, ModelyardError, StoreError, UsageError

COMMANDS = {
    "init": "Start a project: writes modelyard.yaml from your data",
    "check": "Report every problem of the project file",
    "plan": "Show steps, bindings, what is cached and why not",
    "run": "Run the project: data in, a release out",
    "show": "Answer about runs, artifacts, lineage, evidence, curves",
    "data": "Look into data sets: rows, statistics, versions, search",
    "report": "Write the transparency report (HTML and JSON)",
    "release": "Make, list, verify, promote and roll back releases",
    "evaluate": "Measure a release, a model folder or an endpoint",
    "predict": "Ask a release or a model folder",
    "recommend": "Rank a recommender's items for a user",
    "serve": "Serve a release over HTTP",
    "label": "Look at likely wrong or unlabelled rows and label them",
    "evidence": "List or withdraw evidence",
    "stages": "List the stages, or describe one",
    "schema": "Print the JSON Schema of the project file",
    "verify": "Scrub the store: every artifact against its digest",
    "gc": "Free what no release and no recent run needs",
    "doctor": "Check this machine and this installation",
}

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LazyGroup(click.Group):
    """A group whose commands are modules of `modelyard.cli`, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"modelyard.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            from modelyard.base.messages import did_you_mean

            raise UsageError(
                t("there is no command `{name}`", name=args[0]), remedy=did_you_mean(args[0], list(COMMANDS))
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(t("Commands")):
            formatter.write_dl([(name, t(text)) for name, text in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    help=t("From a file of data to a released, monitored model, with evidence for every claim."),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(
    package_name="modelyard",
    prog_name="modelyard",
    message=t("%(prog)s, version %(version)s"),
    help=t("Show the version and exit."),
)
def cli() -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Run a command and exit with its code: 0, or the code of the error's branch (see errors.py)."""
    streams.prepare()
    click_words.translate()
    code = run(arguments)
    failure = streams.finish()
    if failure is not None and code == 0:
        problem = _unwritable(failure)
        print_error(problem, as_json=False)
        code = problem.exit_code
    sys.exit(code)


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return the exit code; the only place that turns errors into text."""
    given = sys.argv[1:] if arguments is None else arguments
    output = sys.stdout
    try:
        result = cli.main(given, prog_name="modelyard", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    except click.ClickException as error:
        problem: ModelyardError = UsageError(click_words.said(error), remedy=_usage(error))
    except ModelyardError as error:
        problem = error
    except (KeyboardInterrupt, click.Abort):
        problem = Interrupted(t("stopped"), remedy=t("what is done is kept; run it again to go on"))
    except SystemExit:
        if sys.stdout is output:
            raise
        streams.forget()  # click met a closed pipe: it wraps standard output and ends the process
        return streams.READER_LEFT
    except Exception as error:
        full = isinstance(error, OSError) and error.errno in FULL
        problem = _unwritable(error) if full else _unexpected(error)
    try:
        print_error(problem, as_json=is_json(given))
    except BrokenPipeError:
        streams.forget()
        return streams.READER_LEFT
    return problem.exit_code


def _usage(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return t("see `{command} --help`", command=context.command_path) if context else ""


def _unwritable(error: Exception) -> ModelyardError:
    return StoreError(
        t("what was to be written could not be: {error}", error=error),
        remedy=t("free some space, then run again; what is done is kept"),
    )


def _unexpected(error: Exception) -> ModelyardError:
    if os.environ.get("MODELYARD_DEBUG"):
        traceback.print_exc()
    last = traceback.extract_tb(error.__traceback__)[-1]
    return ModelyardError(
        t("unexpected: {kind}: {error}", kind=type(error).__name__, error=error),
        where=f"{os.path.basename(last.filename)}:{last.lineno}",
        remedy=t("this is a fault of modelyard; MODELYARD_DEBUG=1 shows where. What is done is kept"),
    )
