"""The rows of a data set: all, some, those removed on the way, and figures about them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.app.data.finding import Found, found, opened, plain, versions
from modelyard.app.releases import folder_of
from modelyard.app.session import open_store
from modelyard.base.canonical import canonical_json
from modelyard.base.messages import did_you_mean, t
from modelyard.core.run import Run
from modelyard.errors import StoreError, UsageError
from modelyard.store import Store, derived

if TYPE_CHECKING:
    from modelyard.methods.data.searching.where import Condition

Value = dict[str, Any]
STATISTICS = "statistics"
SIDES = ("removed", "rejected")
EXAMPLES = 20


def data_sets(*, project: str | Path | None = None, profile: str | None = None) -> list[Value]:
    """The data sets that the newest run of each step made, in the order of the runs."""
    with open_store(folder_of(project), profile) as (_, store):
        kinds = {item.digest: item for item in store.ledger.artifacts()}
        newest: dict[tuple[str, str], Run] = {}
        for run in store.ledger.runs(status="done", limit=10_000):
            newest.setdefault((run.project, run.step), run)
        return [
            _listed(store, binding.digest, {"project": run.project, "step": run.step, "port": binding.port,
                                            "uses": run.uses, "run": run.id}, kinds[binding.digest].size)
            for run in sorted(newest.values(), key=lambda one: one.id)
            for binding in run.outputs
            if binding.digest in kinds and kinds[binding.digest].kind == "dataset"
        ]  # fmt: skip


def _listed(store: Store, digest: str, about: Value, size: int) -> Value:
    from modelyard.methods.data.dataset import Dataset, column_json

    value: Value = {**about, "digest": digest, "size": size, "rows": None, "splits": {}, "columns": []}
    if store.artifacts.has(digest):
        dataset = Dataset.open(store.artifacts.path(digest))
        splits = {split: dataset.num_rows(split) for split in dataset.splits()}
        columns = [column_json(column) for column in dataset.columns]
        value.update(rows=sum(splits.values()), splits=splits, columns=columns)
    return value


@dataclass(frozen=True)
class Rows:
    """Rows that stream by.

    Attributes:
        columns: their names.
        splits: where they come from.
        hidden: splits that are there and not shown.
    """

    columns: tuple[str, ...]
    splits: tuple[str, ...]
    hidden: tuple[str, ...]
    rows: Iterator[Value]


def rows(
    reference: str,
    *,
    split: Sequence[str] = (),
    columns: Sequence[str] = (),
    where: Sequence[str] = (),
    limit: int = 20,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Iterator[Rows]:
    """One `Rows`; its rows can be read while the generator that gave it is alive.

    Args:
        columns: names; all if empty. Only these, and those of the conditions, are read.
        where: conditions such as `label=spam`; all must hold.
        limit: 0 for all.
    """
    from modelyard.methods.data.searching.where import parse_conditions

    with opened(reference, project, profile) as data:
        chosen = columns_of(data, columns)
        conditions = parse_conditions(where, data.dataset.columns)
        splits = data.splits(split)
        data.count_look(splits, "rows")
        hidden = tuple(name for name in data.dataset.splits() if name not in splits)
        yield Rows(chosen, splits, hidden, _stream(data, splits, chosen, conditions, limit))


def _stream(
    data: Found, splits: Sequence[str], columns: Sequence[str], conditions: Sequence[Condition], limit: int
) -> Iterator[Value]:
    from modelyard.methods.data.searching.where import fitting

    needed = list(dict.fromkeys([*columns, *(condition.column for condition in conditions)]))
    given = 0
    for split in splits:
        for batch in data.dataset.batches(split, needed, rows=1_024):
            kept = fitting(batch, conditions).select(list(columns))
            kept = kept.slice(0, limit - given) if limit else kept
            yield from (plain(row) for row in kept.to_pylist())
            given += kept.num_rows
            if limit and given >= limit:
                return


def columns_of(data: Found, wanted: Sequence[str]) -> tuple[str, ...]:
    """The columns named, in that order, or all. Raises UsageError for one that is not there."""
    there = [column.name for column in data.dataset.columns]
    missing = [name for name in wanted if name not in there]
    if missing:
        raise UsageError(
            t("there is no column `{name}`", name=missing[0]),
            expected=t("one of: {names}", names=", ".join(there)),
            remedy=did_you_mean(missing[0], there),
        )
    return tuple(dict.fromkeys(wanted)) or tuple(there)


def sample(
    reference: str,
    *,
    num: int = 20,
    seed: int = 0,
    by: str | None = None,
    split: Sequence[str] = (),
    project: str | Path | None = None,
    profile: str | None = None,
) -> Value:
    """`num` rows chosen at random, the same for the same seed; with `by`, each value's share of them."""
    from modelyard.methods.data.sampling import sample as draw

    with opened(reference, project, profile) as data:
        if by is not None:
            columns_of(data, [by])
        splits = data.splits(split)
        data.count_look(splits, "sample")
        drawn = draw(data.dataset, splits, num, seed, by)
        total = sum(data.dataset.num_rows(name) for name in splits)
        return {"digest": data.digest, "splits": list(splits), "of": total, "rows": [plain(row) for row in drawn]}


def removed(
    reference: str,
    *,
    reason: str | None = None,
    action: str | None = None,
    limit: int = EXAMPLES,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Value:
    """What a step removed, changed or rejected: counts by action and reason, and the first rows of those asked for."""
    with open_store(folder_of(project), profile) as (_, store):
        data = _side(store, reference)
        counts, shown = _count(data, reason, action, limit)
        if reason is not None and not any(item["reason"] == reason for item in counts):
            names = sorted({str(item["reason"]) for item in counts})
            raise UsageError(
                t("no row was removed or changed for the reason `{reason}`", reason=reason),
                expected=t("one of: {names}", names=", ".join(names) or t("none")),
                remedy=did_you_mean(reason, names),
            )
        return {"reference": data.reference, "digest": data.digest, "counts": counts, "rows": shown}


def _count(data: Found, reason: str | None, action: str | None, limit: int) -> tuple[list[Value], list[Value]]:
    from collections import Counter

    counts: Counter[tuple[str, str]] = Counter()
    shown: list[Value] = []
    has_action = any(column.name == "action" for column in data.dataset.columns)
    for batch in data.dataset.batches("all"):
        reasons = [_kind(value) for value in batch.column("reason").to_pylist()]
        actions = batch.column("action").to_pylist() if has_action else ["rejected"] * batch.num_rows
        counts.update(zip(actions, reasons, strict=True))
        for place in range(batch.num_rows) if len(shown) < limit else ():
            if reason in (None, reasons[place]) and action in (None, actions[place]) and len(shown) < limit:
                shown.append(plain(batch.slice(place, 1).to_pylist()[0]))
    ordered = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    return [{"action": a, "reason": b, "rows": num} for (a, b), num in ordered], shown


def _kind(reason: str | None) -> str:
    """Of `kind: detail` the kind: what is counted."""
    return (reason or "").partition(":")[0]


def removed_ids(
    reference: str,
    *,
    reason: str | None = None,
    action: str | None = None,
    project: str | Path | None = None,
    profile: str | None = None,
) -> Iterator[str]:
    """Ids of the rows a step removed or changed, each once where its changes stand together."""
    with open_store(folder_of(project), profile) as (_, store):
        data = _side(store, reference)
        has_action = any(column.name == "action" for column in data.dataset.columns)
        names = ["row_id", "reason", *(["action"] if has_action else [])]
        last = None
        for batch in data.dataset.batches("all", names):
            for row in batch.to_pylist():
                fits = reason in (None, _kind(row["reason"])) and action in (None, row.get("action", "rejected"))
                if fits and row["row_id"] != last:
                    last = row["row_id"]
                    yield row["row_id"]


def _side(store: Store, reference: str) -> Found:
    """The data set of what a step removed: the port named, else `removed`, else `rejected`."""
    step, _, port = reference.partition(".")
    for name in (port,) if port else SIDES:
        if versions(store, f"{step}.{name}"):
            data = found(store, f"{step}.{name}")
            break
    else:
        if not versions(store, step):
            data = found(store, reference)  # a digest, or the error that says what can be asked
        else:
            raise StoreError(
                t("`{step}` keeps no rows apart", step=step), remedy=t("`modelyard data list` shows the data sets")
            )
    if not {"row_id", "reason"} <= {column.name for column in data.dataset.columns}:
        raise UsageError(t("`{name}` holds no removed rows", name=reference), expected="step.removed")
    return data


def stats(
    reference: str,
    *,
    split: Sequence[str] = (),
    columns: Sequence[str] = (),
    project: str | Path | None = None,
    profile: str | None = None,
) -> Value:
    """Figures of every column; kept beside the artifact, so that asking again costs nothing."""
    with opened(reference, project, profile) as data:
        chosen = columns_of(data, columns) if columns else None
        splits = data.splits(split)
        data.count_look(splits, "stats")
        return {"digest": data.digest, **statistics_of(data, splits, chosen)}


def statistics_of(data: Found, splits: Sequence[str], columns: Sequence[str] | None = None) -> Value:
    """As `stats`, of an opened data set."""
    from modelyard.methods.data.statistics.describe import VERSION, describe

    name = "+".join(splits) + ".json"
    kept = None if columns else derived.read(data.store.root, STATISTICS, VERSION, data.digest, name)
    if kept is not None:
        try:
            value: Value = json.loads(kept)
            return value
        except ValueError:
            pass  # torn: made again
    figures = describe(data.dataset, splits, columns)
    if not columns:
        derived.write(data.store.root, STATISTICS, VERSION, data.digest, name, canonical_json(figures))
    return figures
