"""A help page and what the command-line library says are in the user's language from head to foot."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from modelyard.base.messages import catalogue
from modelyard.cli import click_words, help_pages
from modelyard.cli.main import COMMANDS, run
from modelyard.cli.output import width

NOT_MET = (  # by users: of deprecated options, prompts, dates, and faults in the code of a command line
    "Aborted!", "deprecated", "DeprecationWarning", "Value must be an iterable", "Could not determine name",
    "No options defined", "Arguments take exactly one", "Name '{name}' defined twice", "Boolean option {decl!r}",
    "Do you want to continue?", "Confirm the action", "Invalid start character", "Choice({choices})", "UUID",
    "does not match the format",
)  # fmt: skip


@pytest.fixture
def chinese(monkeypatch):
    monkeypatch.setenv("MODELYARD_LANG", "zh")
    click_words.translate()
    yield
    monkeypatch.setenv("MODELYARD_LANG", "en")
    click_words.translate()


def asked_of_gettext():
    for name in ("core", "decorators", "exceptions", "formatting", "parser", "types"):
        source = Path(importlib.import_module(f"click.{name}").__file__).read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "ngettext"):
                yield from (item.value for item in node.args if isinstance(item, ast.Constant))


def test_every_text_of_this_click_is_known():
    found = {text for text in asked_of_gettext() if isinstance(text, str)}
    assert len(found) > 40
    assert [text for text in sorted(found - set(click_words.TEXTS)) if not any(part in text for part in NOT_MET)] == []


def test_every_known_text_has_a_chinese_entry():
    assert [text for text in click_words.TEXTS if text not in catalogue("zh")] == []


EVERY_PAGE = """
import json, click
from modelyard.cli import click_words
from modelyard.cli.main import cli
click_words.translate()

def pages(command, context):
    yield command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            yield from pages(inner, click.Context(inner, parent=context, info_name=name))

print(json.dumps(list(pages(cli, click.Context(cli, info_name="modelyard", terminal_width=78)))))
"""


@pytest.fixture(scope="module")
def pages():
    """The help of every command, as a process whose language is Chinese shows it."""
    done = subprocess.run(
        [sys.executable, "-c", EVERY_PAGE],
        env={**os.environ, "MODELYARD_LANG": "zh"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_every_help_page_is_chinese_throughout(pages):
    assert len(pages) > len(COMMANDS) + 10
    for page in pages:
        assert page.startswith("用法：")
        page = re.sub(r"modelyard( [a-z]+)+", "", page)
        words = [word for word in ("OPTIONS", "ARGS", " TEXT", "INTEGER", "default:") if word in page]
        assert words + re.findall(r"\b[a-z]{2,} [a-z]{2,} [a-z]{2,}\b", page) == []


def test_the_columns_of_a_chinese_page_line_up_and_no_line_is_too_long(pages):
    for page in pages:
        options = [line for line in page.splitlines() if line.startswith("  -")]
        starts = {
            width(re.match(r"  -.*?\s{2,}(?=\S)", line).group()) for line in options if re.search(r"\S  +\S", line)
        }
        assert len(starts) == 1, page
        assert max(width(line) for line in page.splitlines()) <= 78, page


def test_lines_break_between_characters_and_never_before_a_full_stop():
    text = "已经测过的会复用。`modelyard evaluate` 被停下的再次运行时继续，"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELYARD_LANG", "zh")
        lines = help_pages.wrap(text, 18, initial_indent="  ", subsequent_indent="  ").splitlines()
    assert "".join(line.strip() for line in lines).replace(" ", "") == text.replace(" ", "")
    assert all(line.startswith("  ") and line.strip()[0] not in "，。" for line in lines)
    assert all(width(line) <= 18 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--foo"], "没有选项 '--foo'。"),
        (["run", "--proflie", "x"], "您是不是要写 '--profile'？"),
        (["evidence", "withdraw"], "缺少参数 'NUMBER'。"),
        (["run", "a", "b"], "多余的参数（b）"),
        (["run", "--set"], "选项 '--set' 需要一个值。"),
        (["serve", "x", "--port", "abc"], "'abc' 不是有效的整数。"),
        (["show", "runs", "--limit", "0"], "0 不在范围 1<=x<=10000 内。"),
        (["release", "nonsense"], "没有命令 'nonsense'。"),
    ],
)
def test_mistakes_are_named_in_chinese(chinese, capsys, arguments, said):
    assert run(arguments) == 2
    assert said in capsys.readouterr().err


def test_a_group_without_a_command_shows_its_help_and_no_error(chinese, capsys):
    assert run(["data"]) == 2
    assert capsys.readouterr().err.startswith("用法：")
