"""Synthetic rows for small classes of a table: SMOTE and its kin, by imbalanced-learn.

Chawla et al. 2002, "SMOTE: Synthetic Minority Over-sampling Technique"; with categories SMOTE-NC of the same paper;
Han et al. 2005, Borderline-SMOTE; He et al. 2008, ADASYN. A synthetic row lies between a row of train and one of its
nearest neighbours of the same class in train: nothing else is looked at.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError, Problem
from modelyard.methods.data.account import Account
from modelyard.methods.data.balancing import copy_split, mark_of
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of

Kind = Literal["smote", "borderline", "adasyn"]
SYNTHETIC = "synthetic"
SHOWN = 5


@dataclass(frozen=True)
class Features:
    """Columns of a table by how they are interpolated.

    Attributes:
        numbers: numeric columns; whole numbers are rounded again.
        categories: text and true/false columns: a synthetic row takes the commonest value of its neighbours.
        rest: columns of other roles, empty in synthetic rows.
    """

    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    rest: tuple[str, ...]


def features_of(data: Dataset) -> Features:
    """Sort the columns. Raises InputError for texts, images, groups, and tables without a number."""
    bad = [column for column in data.columns if column.role in ("text", "image", "group")]
    if bad:
        raise InputError(
            t("SMOTE is for tables; `{name}` is a {role}", name=bad[0].name, role=bad[0].role),
            where="data.balance",
            remedy=t("for texts and images: `method: oversample`, then data.augment"),
        )
    of_table = [column for column in data.columns if column.role == "feature"]
    numbers = tuple(column.name for column in of_table if _is_number(column.type))
    label = data.need("label")
    known = {*(column.name for column in of_table), label, ROW_ID}
    rest = tuple(column.name for column in data.columns if column.name not in known)
    if not numbers:
        raise InputError(
            t("no feature is a number: SMOTE has nothing to interpolate"),
            where="data.balance",
            remedy=t("CSV values are texts until data.clean_table makes them numbers"),
        )
    return Features(numbers, tuple(column.name for column in of_table if column.name not in numbers), rest)


def _is_number(name: str) -> bool:
    kind = pa.type_for_alias(name)
    return bool(pt.is_integer(kind) or pt.is_floating(kind))


def synthesize(
    data: Dataset, wanted: Mapping[str, int], kind: Kind, neighbours: int, seed: int, target: Path, removed: Path
) -> Account:
    """Write train with synthetic rows after its own, and validation as it is. Train is held in memory.

    Args:
        wanted: rows by class, at least as many as there are.
        neighbours: of the same class, among which one is drawn.

    Raises:
        InputError: missing values, or a class to be raised has no more rows than `neighbours`.
    """
    features = features_of(data)
    label = data.need("label")
    table = data.table("train")
    table = table.filter(pc.is_valid(table.column(label)))
    labels: list[str] = table.column(label).to_pylist()
    _check(table, features, labels, wanted, neighbours)
    numbers = np.column_stack([table.column(name).to_numpy().astype(np.float64) for name in features.numbers])
    codes, values = _codes(table, features.categories)
    made = _resampled(np.hstack([numbers, codes]), numbers.shape[1], labels, wanted, kind, neighbours, seed)
    rows = _rows(made, features, values, table.schema, label, mark_of(data, ":"))
    schema = schema_of(data.columns)
    write_schema(target, data.columns)
    with ChangeLog(removed) as log, SplitWriter(target, "train", schema) as writer:
        log.account.num_in = data.num_rows("train")
        for batch in data.batches("train"):
            writer.write(batch)
        writer.write(rows)
        for row_id, of_class in zip(rows.column(ROW_ID).to_pylist(), rows.column(label).to_pylist(), strict=True):
            log.added(row_id, SYNTHETIC, t("between rows of class {label}", label=of_class))
        log.kept(writer.num_rows)
    copy_split(data, "validation", target, schema)
    return log.account


def _check(
    table: pa.Table, features: Features, labels: Sequence[str], wanted: Mapping[str, int], neighbours: int
) -> None:
    problems = []
    for name in (*features.numbers, *features.categories):
        column = table.column(name)
        missing = column.null_count
        if name in features.numbers:
            missing += int(np.isnan(column.to_numpy().astype(np.float64)).sum()) - missing
        if missing:
            found = t("`{name}` has {n:,} missing values in train", name=name, n=missing)
            problems.append(Problem("data.balance", found, remedy=t("fill them, or leave the column out")))
    for label, target in wanted.items():
        there = sum(found == label for found in labels)
        if target > there and there <= neighbours:
            found = t("class {label} has {n} rows; {k} neighbours need more", label=label, n=there, k=neighbours)
            remedy = t("set `neighbours` below {n}, or use `method: oversample`", n=there)
            problems.append(Problem("data.balance", found, remedy=remedy))
    if problems:
        raise InputError.of(problems[:SHOWN])


def _codes(table: pa.Table, names: Sequence[str]) -> tuple[NDArray[np.float64], list[list[Any]]]:
    """Categories as numbers, and the values they stand for."""
    columns, values = [], []
    for name in names:
        known = sorted(set(table.column(name).to_pylist()), key=repr)
        places = {value: place for place, value in enumerate(known)}
        columns.append([float(places[value]) for value in table.column(name).to_pylist()])
        values.append(known)
    return np.array(columns, np.float64).T.reshape(table.num_rows, len(names)), values


def _resampled(
    x: NDArray[np.float64],
    num_numbers: int,
    labels: Sequence[str],
    wanted: Mapping[str, int],
    kind: Kind,
    neighbours: int,
    seed: int,
) -> tuple[NDArray[np.float64], list[str]]:
    """The synthetic rows alone: features [made, features] and classes."""
    from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, BorderlineSMOTE

    categories = list(range(num_numbers, x.shape[1]))
    shared: dict[str, Any] = {"sampling_strategy": dict(wanted), "random_state": seed % 2**32}
    if categories and kind != "smote":
        raise InputError(
            t("`{kind}` takes numbers only; `{name}` does categories too", kind=kind, name="smote"),
            where="data.balance",
        )
    if kind == "adasyn":
        sampler = ADASYN(n_neighbors=neighbours, **shared)
    elif kind == "borderline":
        sampler = BorderlineSMOTE(k_neighbors=neighbours, **shared)
    elif categories:
        sampler = SMOTENC(categories, k_neighbors=neighbours, **shared)
    else:
        sampler = SMOTE(k_neighbors=neighbours, **shared)
    scale = x[:, :num_numbers].std(axis=0)
    scale[scale == 0] = 1.0
    scaled = x.copy()
    scaled[:, :num_numbers] /= scale  # distances must not depend on units
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            all_x, all_y = sampler.fit_resample(scaled, np.array(labels, object))
        except (RuntimeError, ValueError) as error:
            raise InputError(
                t("no synthetic rows could be made: {reason}", reason=error), where="data.balance"
            ) from error
    made = all_x[len(labels) :]
    made[:, :num_numbers] *= scale
    return made, [str(label) for label in all_y[len(labels) :]]


def _rows(
    made: tuple[NDArray[np.float64], list[str]],
    features: Features,
    values: Sequence[Sequence[Any]],
    schema: pa.Schema,
    label: str,
    mark: str,
) -> pa.Table:
    x, labels = made
    columns: dict[str, pa.Array] = {
        ROW_ID: pa.array([f"{SYNTHETIC}{mark}{place}" for place in range(len(labels))], pa.string()),
        label: pa.array(labels, pa.string()),
    }
    for place, name in enumerate(features.numbers):
        kind = schema.field(name).type
        found = np.rint(x[:, place]) if pt.is_integer(kind) else x[:, place]
        columns[name] = pa.array(found).cast(kind)
    for place, name in enumerate(features.categories, start=len(features.numbers)):
        known = values[place - len(features.numbers)]
        columns[name] = pa.array([known[int(code)] for code in x[:, place]], schema.field(name).type)
    for name in schema.names:
        if name not in columns:
            columns[name] = pa.nulls(len(labels), schema.field(name).type)
    return pa.table([columns[name] for name in schema.names], schema)
