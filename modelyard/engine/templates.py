"""`modelyard init`: a commented project file for a kind of task, filled in from a data file where there is one."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelyard.base.messages import did_you_mean, language, t
from modelyard.base.yaml import resolve
from modelyard.core.project import Rule
from modelyard.engine.guess import TEXTS, Guessed, guess
from modelyard.engine.project_file import PROJECT_NAME, STEP_NAME
from modelyard.engine.sample_size import sample_size
from modelyard.errors import InputError, UsageError

AUTO = "auto"
TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
STEPS = ("clean", "split", "classifier", "int8", "quality", "latency", "card")
_PLAIN = re.compile(r"[^\W\d][\w./-]*")


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
    from modelyard.engine.task_templates import MORE

    known = {**TEMPLATES, **MORE}
    if template not in known and template != AUTO:
        found = t("there is no template `{name}`", name=template)
        raise UsageError(found, remedy=did_you_mean(template, list(known)))
    if data is not None and not data.exists():
        raise InputError(t("there is no such file"), where=str(data), expected=t("a file of texts with labels"))
    guessed = guess(data, None if template == AUTO else template) if data is not None else None
    if template == AUTO:
        template = guessed.task if guessed else TEXTS
    called = project_name(folder.absolute().name if name is None else name)
    text = known[template](called, _relative(data, folder), guessed, lang or language())
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


def scalar(text: str) -> str:
    """Text as a YAML scalar that reads back as the same text."""
    plain = _PLAIN.fullmatch(text) and isinstance(resolve(text), str)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _text_classification(name: str, path: str | None, guessed: Guessed | None, lang: str) -> str:
    def say(template: str, **values: object) -> str:
        return "\n".join(f"# {line}" for line in t(template, lang=lang, **values).split("\n"))

    source = _step_name(path)
    bound, why = _accuracy(guessed, lang)
    duplicates = t("no text may come twice with the same label", lang=lang)
    blocks = [
        say("A Modelyard project: `modelyard check` finds mistakes, `plan` shows what would run, `run` runs it."),
        f"version: 1\nproject: {name}\nseed: 0",
        say("Steps run from top to bottom. An input binds to the nearest output of its kind above."),
        "steps:",
        _indent(say("The data: {columns}", columns=_columns_comment(guessed, lang))),
        f"  {source}:\n    uses: data.read\n    with: {{{_reading(path, guessed)}}}",
        _indent(say("Mends Unicode, drops empty and repeated rows; what is dropped is kept with the reason.")),
        "  clean: {uses: data.clean}",
        _indent(say("The same text never lies on two sides. Only evaluate.* steps see the test rows.")),
        f"  split: {{uses: data.split, with: {{validation: {VALIDATION_SHARE}, test: {TEST_SHARE}}}}}",
        _indent(say("`auto` tries several sizes and keeps the one that is best on the validation rows.")),
        "  classifier: {uses: train.text_classification, with: {base: scratch, size: auto}}",
        _indent(say("8-bit weights: smaller and faster. What is measured below is this model, the one that ships.")),
        "  int8: {uses: compress.quantize}",
        "  quality: {uses: evaluate.quality}",
        "  latency: {uses: evaluate.latency}",
        _indent(say("A page that shows all of it and opens offline.")),
        "  card: {uses: report.card}",
        say("A release is made only if every rule holds at the bad end of its 95 % interval."),
        "release:\n  model: int8\n  rules:",
        _indent("\n".join(f"# {line}" for line in why.split("\n")), 4),
        f"    - {{claim: quality.accuracy, min: {bound}}}",
        f"    - {{claim: data.duplicate_rate, of: clean, max: 0.01}}  # {duplicates}",
        f"    - {{claim: latency.p95_ms, max: 50}}  # {t('milliseconds for one record', lang=lang)}",
    ]
    return _join(blocks)


TEMPLATES: dict[str, Callable[[str, str | None, Guessed | None, str], str]] = {
    "text-classification": _text_classification,
}


def _join(blocks: list[str]) -> str:
    """A blank line before each comment at the margin, so that the sections can be seen."""
    lines = [blocks[0]]
    for block in blocks[1:]:
        lines.append(f"\n{block}" if block.startswith(("#", "version")) else block)
    return "\n".join(lines) + "\n"


def _indent(text: str, spaces: int = 2) -> str:
    return "\n".join(" " * spaces + line for line in text.split("\n"))


def _step_name(path: str | None) -> str:
    """The first step bears the data file's name where that is a name for a step."""
    stem = Path(path).name.split(".", 1)[0].lower() if path else ""
    return stem if STEP_NAME.fullmatch(stem) and stem not in STEPS else "reviews"


def _reading(path: str | None, guessed: Guessed | None) -> str:
    text = (guessed.text if guessed else None) or "text"
    label = (guessed.label if guessed else None) or "label"
    parts = [f"path: {scalar(path or 'data.csv')}", f"text: {scalar(text)}", f"label: {scalar(label)}"]
    if guessed and guessed.columns:
        parts += ["header: false", f"columns: [{', '.join(scalar(column) for column in guessed.columns)}]"]
    return ", ".join(parts)


def _columns_comment(guessed: Guessed | None, lang: str) -> str:
    if guessed is None:
        return t("put in your own file and the names of its columns", lang=lang)
    if guessed.text is None or guessed.label is None:
        return t("a column could not be guessed; put in its name", lang=lang)
    return t("the columns were guessed; check them", lang=lang)


def _accuracy(guessed: Guessed | None, lang: str) -> tuple[float, str]:
    """A first bound for the accuracy, and the comment that says where it comes from.

    Two fifths of the way from always answering the most frequent label to being always right: a start, not advice.
    """
    if guessed is None or guessed.majority is None:
        return 0.8, t("Put in what your users need.", lang=lang)
    bound = math.floor((guessed.majority + 0.4 * (1 - guessed.majority)) * 100) / 100
    why = t(
        "Always answering the most frequent label would score {share:.2f}. Put in what your users need.",
        lang=lang,
        share=guessed.majority,
    )
    rows = round(guessed.num_rows * TEST_SHARE)
    sizing = sample_size(Rule("quality.accuracy", min=bound), rows)
    if guessed.whole and sizing is not None and sizing.must_observe is not None:
        why += "\n" + t(
            "With about {rows:,} test rows, at least {rate:.3f} must be observed for this bound.",
            lang=lang,
            rows=rows,
            rate=sizing.must_observe,
        )
    elif guessed.whole:
        why += "\n" + t("About {rows:,} test rows are too few to decide this: bring more data.", lang=lang, rows=rows)
    return bound, why
