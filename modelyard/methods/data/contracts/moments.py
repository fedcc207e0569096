"""Moments that freshness is counted by: of rows, of a reference, and the one a contract names; all in UTC."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pyarrow.compute as pc

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.contracts.settings import FreshnessRule
from modelyard.methods.data.dataset import Dataset

LAST = datetime.datetime.max.replace(tzinfo=datetime.UTC)


def time_column(dataset: Dataset, rule: FreshnessRule) -> str | None:
    """The column of times, if there is one and it holds times."""
    name = rule.column or dataset.role("time")
    kinds = {column.name: column.type for column in dataset.columns}
    if rule.column is not None and name not in kinds:
        raise InputError(
            t("`freshness` names a column that is not there: {name}", name=name),
            where=str(name),
            expected=t("one of: {names}", names=", ".join(sorted(kinds))),
        )
    return name if name is not None and kinds[name].startswith(("timestamp", "date")) else None


def in_utc(values: pa.Array) -> pa.Array:
    """Times and dates as moments in UTC without a zone."""
    return values.cast(pa.timestamp("us"), safe=False)


def newest_in(dataset: Dataset, rule: FreshnessRule, split: str) -> datetime.datetime | None:
    """The newest moment of a split; None without times."""
    name = time_column(dataset, rule)
    newest = None
    for batch in dataset.batches(split, [name]) if name else ():
        newest = newer(newest, newest_of(batch.column(name)))
    return newest


def newest_of(values: pa.Array, before: datetime.datetime | None = None) -> datetime.datetime | None:
    """The newest moment; with `before` the newest before it."""
    moments = in_utc(values)
    if before is not None:
        moments = moments.filter(pc.less(moments, pa.scalar(before.replace(tzinfo=None), moments.type)))
    value: datetime.datetime | None = pc.max(moments).as_py()
    return None if value is None else value.replace(tzinfo=datetime.UTC)


def newer(one: datetime.datetime | None, other: datetime.datetime | None) -> datetime.datetime | None:
    """The later of two moments."""
    return max(filter(None, (one, other)), default=None)


def moment_of(text: str) -> datetime.datetime:
    """The moment an ISO 8601 text names; without a zone it is UTC."""
    moment = datetime.datetime.fromisoformat(text)
    return moment.astimezone(datetime.UTC) if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def end_of(rule: FreshnessRule) -> datetime.datetime | None:
    """The first moment later than `as_of`, of which a date is the whole day; None without it."""
    if rule.as_of is None:
        return None
    step = datetime.timedelta(days=1) if _is_date(rule.as_of) else datetime.timedelta(microseconds=1)
    moment = moment_of(rule.as_of)
    return moment + step if moment < LAST - step else LAST


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True
