"""Rows far from the others in the training split: limits are learned there, and only its rows are flagged or removed.

robust z   0.6745 (x - median) / MAD, far beyond 3.5 (Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers);
           where the MAD is 0, the mean absolute deviation times 1.2533 stands in for MAD / 0.6745
fences     quartiles and k times the distance between them (Tukey 1977, Exploratory Data Analysis), k = 1.5 or 3
forest     isolation forest over all columns together (Liu, Ting and Zhou 2008)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelyard.methods.data.account import Account
from modelyard.methods.data.changes import ChangeLog
from modelyard.methods.data.dataset import ROW_ID, Column, Dataset, SplitWriter, write_schema
from modelyard.methods.data.roles import schema_of

Method = Literal["robust_z", "fences", "forest"]
OUTLIER = "outlier"
TEXT_LENGTH = "text length"
FOREST = "all columns together"
NORMAL = 0.6745  # MAD of a standard normal
MEAN_TO_DEVIATION = 1.253314  # standard deviation of a normal over its mean absolute deviation
LEFT_ALONE = ("label", "weight", "group", "subject", "split", "time", "soft_label")


@dataclass(frozen=True)
class Search:
    """How outliers are found.

    Attributes:
        limit: of robust z, or the fences' k; `share` of the rows that the forest takes; `trees` of it.
        logarithm: compare logarithms of text lengths, which spread over orders of magnitude.
    """

    method: Method = "robust_z"
    limit: float = 3.5
    share: float = 0.01
    trees: int = 100
    seed: int = 0
    logarithm: bool = True


@dataclass
class Outcome:
    """What was found; `limits` low and high by column, `found` rows by column, `labels` rows found by label."""

    account: Account
    num_train: int = 0
    num_found: int = 0
    limits: dict[str, tuple[float, float]] = field(default_factory=dict)
    found: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)


def numeric_columns(data: Dataset) -> list[str]:
    """Columns of numbers that could hold outliers: not labels, weights and the like."""
    schema = schema_of(data.columns)
    return [
        column.name
        for column in data.columns
        if column.role not in LEFT_ALONE and column.name != ROW_ID and _is_number(schema.field(column.name).type)
    ]


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def load(data: Dataset, columns: list[str], text_length: bool) -> dict[str, NDArray[np.float64]]:
    """Columns of train as numbers [rows], NaN where there is none; with `text_length` also characters of the text."""
    text = data.need("text") if text_length else None
    parts: dict[str, list[NDArray[np.float64]]] = {name: [] for name in columns}
    if text:
        parts[TEXT_LENGTH] = []
    needed = [*columns, *([text] if text else [])]
    for batch in data.batches("train", needed) if needed else ():
        for name in columns:
            values = pc.cast(batch.column(name), pa.float64()).to_numpy(zero_copy_only=False)
            parts[name].append(np.asarray(values, dtype=np.float64))
        if text:
            lengths = pc.fill_null(pc.utf8_length(batch.column(text)), 0)
            parts[TEXT_LENGTH].append(lengths.to_numpy(zero_copy_only=False).astype(np.float64))
    return {name: np.concatenate(found) if found else np.zeros(0) for name, found in parts.items()}


def limits_of(values: NDArray[np.float64], search: Search) -> tuple[float, float]:
    """Smallest and largest value that is no outlier; values that are not finite take no part."""
    there = values[np.isfinite(values)]
    if not there.size:
        return -np.inf, np.inf
    if search.method == "fences":
        low, high = np.quantile(there, (0.25, 0.75))
        return float(low - search.limit * (high - low)), float(high + search.limit * (high - low))
    middle = float(np.median(there))
    distance = np.abs(there - middle)
    spread = float(np.median(distance)) / NORMAL or float(distance.mean()) * MEAN_TO_DEVIATION
    return middle - search.limit * spread, middle + search.limit * spread


def outside(
    columns: Mapping[str, NDArray[np.float64]], search: Search
) -> tuple[dict[str, NDArray[np.bool_]], dict[str, tuple[float, float]]]:
    """Rows that are outliers by each column (or by all together), and the limits where there are any."""
    if search.method == "forest":
        return {FOREST: _isolated(columns, search)}, {}
    found, limits = {}, {}
    for name, values in columns.items():
        logarithm = search.logarithm and name == TEXT_LENGTH
        low, high = limits_of(np.log1p(values) if logarithm else values, search)
        low, high = (float(np.expm1(low)), float(np.expm1(high))) if logarithm else (low, high)
        slack = 1e-9 * max(abs(low), abs(high), 1.0) if np.isfinite(low) else 0.0
        found[name] = (values < low - slack) | (values > high + slack)
        limits[name] = (low, high)
    return found, limits


def _isolated(columns: Mapping[str, NDArray[np.float64]], search: Search) -> NDArray[np.bool_]:
    """The share of rows that the forest isolates soonest; missing values count as the median."""
    from sklearn.ensemble import IsolationForest

    table = np.column_stack([_filled(values) for values in columns.values()])
    if len(table) < 2 or not search.share:
        return np.zeros(len(table), dtype=np.bool_)
    forest = IsolationForest(
        n_estimators=search.trees, contamination=search.share, random_state=search.seed % (1 << 32), n_jobs=1
    )
    isolated: NDArray[np.bool_] = forest.fit_predict(table) == -1
    return isolated


def _filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = np.isfinite(values)
    middle = float(np.median(values[there])) if there.any() else 0.0
    return np.where(there, values, middle)


def take_out(
    data: Dataset,
    columns: Mapping[str, NDArray[np.float64]],
    search: Search,
    remove: bool,
    target: Path,
    removed: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Outcome:
    """Flag the outliers of train in a column `outlier`, or remove them; validation goes through as it is.

    The flag says which columns: `amount; text length`; it is empty for the other rows of train, and null in validation,
    which was not looked at.
    """
    found, limits = outside(columns, search)
    outcome = Outcome(Account(), limits=limits)
    outcome.found.update({name: int(mask.sum()) for name, mask in found.items() if mask.any()})
    shown = [] if remove else [Column(OUTLIER, "other", "string")]
    kept_columns = [*(column for column in data.columns if column.name != OUTLIER or remove), *shown]
    schema = schema_of(kept_columns)
    write_schema(target, kept_columns)
    label = data.role("label")
    start, total = 0, sum(data.num_rows(split) for split in ("train", "validation"))
    with SplitWriter(target, "train", schema) as train, ChangeLog(removed) as log:
        for batch in data.batches("train"):
            masks = {name: mask[start : start + batch.num_rows] for name, mask in found.items()}
            any_of = np.logical_or.reduce([*masks.values(), np.zeros(batch.num_rows, dtype=np.bool_)])
            flags = [""] * batch.num_rows
            places = np.flatnonzero(any_of)
            for place, row in zip(places.tolist(), batch.take(pa.array(places)).to_pylist(), strict=True):
                names = [name for name, mask in masks.items() if mask[place]]
                flags[place] = "; ".join(names)
                detail = "; ".join(_told(name, columns, limits, start + place) for name in names)
                if label:
                    outcome.labels[str(row[label])] += 1
                if remove:
                    log.removed(str(row[ROW_ID]), OUTLIER, detail, row)
                else:
                    log.changed(str(row[ROW_ID]), OUTLIER, OUTLIER, "", flags[place], detail)
            kept = batch.filter(pa.array(~any_of)) if remove else _with_flags(batch, flags)
            train.write(kept)
            log.kept(kept.num_rows, 0 if remove else len(places))
            start += batch.num_rows
            progress(start, total)
        log.account.num_in = start
        outcome.num_train, outcome.num_found = start, log.account.removed[OUTLIER] + log.account.changed[OUTLIER]
        _pass_on(data, target, schema, remove, log)
    outcome.account = log.account
    return outcome


def _told(
    name: str, columns: Mapping[str, NDArray[np.float64]], limits: Mapping[str, tuple[float, float]], place: int
) -> str:
    if name not in limits:
        return name
    low, high = limits[name]
    return f"{name} {columns[name][place]:g} is not between {low:.4g} and {high:.4g}"


def _with_flags(batch: pa.RecordBatch, flags: list[str] | None) -> pa.Table:
    values: list[Any] = flags if flags is not None else [None] * batch.num_rows
    table = pa.Table.from_batches([batch])
    if OUTLIER in table.schema.names:
        table = table.drop_columns([OUTLIER])
    return table.append_column(OUTLIER, pa.array(values, pa.string()))


def _pass_on(data: Dataset, target: Path, schema: pa.Schema, remove: bool, log: ChangeLog) -> None:
    with SplitWriter(target, "validation", schema) as validation:
        for batch in data.batches("validation"):
            validation.write(batch if remove else _with_flags(batch, None))
            log.account.num_in += batch.num_rows
            log.kept(batch.num_rows)
