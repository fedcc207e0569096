"""Texts as a model that was trained before reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.methods.data.dataset import Dataset
from modelyard.methods.preprocessing.ngrams import Ngrams
from modelyard.methods.preprocessing.union import Union
from modelyard.methods.runtimes.golden import NUM_RECORDS
from modelyard.methods.runtimes.reading import repairs_of
from modelyard.methods.tasks.text_classification import FIELD
from modelyard.methods.text import travelling
from modelyard.methods.text.repair import Repair
from modelyard.methods.training import batching
from modelyard.methods.training.candidates import Examples
from modelyard.methods.training.continual import replay
from modelyard.methods.training.continual.lessons import Lesson, SideBySide, refuse_strangers, replayed
from modelyard.methods.training.continual.opening import Known
from modelyard.methods.training.rows import read_splits


def read(known: Known, data: Dataset, old: Dataset | None, share: float, seed: int) -> Lesson:
    """The lesson of a text classifier.

    Args:
        share: of the old training rows, how many are learned again.

    Raises:
        InputError: as `read_splits`; the old data is not the model's.
    """
    repairs = repairs_of(known.card)
    training, validation, labels, notes = read_splits(data, known.card.labels)
    training, validation = _repaired(training, repairs), _repaired(validation, repairs)
    num_new, before, before_validation = len(training), None, None
    if old is not None:
        before, before_validation, names, more = read_splits(old, known.card.labels)
        before, before_validation = _repaired(before, repairs), _repaired(before_validation, repairs)
        refuse_strangers(names, known.card.labels)
        notes += [f"old: {note}" for note in more]
        count = replayed(share, len(before))
        training = _joined(training, _some(before, replay.choose(before.labels, before.names, count, seed)))
    return Lesson(
        labels=tuple(labels),
        training=rows_of(known.reader, training),
        num_new=num_new,
        validation=rows_of(known.reader, validation),
        old=None if before is None else rows_of(known.reader, before),
        old_validation=None if before_validation is None else rows_of(known.reader, before_validation),
        records=[{FIELD: text} for text in validation.texts[:NUM_RECORDS]],
        notes=notes,
    )


def rows_of(reader: Any, examples: Examples) -> batching.RowBatches:
    """Rows for the network behind a preprocessor of texts."""
    if isinstance(reader, Union):
        return SideBySide(tuple(rows_of(part, examples) for part in reader.parts))
    if isinstance(reader, Ngrams):
        found = batching.ngram_rows(reader.sparse(examples.texts), examples.labels, examples.names)
        return replace(found, weights=examples.weights)
    ids = reader.ids(examples.texts)
    return batching.token_rows(ids, reader.pad_id, examples.labels, examples.names, examples.weights)


def _repaired(examples: Examples, repairs: Sequence[Repair]) -> Examples:
    return replace(examples, texts=[travelling.repaired(repairs, text) for text in examples.texts])


def _some(examples: Examples, rows: NDArray[np.int64]) -> Examples:
    places = rows.tolist()
    return Examples(
        texts=[examples.texts[row] for row in places],
        labels=examples.labels[rows],
        names=[examples.names[row] for row in places],
        weights=examples.weights[rows],
    )


def _joined(first: Examples, second: Examples) -> Examples:
    return Examples(
        texts=[*first.texts, *second.texts],
        labels=np.concatenate([first.labels, second.labels]),
        names=[*first.names, *second.names],
        weights=np.concatenate([first.weights, second.weights]),
    )
