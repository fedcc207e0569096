"""What every command must hold to: help, frozen options, exit codes, JSON errors, a light start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from support.toy import PROJECT, write_toy

import modelyard
from modelyard.base.messages import catalogue
from modelyard.cli.main import COMMANDS, cli, run

HEAVY = ("numpy", "torch", "transformers", "pyarrow", "sqlalchemy", "rich", "fastapi", "sklearn", "onnxruntime")
FROZEN = Path(__file__).parent / "cli_options.json"


def walk(command, name):
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child in command.list_commands(context):
            yield from walk(command.get_command(context, child), f"{name} {child}")


def all_commands():
    context = click.Context(cli)
    for name in COMMANDS:
        yield from walk(cli.get_command(context, name), name)


def options_of(command):
    found = []
    for parameter in command.params:
        found.append("/".join(parameter.opts) if isinstance(parameter, click.Option) else f"<{parameter.name}>")
    return sorted(found)


def test_options_change_only_on_purpose():
    """Mend cli_options.json by hand when an option is added; removing one breaks somebody's script."""
    found = {name: options_of(command) for name, command in all_commands()}
    assert found == json.loads(FROZEN.read_text())


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_and_describes_each_option(name, capsys):
    assert run([name, "--help"]) == 0
    assert len(capsys.readouterr().out) > 80
    command = cli.get_command(click.Context(cli), name)
    assert [item.name for item in command.params if isinstance(item, click.Option) and not item.help] == []


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_list_of_commands_is_translated(name):
    assert COMMANDS[name] in catalogue("zh")


def python(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "MODELYARD_LANG": "en"},
    )
    return done.returncode, done.stdout, done.stderr


def imported(code, cwd):
    tail = f"\nimport sys; print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    return python("-c", code + tail, cwd=cwd)[2].splitlines()[-1]


def test_help_and_import_load_nothing_heavy(tmp_path):
    assert imported("import modelyard", tmp_path) == "[]"
    assert imported("from modelyard.cli.main import run; run(['--help'])", tmp_path) == "[]"


def test_a_cached_run_loads_nothing_heavy(tmp_path):
    modelyard.run(write_toy(tmp_path))
    assert imported("from modelyard.cli.main import run; assert run(['run']) == 0", tmp_path) == "[]"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nonsense"], 2),
        (["run", "--nonsense"], 2),
        (["run", "missing.yaml"], 2),
        (["check", "wrong.yaml"], 3),
        (["run", "--profile", "moon"], 3),
        (["run", "--set", "steps.model.with.fail=true"], 6),
        (["run", "--set", "steps.model.with.power=2"], 7),
        (["show", "run", "x"], 2),
        (["show", "artifact", "zzz"], 5),
        (["release", "show", "nobody"], 5),
        (["predict", "nobody", "text"], 5),
        (["serve", "nobody"], 5),
        (["stages", "data.reed"], 2),
    ],
)
def test_exit_codes_name_the_kind_of_failure_and_json_carries_it(tmp_path, monkeypatch, capsys, arguments, code):
    write_toy(tmp_path)
    (tmp_path / "wrong.yaml").write_text(PROJECT.replace("steps:", "stepz:"))
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == code
    error = capsys.readouterr().err
    assert "error" in error
    assert "Traceback" not in error
    if arguments[0] not in ("serve",):
        assert run([*arguments, "--json"]) == code
        out = capsys.readouterr().out
        assert json.loads(out)


def test_an_unexpected_fault_is_reported_without_a_traceback(tmp_path, monkeypatch, capsys):
    write_toy(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("modelyard.cli.check.check", lambda *args, **kwargs: 1 / 0)
    assert run(["check"]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "Traceback" not in error


def test_reading_commands_make_no_store_where_there_is_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for arguments in (["show"], ["release", "list"], ["verify"], ["gc"], ["evidence", "list"], ["predict", "x", "y"]):
        assert run(arguments) == 5, arguments
    assert list(tmp_path.iterdir()) == []


def test_the_public_names_are_those_that_are_exported():
    for name in modelyard.__all__:
        assert getattr(modelyard, name) is not None
    assert sorted(modelyard.__all__) == sorted(modelyard._PLACES)
    with pytest.raises(AttributeError):
        _ = modelyard.nonsense
