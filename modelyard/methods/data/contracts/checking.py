"""Checking a data set against a contract: every rule and every row in one go, in bounded memory.

Two passes: the first finds repeated keys and what is counted over everything, the second checks the values of each row
and passes the rows on.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.contracts.moments import end_of, moment_of, newer, newest_in, newest_of, time_column
from modelyard.methods.data.contracts.outcome import Outcome, Violations
from modelyard.methods.data.contracts.repeats import repeated
from modelyard.methods.data.contracts.rules import Check, Mask, checks_of, later_than, without_nan, wrong_type
from modelyard.methods.data.contracts.settings import Contract
from modelyard.methods.data.dataset import ROW_ID, Dataset
from modelyard.methods.data.settings import seconds_of
from modelyard.methods.data.statistics.drift import compare

SPLIT = "all"
DAY_SECONDS = 86_400
MOST_LABELS = 100_000
Breaking = dict[int, list[str]]
"""Places in a batch to the rules that the row breaks, as `column: rule`."""
Keep = Callable[[pa.RecordBatch, Breaking], None]


@dataclass
class Totals:
    """What is counted over all rows.

    Attributes:
        missing: by column that has a rule.
        labels: rows by label.
        newest: the newest moment, UTC, that is not later than `as_of`.
    """

    rows: int = 0
    missing: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    newest: datetime.datetime | None = None


def check(
    dataset: Dataset,
    contract: Contract,
    violations: Violations,
    room: Path,
    keep: Keep,
    reference: Dataset | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Check all rows of an unsplit data set.

    Args:
        violations: told of every violation.
        room: an empty folder for intermediate parts.
        keep: given every batch with the rows that break rules.
        reference: earlier rows that drift is measured from.

    Raises:
        InputError: a rule names a column or a pattern that makes no sense.
    """
    totals = _totals(dataset, contract)
    _check_whole(dataset, contract, violations, totals)
    outcome = Outcome(num_rows=totals.rows)
    outcome.freshness_days = _check_freshness(dataset, contract, violations, totals, reference)
    if reference is not None:
        outcome.moved = _check_drift(dataset, contract, violations, reference)
    keys = _keys(dataset, contract)
    again = repeated(dataset, SPLIT, [key for key, _ in keys], room)
    checks = _checks(dataset, contract)
    start = 0
    for batch in dataset.batches(SPLIT):
        breaking: Breaking = {}
        for name, one in checks:
            _note(
                batch, name, one.rule, one.expected, one.breaks(without_nan(batch.column(name))), violations, breaking
            )
        for (key, expected), places in zip(keys, again, strict=True):
            inside = places[np.searchsorted(places, start) : np.searchsorted(places, start + batch.num_rows)] - start
            mask = np.zeros(batch.num_rows, dtype=bool)
            mask[inside] = True
            _note(batch, ", ".join(key), "repeated key", expected, mask, violations, breaking)
        outcome.num_violating_rows += len(breaking)
        keep(batch, breaking)
        start += batch.num_rows
        if progress:
            progress(start, totals.rows)
    outcome.broken = violations.broken
    return outcome


def _checks(dataset: Dataset, contract: Contract) -> list[tuple[str, Check]]:
    types = _types(dataset)
    checks = [
        (name, one)
        for name, rule in contract.columns.items()
        if name in types and not wrong_type(rule, types[name])
        for one in checks_of(rule, types[name])
    ]
    moment, end = time_column(dataset, contract.freshness), end_of(contract.freshness)
    if moment is not None and end is not None:
        checks.append((moment, later_than(end, f"as_of: {contract.freshness.as_of}")))
    return checks


def _types(dataset: Dataset) -> dict[str, pa.DataType]:
    batch = next(dataset.batches(SPLIT, rows=1), None)
    if batch is not None:
        return {column.name: column.type for column in batch.schema}
    return {column.name: pa.type_for_alias(column.type) for column in dataset.columns}


def _note(
    batch: pa.RecordBatch,
    column: str,
    rule: str,
    expected: str,
    mask: Mask,
    violations: Violations,
    breaking: Breaking,
) -> None:
    places = np.flatnonzero(mask)
    if not len(places):
        return
    ids = batch.column(ROW_ID).take(pa.array(places)).to_pylist()
    names = column.split(", ") if rule == "repeated key" else [column]
    values = [batch.column(name).take(pa.array(places)).to_pylist() for name in names]
    shown = values[0] if len(values) == 1 else [" | ".join(map(str, row)) for row in zip(*values, strict=True)]
    violations.rows(rule, column, expected, zip(ids, shown, strict=True))
    for place in places.tolist():
        breaking.setdefault(place, []).append(f"{column}: {rule}")


def _keys(dataset: Dataset, contract: Contract) -> list[tuple[tuple[str, ...], str]]:
    """Columns that must have no value twice, and how the contract says so."""
    there = {column.name for column in dataset.columns}
    single = [((name,), "unique: true") for name, rule in contract.columns.items() if rule.unique and name in there]
    several = [(tuple(names), f"unique: [{', '.join(names)}]") for names in contract.unique]
    strange = sorted({name for names, _ in several for name in names} - there)
    if strange:
        raise InputError(
            t("`unique` names a column that is not there: {name}", name=strange[0]),
            where=str(strange[0]),
            expected=t("one of: {names}", names=", ".join(sorted(there))),
        )
    return [*single, *several]


def _totals(dataset: Dataset, contract: Contract) -> Totals:
    there = [column.name for column in dataset.columns]
    label, moment = dataset.role("label"), time_column(dataset, contract.freshness)
    names = list(dict.fromkeys([*(name for name in contract.columns if name in there), *filter(None, (label, moment))]))
    totals = Totals(rows=dataset.num_rows(SPLIT))
    for batch in dataset.batches(SPLIT, names) if names else ():
        for name in names:
            totals.missing[name] += without_nan(batch.column(name)).null_count
        if label:
            labels = without_nan(batch.column(label))
            for item in pc.value_counts(labels.filter(labels.is_valid())):
                if len(totals.labels) < MOST_LABELS:
                    totals.labels[str(item["values"].as_py())] += item["counts"].as_py()
        if moment:
            totals.newest = newer(totals.newest, newest_of(batch.column(moment), end_of(contract.freshness)))
    return totals


def _check_whole(dataset: Dataset, contract: Contract, violations: Violations, totals: Totals) -> None:
    """Rules about the data set as a whole."""
    types = _types(dataset)
    for name, rule in contract.columns.items():
        if name not in types:
            if rule.required:
                violations.whole("no column", name, "required: true", t("no such column"))
            continue
        if wrong_type(rule, types[name]):
            violations.whole("type", name, f"type: {rule.type}", str(types[name]))
        share = totals.missing[name] / totals.rows if totals.rows else 0.0
        if 0 < rule.max_missing < share:
            violations.whole("missing share", name, f"max_missing: {rule.max_missing:g}", f"{share:.4g}")
    if contract.other_columns == "refuse":
        for name in types:
            if name not in contract.columns and name != ROW_ID:
                violations.whole("new column", name, "other_columns: refuse", str(types[name]))
    rows = contract.rows
    if totals.rows < rows.min or (rows.max is not None and totals.rows > rows.max):
        expected = (
            f"rows: {{min: {rows.min}, max: {rows.max}}}" if rows.max is not None else f"rows: {{min: {rows.min}}}"
        )
        violations.whole("number of rows", "", expected, f"{totals.rows:,}")
    _check_labels(dataset, contract, violations, totals)


def _check_labels(dataset: Dataset, contract: Contract, violations: Violations, totals: Totals) -> None:
    rule, name = contract.labels, dataset.role("label")
    if rule == type(rule)():
        return
    if name is None or not totals.labels:
        violations.whole("labels", name or "", t("labels"), t("none"))
        return
    ordered = totals.labels.most_common()
    num = totals.labels.total()
    (most, greatest), (rarest, least) = ordered[0], ordered[-1]
    if greatest / num > rule.max_share:
        violations.whole("label share", name, f"max_share: {rule.max_share:g}", f"{most[:60]} {greatest / num:.4g}")
    if least / num < rule.min_share:
        violations.whole("rare label", name, f"min_share: {rule.min_share:g}", f"{rarest[:60]} {least / num:.4g}")
    if len(ordered) > rule.max_labels:
        violations.whole("number of labels", name, f"max_labels: {rule.max_labels}", f"{len(ordered):,}")


def _check_freshness(
    dataset: Dataset, contract: Contract, violations: Violations, totals: Totals, reference: Dataset | None
) -> float | None:
    """Days from the newest row to the moment counted from; None if one of the two is not known.

    Never negative: a row later than `as_of` is a violation of its own, and rows newer than the reference are fresh.
    """
    rule = contract.freshness
    moment = (
        moment_of(rule.as_of) if rule.as_of else newest_in(reference, contract.freshness, SPLIT) if reference else None
    )
    age = max(0.0, (moment - totals.newest).total_seconds()) if moment and totals.newest else None
    if rule.max_age is not None:
        name = time_column(dataset, contract.freshness) or ""
        expected = f"max_age: {rule.max_age}"
        if age is None:
            none = t("no row has a time up to `as_of`") if rule.as_of else t("no row has a time")
            why = none if moment else t("no `as_of` and no reference to count from")
            violations.whole("freshness", name, expected, why)
        elif age > seconds_of(rule.max_age):
            violations.whole("freshness", name, expected, t("{days:.2f} days", days=age / DAY_SECONDS))
    return None if age is None else age / DAY_SECONDS


def _check_drift(dataset: Dataset, contract: Contract, violations: Violations, reference: Dataset) -> list[Any]:
    """How far columns moved. With too few rows nothing is measured, and the rule is not kept."""
    rule = contract.drift
    fewest = min(dataset.num_rows(SPLIT), reference.num_rows(SPLIT))
    if fewest < rule.min_rows:
        violations.whole("drift", "", f"min_rows: {rule.min_rows}", t("{n:,} rows: too few to judge by", n=fewest))
        return []
    moved = compare(reference, dataset, ([SPLIT], [SPLIT]), rule.columns)
    for name in _not_compared(rule.columns, [item.column for item in moved]):
        violations.whole("drift", name, f"max_psi: {rule.max_psi:g}", t("cannot be compared with the reference"))
    for item in moved:
        if item.moved(rule.max_psi, rule.alpha):
            found = t(
                "PSI {psi:.3f} (by chance {chance:.3f}), {test} p = {p:.2g}, n = {n:,}",
                psi=item.psi, chance=item.by_chance, test=item.test, p=item.p_value, n=item.num_tested,
            )  # fmt: skip
            violations.whole("drift", item.column, f"max_psi: {rule.max_psi:g}", found)
    return moved


def _not_compared(wanted: Sequence[str] | None, compared: Sequence[str]) -> Iterator[str]:
    yield from (name for name in wanted or () if name not in compared)
