"""What project files of every task are put together from."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from modelyard.base.messages import t
from modelyard.base.yaml import resolve
from modelyard.core.project import Rule
from modelyard.engine.guessed import Guessed
from modelyard.engine.project_file import STEP_NAME
from modelyard.engine.sample_size import sample_size

TEST_SHARE = 0.2
VALIDATION_SHARE = 0.1
STEPS = ("clean", "split", "leaks", "model", "classifier", "int8", "quality", "latency", "card")
_PLAIN = re.compile(r"[^\W\d][\w./-]*")


def scalar(text: str) -> str:
    """Text as a YAML scalar that reads back as the same text."""
    plain = _PLAIN.fullmatch(text) and isinstance(resolve(text), str)
    return text if plain else json.dumps(text, ensure_ascii=False)


def join(blocks: list[str]) -> str:
    """A blank line before each comment at the margin, so that the sections can be seen."""
    lines = [blocks[0]]
    for block in blocks[1:]:
        lines.append(f"\n{block}" if block.startswith(("#", "version")) else block)
    return "\n".join(lines) + "\n"


def indent(text: str, spaces: int = 2) -> str:
    return "\n".join(" " * spaces + line for line in text.split("\n"))


def step_name(path: str | None) -> str:
    """The first step bears the data file's name where that is a name for a step."""
    stem = Path(path).name.split(".", 1)[0].lower() if path else ""
    return stem if STEP_NAME.fullmatch(stem) and stem not in STEPS else "reviews"


def reading(path: str | None, guessed: Guessed | None) -> str:
    text = (guessed.text if guessed else None) or "text"
    label = (guessed.label if guessed else None) or "label"
    parts = [f"path: {scalar(path or 'data.csv')}", f"text: {scalar(text)}", f"label: {scalar(label)}"]
    if guessed and guessed.columns:
        parts += ["header: false", f"columns: [{', '.join(scalar(column) for column in guessed.columns)}]"]
    return ", ".join(parts)


def columns_comment(guessed: Guessed | None, lang: str) -> str:
    if guessed is None:
        return t("put in your own file and the names of its columns", lang=lang)
    if guessed.text is None or guessed.label is None:
        return t("a column could not be guessed; put in its name", lang=lang)
    return t("the columns were guessed; check them", lang=lang)


def accuracy(guessed: Guessed | None, lang: str) -> tuple[float, str]:
    """A first bound for the accuracy, and the comment that says where it comes from.

    An eighth of the way from always answering the most frequent label to being always right: what a first run can pass,
    a start and not advice.
    """
    if guessed is None or guessed.majority is None:
        return 0.8, t("Put in what your users need.", lang=lang)
    bound = math.floor((guessed.majority + (1 - guessed.majority) / 8) * 100 + 1e-9) / 100
    why = t(
        "Always answering the most frequent label would score {share:.2f}. A start, not advice: put in what your users "
        "need.",
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
