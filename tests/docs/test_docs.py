"""The documentation is true: links lead somewhere, commands and options exist, examples run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

import modelyard
from modelyard.cli.main import COMMANDS, cli
from modelyard.engine.bind import load_project

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted(ROOT.glob("README*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("examples/**/*.md")),
]
ENGLISH_ONLY = ("architecture", "results")
TRANSLATED = sorted(p.stem for p in (ROOT / "docs").glob("*.md") if ".zh" not in p.name and p.stem not in ENGLISH_ONLY)


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def shell_commands(page):
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].endswith("modelyard"):
                yield words[1:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_options_exist(page):
    for words in shell_commands(page):
        assert words[0] in COMMANDS, words
        command = cli.get_command(click.Context(cli), words[0])
        rest = words[1:]
        if isinstance(command, click.Group) and rest and rest[0] in command.commands:
            command, rest = command.commands[rest[0]], rest[1:]
        known = {name for item in command.params for name in item.opts} | {"--help"}
        used = [word.partition("=")[0] for word in rest if word.startswith("--")]
        assert [name for name in used if name not in known] == [], words


@pytest.mark.parametrize("name", ["README.md", "README.zh.md", "docs/project-file.md", "docs/project-file.zh.md"])
def test_project_files_in_the_documentation_have_no_problems(name, tmp_path):
    projects = [block for block in blocks(ROOT / name, "yaml") if block.startswith("version: 1")]
    assert projects
    for text in projects:
        path = tmp_path / "modelyard.yaml"
        if "quality." in text and "evaluate.quality" not in text:
            text = text.replace("release:\n", "  quality: {uses: evaluate.quality}\nrelease:\n")
        path.write_text(text, encoding="utf-8")
        assert load_project(path)[1] == []


@pytest.mark.parametrize("page", ["stages.md", "stages.zh.md"])
def test_the_stage_in_the_documentation_runs_as_it_stands(page, tmp_path):
    (tmp_path / "my_stage.py").write_text(blocks(ROOT / "docs" / page, "python")[0])
    (tmp_path / "rows.csv").write_text("text,label\nhi,a\nlong enough,b\nlong as well,a\n")
    (tmp_path / "modelyard.yaml").write_text(
        "version: 1\nproject: short\nsteps:\n"
        "  rows: {uses: data.read, with: {path: rows.csv, text: text, label: label}}\n"
        "  long: {uses: ./my_stage.py}\n"
    )
    modelyard.run(tmp_path / "modelyard.yaml")
    found = modelyard.evidence("long", claim="data.short_rate", project=tmp_path)
    assert found[0]["value"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", TRANSLATED)
def test_user_documentation_is_in_both_languages(name):
    english, chinese = (ROOT / "docs" / f"{name}{end}.md" for end in ("", ".zh"))
    assert len(re.findall("^#", english.read_text(), re.M)) == len(re.findall("^#", chinese.read_text(), re.M))


@pytest.mark.parametrize("name", ["errors.md", "errors.zh.md"])
def test_every_exit_code_is_documented(name):
    from modelyard import errors

    page = (ROOT / "docs" / name).read_text(encoding="utf-8")
    for item in vars(errors).values():
        if isinstance(item, type) and issubclass(item, errors.ModelyardError):
            assert item.__name__ in page
            assert f"| {item.exit_code} |" in page
