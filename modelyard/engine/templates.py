"""`modelyard init`: a commented project file for a kind of task, filled in from a data file where there is one."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from modelyard.base.messages import did_you_mean, language, t
from modelyard.engine.guess import guess
from modelyard.engine.guessed import TEXTS
from modelyard.engine.project_file import PROJECT_NAME
from modelyard.engine.task_templates import TEMPLATES
from modelyard.errors import InputError, UsageError

AUTO = "auto"


@dataclass(frozen=True)
class Rendered:
    """A project file that is not written yet: its text, and in words what was guessed and why."""

    text: str
    guesses: tuple[str, ...] = ()


def render_template(
    folder: Path, template: str, data: Path | None = None, *, name: str | None = None, lang: str | None = None
) -> Rendered:
    """The text of a project file.

    Args:
        folder: where the project file will lie; the data's path is written relative to it.
        template: a task's name, or `auto`: what the data seem to be for.
        data: a data file, or None for placeholders.
        name: the project's name, the folder's if None; made into a valid one if it is none.
        lang: language of the comments, the user's if None.

    Raises:
        UsageError: there is no such template.
        InputError: the data file is not there or cannot be read.
    """
    if template not in TEMPLATES and template != AUTO:
        found = t("there is no template `{name}`", name=template)
        raise UsageError(found, remedy=did_you_mean(template, list(TEMPLATES)))
    if data is not None and not data.exists():
        raise InputError(t("there is no such file"), where=str(data), expected=t("a file of texts with labels"))
    guessed = guess(data, None if template == AUTO else template) if data is not None else None
    if template == AUTO:
        template = guessed.task if guessed else TEXTS
    called = project_name(folder.absolute().name if name is None else name)
    text = TEMPLATES[template](called, _relative(data, folder), guessed, lang or language())
    return Rendered(text, tuple(str(item) for item in guessed.guesses) if guessed else ())


def write_new(path: Path, text: str) -> None:
    """Write a file that must not be there yet. Raises UsageError if it is: nothing of the user's is overwritten."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
    except FileExistsError:
        remedy = t("nothing was changed; remove it, or choose another folder")
        raise UsageError(t("the file is already there"), where=str(path), remedy=remedy) from None


def project_name(text: str) -> str:
    """A valid project name out of any text; `project` if nothing of it can be used."""
    slug = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].strip("-")
    return slug if PROJECT_NAME.fullmatch(slug) else "project"


def _relative(data: Path | None, folder: Path) -> str | None:
    """The data's path as the project names it: relative if it lies in or near the project's folder."""
    if data is None:
        return None
    relative = os.path.relpath(data.absolute(), folder.absolute())
    shown = relative if relative.count("..") <= 2 else str(data.absolute())
    return Path(shown).as_posix()
