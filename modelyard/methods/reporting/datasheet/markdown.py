"""The datasheet as Markdown with the front matter of a Hugging Face data set card."""

from __future__ import annotations

import json
import re

from modelyard.methods.reporting.datasheet.answers import limits, parts
from modelyard.methods.reporting.datasheet.facts import Datasheet
from modelyard.methods.reporting.words import Words

HUB_LICENCES = frozenset(
    [
        "apache-2.0",
        "mit",
        "cc0-1.0",
        "cc-by-4.0",
        "cc-by-3.0",
        "cc-by-2.0",
        "cc-by-sa-4.0",
        "cc-by-sa-3.0",
        "cc-by-nc-4.0",
        "cc-by-nc-sa-4.0",
        "cc-by-nc-nd-4.0",
        "cc-by-nd-4.0",
        "odbl",
        "pddl",
        "odc-by",
        "bsd-3-clause",
        "bsd-2-clause",
        "gpl-3.0",
        "agpl-3.0",
        "lgpl-3.0",
        "mpl-2.0",
        "openrail",
        "unlicense",
        "wtfpl",
    ]
)
"""Identifiers the hub knows; anything else is `other` with its name."""
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
         (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip
SCRIPT_LANGUAGES = {"Han": "zh", "Kana": "ja", "Hangul": "ko"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def markdown(sheet: Datasheet, lang: str = "en") -> str:
    """The whole card. Texts from data and people are escaped: none becomes a tag, a link or a heading."""
    words = Words(lang)
    title = sheet.owner.title or sheet.project
    lines = [front_matter(sheet), f"# {escape(title)}", "", words.t("Datasheet of a data set") + f" `{sheet.digest}`"]
    said = list(limits(sheet, words))
    if said:
        lines += ["", f"## {words.t('To be settled')}", "", *(f"- {escape(text)}" for text in said)]
    for part in parts(sheet, words):
        lines += ["", f"## {part.title}"]
        for answer in part.answers:
            shown = "\n".join(f"{escape(line)}  " for line in answer.answer.splitlines()).rstrip()
            lines += ["", f"**{answer.question}**", "", shown or f"*{words.t('not stated')}*"]
    labels = sheet.figures.get("labels")
    if labels:
        lines += ["", f"## {words.t('Labels')}", "", f"| {words.t('Label')} | {words.t('Share')} |", "| --- | ---: |"]
        lines += [f"| {escape(name)} | {share:.2%} |" for name, share in list(labels["shares"].items())[:50]]
    return "\n".join(lines) + "\n"


def front_matter(sheet: Datasheet) -> str:
    """YAML between dashes; every text in JSON quotes, which YAML reads as they stand."""
    licence, name = hub_licence(sheet)
    lines = ["---", f"license: {json.dumps(licence)}"]
    if name:
        lines.append(f"license_name: {json.dumps(name, ensure_ascii=False)}")
    languages = languages_of(sheet)
    if languages:
        lines.append(f"language: {json.dumps(languages)}")
    lines.append(f"pretty_name: {json.dumps(sheet.owner.title or sheet.project, ensure_ascii=False)}")
    lines.append(f"size_categories: {json.dumps([size_category(sheet.figures['rows'])])}")
    return "\n".join([*lines, 'tags: ["modelyard"]', "---", ""])


def hub_licence(sheet: Datasheet) -> tuple[str, str]:
    """The hub's identifier and, for `other`, the name; `unknown` if any source does not say."""
    stated = sorted({source.licence for source in sheet.sources})
    if not stated or sheet.without_licence:
        return "unknown", ""
    if len(stated) == 1 and stated[0].lower() in HUB_LICENCES:
        return stated[0].lower(), ""
    return "other", ", ".join(stated)


def languages_of(sheet: Datasheet) -> list[str]:
    """Languages that the scripts tell for certain; Latin letters tell none."""
    found = {}
    for column in sheet.figures.get("columns", ()):
        for script, share in column.get("scripts", {}).items():
            if share >= 0.05 and script in SCRIPT_LANGUAGES:
                found[SCRIPT_LANGUAGES[script]] = share
    return sorted(found)


def size_category(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "n>1T" if rows >= 10**12 else "1B<n<10B")


def escape(text: str) -> str:
    """A text that Markdown shows as it stands, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
