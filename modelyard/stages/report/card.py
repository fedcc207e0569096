"""Write the model card: one HTML page that opens offline, the same as Markdown for a model hub, and as JSON.

The page shows what the record of the steps above holds: verdict, figures with their intervals, diagrams, data,
training, lineage, environment, what each evaluation found, and the limits that follow. It carries English and Chinese
with a switch, and prints to PDF with its folds open. `card.md` and `card.zh.md` begin with the front matter of a
Hugging Face model card.
"""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from modelyard.base import messages
from modelyard.base.canonical import canonical_json
from modelyard.core.stage import Context, Port, Stage
from modelyard.errors import InputError


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    lang: Literal["auto", "en", "zh"] = Field(
        "auto", description="language the page opens in (it holds both); `auto`: that of the labels and quoted texts"
    )
    title: str = Field("", max_length=200, description="heading of the page; the project's name if empty (characters)")
    intended_use: str = Field(
        "", max_length=4000, description="what the model is for, as shown on the card (characters)"
    )
    out_of_scope: str = Field("", max_length=4000, description="what it is not for, as shown on the card (characters)")
    owner: str = Field("", max_length=200, description="who answers for the model (characters)")
    contact: str = Field("", max_length=200, description="how to reach the owner (characters)")


def run(config: Config, context: Context) -> None:
    from modelyard.methods.reporting import About, finite, parse, render
    from modelyard.methods.reporting.model_card import markdown
    from modelyard.methods.reporting.page import language_of

    path = context.input("record") / "record.json"
    try:
        record, _ = finite(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise InputError(
            messages.t("the record cannot be read: {error}", error=error),
            where=str(path),
            expected="record.json",
        ) from None
    words = config.model_dump(exclude={"lang"})
    parsed = parse(record)
    lang = language_of(parsed) if config.lang == "auto" else config.lang
    folder = context.output("report")
    about = About(**words)
    pages = {
        "card.html": render(parsed, lang=lang, about=about),
        "card.md": markdown(parsed, "en", about),
        "card.zh.md": markdown(parsed, "zh", about),
    }
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder / "card.json").write_bytes(canonical_json({**record, "about": words}) + b"\n")


STAGE = Stage(
    config=Config,
    run=run,
    inputs={
        "model": Port("model", description="the model the card is about"),
        "record": Port("record", description="everything known of the steps above"),
    },
    outputs={"report": Port("report", description="card.html, card.md, card.zh.md and card.json")},
)
