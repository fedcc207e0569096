"""What a comparison measures, as evidence: quality of both, the gain, flips, groups, and what both cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from modelyard.methods.evaluation.comparing.costing import Times, median, price_per_1000
from modelyard.methods.evaluation.comparing.finding import Finding, Search
from modelyard.methods.evaluation.comparing.scoring import Scored
from modelyard.methods.evaluation.comparing.slicing import Slice
from modelyard.methods.evaluation.comparing.testing import Difference, interval_of
from modelyard.methods.evaluation.intervals import bootstrap_t
from modelyard.methods.runtimes.manifest import manifest
from modelyard.methods.runtimes.recorded import spent
from modelyard.methods.statistics.wilson import wilson

TEST = "data/test"
Ends = tuple[float, float] | Literal["exact"] | None


@dataclass(frozen=True)
class Measured:
    """One measurement, by the names of `Context.measure`."""

    claim: str
    value: float
    n: int
    interval: Ends
    about: str = "model"
    on: str = TEST
    unit: str = ""
    slice: Mapping[str, str] = field(default_factory=dict)
    against: str | None = None


def _pair(name: str, value: float, n: int, interval: Ends, part: Mapping[str, str] | None = None) -> Measured:
    return Measured(f"comparison.{name}", value, n, interval, slice=part or {}, against="against")


def of_difference(scored: Scored, difference: Difference, seed: int) -> Iterator[Measured]:
    """Quality of both, the gain, and the tests of none."""
    name, n = scored.measure.name, difference.n
    for port, values in (("model", scored.model), ("against", scored.against)):
        ends = (
            wilson(float(values.sum()), n)
            if scored.measure.binary
            else bootstrap_t(values, seed=seed, non_negative=True)
        )
        yield Measured(f"comparison.{name}", float(values.mean()), n, ends, about=port)
    yield _pair(f"{name}_gain", difference.value, n, difference.interval)
    for test in difference.tests:
        yield _pair("p_value", test.p, n, "exact", {"metric": name, "test": test.name})


def of_flips(scored: Scored, part: Mapping[str, str] | None = None) -> Iterator[Measured]:
    """Shares of rows that changed sides; none where scores are numbers."""
    if not scored.measure.binary:
        return
    n = int(scored.gain.size)
    for name, rows in (("lost", scored.gain < 0), ("won", scored.gain > 0)):
        yield _pair(name, float(rows.mean()), n, wilson(int(rows.sum()), n), part)


def of_groups(scored: Scored, search: Search, groups: Sequence[Slice], seed: int) -> Iterator[Measured]:
    """Regressions counted; the gain in every group found, and in every group of one column, that one with its flips."""
    n = int(scored.gain.size)
    yield _pair("regressions", float(len(search.regressions)), n, "exact")
    yield _pair("groups_tested", float(search.num_tested), n, "exact")
    shown: dict[tuple[tuple[str, str], ...], Finding] = {tuple(one.part.items()): one for one in search.findings}
    name = f"{scored.measure.name}_gain"
    for one in groups:
        part = tuple(one.part.items())
        if part in shown:
            yield _pair(name, shown[part].gain, one.n, shown[part].interval, one.part)
        elif len(part) == 1:
            mine = scored.only(one.rows)
            yield _pair(name, float(mine.gain.mean()), one.n, interval_of(mine, seed), one.part)
        if len(part) == 1:
            yield from of_flips(scored.only(one.rows), one.part)


def of_costs(folders: Mapping[str, Path], times: Times | None, seed: int) -> Iterator[Measured]:
    """Bytes of a model, price and times of an endpoint as they were when it was asked, times of what was timed here.

    Args:
        folders: by port.
    """
    for port, folder in folders.items():
        bill = spent(folder)
        if bill is None:
            files = manifest(folder)
            yield Measured("comparison.bytes", files.size, len(files.files), "exact", port, "", "bytes")
            continue
        value, ends = median(np.array(bill.seconds) * 1000)
        yield Measured("comparison.p50_ms", value, len(bill.seconds), ends, port, unit="ms")
        if bill.costs:
            value, ends = price_per_1000(bill.costs, seed)
            yield Measured("comparison.price_per_1000", value, len(bill.costs), ends, port, unit=bill.currency)
    if times is None:
        return
    for port, taken in (("model", times.model), ("against", times.against)):
        if taken.size:
            value, ends = median(taken)
            yield Measured("comparison.p50_ms", value, int(taken.size), ends, port, unit="ms")
    if times.paired:
        n = int(times.model.size)
        yield Measured("comparison.latency_ratio", times.ratio, n, times.ratio_interval, against="against")
