"""One catalogue for everything a user reads: `t("English template {value}", value=…)`.

The English template is the key. `catalogue/zh/*.json` map it to Chinese; a missing entry falls back to English.
The language is MODELYARD_LANG (`en` or `zh`), else the locale's.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")


def language() -> str:
    """The user's language: `en` or `zh`."""
    for name in ("MODELYARD_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@cache
def catalogue(lang: str) -> dict[str, str]:
    """All entries of one language, every file of its folder merged."""
    entries: dict[str, str] = {}
    folder = Path(__file__).parent / "catalogue" / lang
    for path in sorted(folder.glob("*.json")):
        entries.update(json.loads(path.read_text(encoding="utf-8")))
    return entries


def t(template: str, /, lang: str | None = None, **values: object) -> str:
    """`template` in the user's language, filled in.

    Args:
        template: the English text with `{names}`; also the key into the catalogue.
        lang: `en` or `zh`; None means the user's language.
        values: what the names stand for.
    """
    chosen = lang or language()
    text = template if chosen == "en" else catalogue(chosen).get(template, template)
    return text.format(**values) if values else text


def did_you_mean(word: str, known: list[str]) -> str:
    """A remedy that names the nearest known word, else the known words."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return t("did you mean `{near}`?", near=near[0])
    return t("known: {known}", known=", ".join(sorted(known))) if known else ""
