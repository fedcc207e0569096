"""The repairs of the texts a model learned from, written into the model: it repairs what it is asked about as well."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modelyard.base.messages import t
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.runtimes import members, reading
from modelyard.methods.runtimes.golden import write_golden
from modelyard.methods.runtimes.model_folder import FILE, GOLDEN, ModelCard
from modelyard.methods.text import travelling
from modelyard.methods.text.repair import Repair


def carry(data: Dataset, folder: Path, say: Callable[[str], None], column: str | None = None) -> None:
    """Write the repairs of a column of the data into a model folder that was made from it; nothing if it has none.

    Args:
        column: whose texts the model is asked about; None: the one with the role `text`.
    """
    name = column or data.role("text")
    repairs = data.repairs(name) if name else ()
    if repairs:
        write(repairs, folder)
        told = travelling.told(reading.repairs_of(ModelCard.read(folder)))
        say(t("the model repairs every text it is asked about, as its training texts were: {how}", how=", ".join(told)))


def write(repairs: tuple[Repair, ...], folder: Path) -> None:
    """Into a model folder, and its members'. Its golden answers are made again if it would now read them otherwise."""
    card = replace(ModelCard.read(folder), repairs=tuple(travelling.specs(repairs)))
    card.write(folder)
    if card.format == members.FORMAT:
        for name in members.names(card):
            write(repairs, folder / name)
    records = json.loads((folder / GOLDEN).read_text(encoding="utf-8"))["records"]
    made = reading.repairs_of(card)
    if any(reading.repaired(made, record) != record for record in records):
        write_golden(folder, records)


def updated(card: ModelCard, *sets: Dataset) -> ModelCard:
    """What a model says of itself when it goes on learning from data sets: it repairs as before, and as their texts
    were repaired. Raises InputError if the data is in the other script."""
    repairs = travelling.parse(card.repairs, FILE)
    for data in sets:
        name = data.role("text")
        for one in data.repairs(name) if name else ():
            repairs = travelling.added(repairs, travelling.joined(repairs, one))
    return replace(card, repairs=tuple(travelling.specs(repairs)))


def unlike(card: ModelCard, data: Dataset) -> bool:
    """Whether a model repairs texts, and those of the data were not repaired so."""
    name = data.role("text")
    found = data.repairs(name) if name else ()
    return any(one not in found for one in travelling.parse(card.repairs, FILE))
