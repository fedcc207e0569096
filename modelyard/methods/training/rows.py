"""Labelled texts out of a data set, and what must hold of them before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.training.candidates import Examples

SHOWN = 5


def read_splits(data: Dataset, known: Sequence[str] = ()) -> tuple[Examples, Examples, list[str], list[str]]:
    """Train and validation as examples.

    Args:
        known: labels of a model that is to go on; they keep their places, new ones follow.

    Returns:
        training, validation, labels (sorted but for `known`; a label's position is its class), and notes on rows left
        out.

    Raises:
        InputError: a split has no usable row, train has fewer than two classes, or validation has a label that train
            has not; all problems together.
    """
    columns = [_columns(data, split) for split in ("train", "validation")]
    labels = sorted({label for _, label, _, _ in columns[0]})
    shares = _shares(data, "train") if data.role("soft_label") else {}
    labels = [*known, *sorted({*labels, *(name for found in shares.values() for name in found)} - set(known))]
    problems = _problems(columns[0], columns[1], labels)
    if problems:
        raise InputError.of(problems)
    places = {label: position for position, label in enumerate(labels)}
    training, validation = (_examples(rows, places) for rows in columns)
    notes = []
    if shares:
        training = replace(training, soft=_soft(training, shares, places))
        differing = sum(len(found) > 1 for found in shares.values())
        notes.append(
            t("{count:,} training rows have shares of several classes, which networks learn from", count=differing)
        )
    for split, rows in (("train", training), ("validation", validation)):
        left_out = data.num_rows(split) - len(rows)
        if left_out:
            notes.append(t("{count} {split} rows without a text or a label were left out", count=left_out, split=split))
    return training, validation, labels, notes


def _shares(data: Dataset, split: str) -> dict[str, dict[str, float]]:
    """Row id to the share of each class, of rows that have a soft label."""
    name = data.need("soft_label")
    table = data.table(split, [ROW_ID, name])
    pairs = zip(table.column(ROW_ID).to_pylist(), table.column(name).to_pylist(), strict=True)
    return {
        row_id: {label: part for label, part in json.loads(text).items() if part > 0} for row_id, text in pairs if text
    }


def _soft(
    examples: Examples, shares: Mapping[str, Mapping[str, float]], places: Mapping[str, int]
) -> NDArray[np.float32]:
    """[rows, classes]: a row's shares, or all on its label if it has none."""
    found = np.zeros((len(examples), len(places)), np.float32)
    for row, (name, label) in enumerate(zip(examples.names, examples.labels.tolist(), strict=True)):
        for of_class, part in shares.get(name, {}).items():
            found[row, places[of_class]] = part
        if name not in shares:
            found[row, label] = 1.0
    return found


_Row = tuple[str, str, str, float]


def _columns(data: Dataset, split: str) -> list[_Row]:
    """(text, label, row id, weight) of every row that has a text and a label."""
    text, label, weight = data.need("text"), data.need("label"), data.role("weight")
    table = data.table(split, [text, label, ROW_ID, *([weight] if weight else [])])
    weights = table.column(weight).to_pylist() if weight else [1.0] * table.num_rows
    return [
        (a_text, str(a_label), str(a_name), 1.0 if a_weight is None else float(a_weight))
        for a_text, a_label, a_name, a_weight in zip(
            table.column(text).to_pylist(),
            table.column(label).to_pylist(),
            table.column(ROW_ID).to_pylist(),
            weights,
            strict=True,
        )
        if a_label is not None and isinstance(a_text, str) and a_text.strip()
    ]


def _problems(training: Sequence[_Row], validation: Sequence[_Row], labels: Sequence[str]) -> list[Problem]:
    problems = []
    for split, rows in (("train", training), ("validation", validation)):
        if not rows:
            found = t("no {split} row has a text and a label", split=split)
            problems.append(Problem(f"data/{split}", found, t("labelled texts"), t("check data.read and data.split")))
    if training and len(labels) < 2:
        found = t("all training rows have the label `{label}`", label=labels[0])
        problems.append(Problem("data/train", found, t("at least two classes"), t("check the column named as label")))
    strange = sorted({label for _, label, _, _ in validation} - set(labels))
    if training and strange:
        found = t("{count} labels of validation are not in train: {labels}", count=len(strange), labels=_few(strange))
        remedy = t("use data.split with `by: label`, and merge or drop classes of a row or two")
        problems.append(Problem("data/validation", found, t("labels that train has too"), remedy))
    return problems


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def _examples(rows: Sequence[_Row], places: dict[str, int]) -> Examples:
    return Examples(
        texts=[text for text, _, _, _ in rows],
        labels=np.array([places[label] for _, label, _, _ in rows], np.int64),
        names=[name for _, _, name, _ in rows],
        weights=np.array([weight for _, _, _, weight in rows], np.float32),
    )
