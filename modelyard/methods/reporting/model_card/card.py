"""The whole card as Markdown: front matter, then what the page shows in that language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.methods.reporting.model_card.convert import to_markdown
from modelyard.methods.reporting.model_card.front_matter import front_matter
from modelyard.methods.reporting.page import built, viewed
from modelyard.methods.reporting.record import About, Record
from modelyard.methods.reporting.sections.header import header


def markdown(record: Record | Mapping[str, Any], lang: str = "en", about: About | None = None) -> str:
    """Front matter and every section of the page; drawings stay in the page, their values come as lists.

    Args:
        record, lang, about: as of `render`.

    Raises:
        InputError, UsageError: as `render`.
    """
    view = viewed(record, lang, about)
    parts = [to_markdown(header(view))]
    for part in built(view):
        parts += [f"## {part.title}", to_markdown(part.content)]
    footer = view.t("Made by modelyard from the record of project “{name}”.", name=view.record.project[:80])
    return front_matter(view) + "\n" + "\n\n".join([part for part in parts if part] + [to_markdown(footer)]) + "\n"
