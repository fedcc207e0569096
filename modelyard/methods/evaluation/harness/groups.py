"""Groups of harness tasks: one figure of several tasks, as lm-evaluation-harness combines them.

A group's figure is the mean of its tasks' figures, weighted by their questions unless `weight_by_size: false`; tasks of
groups inside it count as its own. Its interval: rights and wrongs are Wilson's over all questions, or that of a plain
mean of rates; of anything else the tasks' own distances add in squares (Zou and Donner 2008), each with its weight.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.methods.evaluation.harness.scoring import Figure
from modelyard.methods.evaluation.intervals import Interval, mean_of_rates
from modelyard.methods.statistics.wilson import wilson

if TYPE_CHECKING:
    from modelyard.methods.evaluation.harness.running import Measured
    from modelyard.methods.evaluation.harness.tasks import GroupFile, TaskFile

KEYS = frozenset({"group", "group_alias", "task", "aggregate_metric_list", "metadata"})
"""What a group may say. Anything else changes its tasks, which are measured as their own files say."""
DEPTH = 20
WHOLE = "none"
"""The harness' name of the filter that keeps answers as they are."""


@dataclass(frozen=True)
class Combining:
    """One line of `aggregate_metric_list`.

    Attributes:
        filters: None: all that its tasks have.
    """

    metric: str
    filters: tuple[str, ...] | None
    by_size: bool


@dataclass(frozen=True)
class Group:
    """Tasks that have a figure together; `tasks` by name, one that is reached twice counts twice."""

    name: str
    tasks: tuple[str, ...]
    combining: tuple[Combining, ...]


@dataclass(frozen=True)
class Grouped:
    """A group's figures, and how many tasks they are of."""

    name: str
    num_tasks: int
    figures: tuple[Figure, ...]


class Unfit(Exception):
    """Why a group has no figure."""


def resolve(files: Sequence[GroupFile], tasks: Sequence[TaskFile]) -> tuple[list[Group], list[tuple[str, str]]]:
    """Groups with the tasks they hold, and (name, reason) of those that have no figure."""
    configs = {str(one.config["group"]): one.config for one in files}
    known: dict[str, list[str]] = {}
    for task in tasks:
        tags = task.config.get("tag") or []
        for tag in [tags] if isinstance(tags, str) else tags:
            known.setdefault(str(tag), []).append(task.name)
    known = {tag: sorted(names) for tag, names in known.items()} | {task.name: [task.name] for task in tasks}
    made: list[Group] = []
    without: list[tuple[str, str]] = []
    for name, config in configs.items():
        try:
            for found in _groups(name, config, configs, known, 0):
                if found.name not in {one.name for one in made}:
                    made.append(found)
        except Unfit as reason:
            without.append((name, str(reason)))
    return [one for one in made if one.combining], without


def _groups(
    name: str, config: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]], known: Mapping[str, list[str]],
    depth: int,
) -> list[Group]:  # fmt: skip
    """The group and those inside it, itself last."""
    if depth > DEPTH:
        raise Unfit(t("groups that hold each other without end"))
    strange = sorted(set(config) - KEYS)
    if strange:
        raise Unfit(t("it changes `{key}` of its tasks, which are measured as their own files say", key=strange[0]))
    inside: list[Group] = []
    tasks: list[str] = []
    members = config.get("task") or []
    for member in [members] if isinstance(members, str) else members:
        found = _member(name, member, configs, known, depth)
        if isinstance(found, list):
            inside += found
            tasks += found[-1].tasks
        else:
            tasks += found
    combining = tuple(_combining(config.get("aggregate_metric_list")))
    if not combining and depth == 0:
        raise Unfit(t("it names no metrics under `aggregate_metric_list`"))
    return [*inside, Group(name, tuple(tasks), combining)]


def _member(
    group: str, member: Any, configs: Mapping[str, Mapping[str, Any]], known: Mapping[str, list[str]], depth: int
) -> list[Group] | tuple[str, ...]:
    """Groups inside, the outermost last, or names of tasks."""
    if isinstance(member, Mapping) and "group" in member:
        name = str(member["group"])
        if name not in configs:
            return _groups(f"{group}::{name}", {**member, "group": name}, configs, known, depth + 1)
        member = name if set(member) == {"group"} else member
    elif isinstance(member, Mapping) and set(member) == {"task"}:
        member = member["task"]
    if not isinstance(member, str):
        raise Unfit(t("it changes settings of its tasks, which are measured as their own files say"))
    if member in configs:
        return _groups(member, configs[member], configs, known, depth + 1)
    if member not in known:
        raise Unfit(t("its task `{name}` is not among those that are measured", name=member))
    return tuple(known[member])


def _combining(value: Any) -> Iterator[Combining]:
    for one in [value] if isinstance(value, Mapping) else value or []:
        if not isinstance(one, Mapping) or not isinstance(one.get("metric"), str):
            raise Unfit(t("its `aggregate_metric_list` is not a list of metrics"))
        if one.get("aggregation", "mean") != "mean":
            raise Unfit(t("it combines by something else than the mean"))
        filters = one.get("filter_list")
        named = None if filters is None else tuple([filters] if isinstance(filters, str) else map(str, filters))
        yield Combining(str(one["metric"]), named, bool(one.get("weight_by_size", True)))


def combine(group: Group, measured: Mapping[str, Measured]) -> Grouped:
    """The group's figures. A metric counts the tasks that have it, as the harness does."""
    tasks = [measured[name] for name in group.tasks]
    figures = []
    for rule in group.combining:
        there = {one.filter for task in tasks for one in task.figures if one.metric == rule.metric}
        wanted = there if rule.filters is None else {"" if one == "none" else one for one in rule.filters} & there
        figures += [_figure(rule, chosen, tasks) for chosen in sorted(wanted)]
    return Grouped(group.name, len(tasks), tuple(figures))


def _figure(rule: Combining, chosen: str, tasks: Sequence[Measured]) -> Figure:
    both = [(task, one) for task in tasks for one in task.figures if (one.metric, one.filter) == (rule.metric, chosen)]
    sizes = np.array([len({each.place for each in task.samples}) for task, _ in both], np.float64)
    weights = sizes / sizes.sum() if rule.by_size else np.full(len(both), 1 / len(both))
    value = float((weights * np.array([one.value for _, one in both])).sum())
    rows = [
        [
            each.values[rule.metric]
            for each in task.samples
            if each.filter == (chosen or WHOLE) and rule.metric in each.values
        ]
        for task, _ in both
    ]
    interval = _interval([one for _, one in both], rows, weights, rule.by_size)
    return Figure(rule.metric, chosen, value, interval, sum(one.n for _, one in both))


def _interval(
    figures: Sequence[Figure], rows: Sequence[Sequence[Any]], weights: NDArray[np.float64],
    by_size: bool,
) -> Interval | None:  # fmt: skip
    are_rates = all(_is_rate(one.value, some) for one, some in zip(figures, rows, strict=True))
    if are_rates:
        hits = np.array([round(sum(some)) for some in rows], np.int64)
        counts = np.array([len(some) for some in rows], np.int64)
        return wilson(int(hits.sum()), int(counts.sum())) if by_size else mean_of_rates(hits, counts)
    centre = np.array([one.value for one in figures])
    ends = [one.interval for one in figures if one.interval is not None]
    if len(ends) < len(figures):
        return None
    low, high = np.array(ends).T
    value = float((weights * centre).sum())
    below, above = (float(np.sqrt(((weights * (end - centre)) ** 2).sum())) for end in (low, high))
    return value - below, value + above


def _is_rate(value: float, rows: Sequence[Any]) -> bool:
    """Whether a figure is the share of rights among rights and wrongs."""
    plain = all(isinstance(one, int | float | np.number) and one in (0, 1) for one in rows)
    return plain and bool(rows) and math.isclose(sum(rows) / len(rows), value)
