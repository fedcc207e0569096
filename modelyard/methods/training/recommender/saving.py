"""A trained recommender as a model folder: that of its network, and the items that it can recommend."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.preprocessing.table import word_of
from modelyard.methods.runtimes import recommending
from modelyard.methods.training.recommender import columns
from modelyard.methods.training.tables import saving
from modelyard.methods.training.tables.learned import Learned
from modelyard.methods.training.tables.rows import Splits


def write_model(
    learned: Learned, folder: Path, splits: Splits, provenance: Mapping[str, Any], licence: str
) -> recommending.Catalogue:
    """Network, columns, golden answers, and `items.json`. Equal models are equal bytes."""
    saving.write_model(learned, folder, splits.labels, provenance, licence, splits.validation.features)
    catalogue = catalogue_of(learned, splits.training.features)
    catalogue.save(folder)
    return catalogue


def catalogue_of(learned: Learned, rows: pa.Table) -> recommending.Catalogue:
    """Every item that the model knows, with the columns that say the same in all its rows."""
    names = [column.name for column in learned.table.columns]
    user, item = names[: columns.NUM_IDS]
    own = columns.constant_columns(rows, item, names[columns.NUM_IDS :])
    firsts = _first_rows(rows, item)
    records = rows.select([item, *own]).take(pa.array(list(firsts.values()), pa.int64())).to_pylist()
    by_word = dict(zip(firsts, records, strict=True))
    places = {column.name: column for column in learned.table.columns}
    found = [
        {item: word, **{name: saving.readable(learned, places[name], by_word[word][name]) for name in own}}
        for word in learned.table.columns[1].words
    ]
    return recommending.Catalogue(user, item, tuple(found))


def _first_rows(rows: pa.Table, item: str) -> dict[str, int]:
    """The first row of each item."""
    found: dict[str, int] = {}
    for place, value in enumerate(rows.column(item).to_pylist()):
        try:
            word = word_of(value)
        except ValueError:
            continue
        if word is not None:
            found.setdefault(word, place)
    return found
