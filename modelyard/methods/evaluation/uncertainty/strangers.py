"""Test rows and rows from elsewhere, each with every score of strangeness that the model's format allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.errors import InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.evaluation.measuring.examples import Examples, Reader
from modelyard.methods.evaluation.uncertainty import outside
from modelyard.methods.evaluation.uncertainty.doubt import Ask
from modelyard.methods.evaluation.uncertainty.outside import Floats
from modelyard.methods.runtimes.batching import BatchPredictor
from modelyard.methods.runtimes.ensemble import probabilities
from modelyard.methods.runtimes.predictor import Record

Scores = dict[str, Floats]


def without(reader: Reader, labels: Sequence[str]) -> Reader:
    """The reader, for which rows with such labels have no truth."""
    return replace(reader, truth=lambda row: None if str(row[reader.columns[0]]) in labels else reader.truth(row))


def labelled(data: Dataset, reader: Reader, labels: Sequence[str]) -> list[Record]:
    """Test rows whose label is one of these."""

    def truth(row: Any) -> str | None:
        found = str(row[reader.columns[0]])
        return found if found in labels else None

    return list(Examples.read(data, "test", replace(reader, truth=truth)).records())


def ask(
    predictor: Any, members: Ask | None, inside: Sequence[Record], others: Sequence[Record], batch_rows: int
) -> tuple[Scores, Scores]:
    """What follows from answers and logits, of test rows and of rows from elsewhere.

    Args:
        members: how the members of the model are asked, if it has any.
    """
    one, other = (_scores(predictor, members, records, batch_rows) for records in (inside, others))
    return one, other


def _scores(predictor: Any, members: Ask | None, records: Sequence[Record], batch_rows: int) -> Scores:
    parts: list[Scores] = []
    for start in range(0, len(records), batch_rows):
        asked = records[start : start + batch_rows]
        found = outside.of_probabilities(probabilities(predictor.predict(asked), predictor.labels))
        if isinstance(predictor, BatchPredictor):
            found["energy"] = outside.energy(predictor.logits(predictor.about.values(asked)))
        if members is not None:
            found["disagreement"] = outside.disagreement(members(asked))
        parts.append(found)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def distances(
    model: Path,
    data: Dataset,
    reader: Reader,
    inside: Sequence[Record],
    others: Sequence[Record],
    most: int,
    seed: int,
) -> tuple[tuple[Scores, Scores], list[str]]:
    """Distances of features from at most `most` training rows; nothing and the reason if there are no features."""
    train = Examples.read(data, "train", reader)
    places = np.sort(np.random.default_rng(seed).permutation(len(train))[:most]).tolist()
    try:
        found = outside.features(model, [train.pick(places), inside, others])
    except InputError as error:
        return ({}, {}), [error.problems[0].found if error.problems else str(error)]
    if found is None:
        return ({}, {}), ["the network has no layer of features"]
    known, *asked = found
    classes = np.unique([str(train.truths[place]) for place in places], return_inverse=True)[1]
    one, other = (
        {
            "mahalanobis": outside.mahalanobis(known, classes, rows),
            "neighbour": outside.neighbour(known, rows),
        }
        for rows in asked
    )
    return (one, other), []
