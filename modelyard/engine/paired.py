"""Tasks whose rows bring two things together: whether a file is for one of them, and the guess in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from modelyard.base.messages import t
from modelyard.engine import together
from modelyard.engine.guessed import (
    LABEL_NAMES,
    PAIRS,
    RECOMMENDATION,
    REWRITES,
    TARGET_NAMES,
    ColumnStatistics,
    Guess,
    Guessed,
    numeric,
)
from modelyard.engine.together import Seen, Together


def seen(statistics: Sequence[ColumnStatistics]) -> list[Seen]:
    """What is known of columns, without their values."""
    return [Seen(one.name, one.num_rows, one.num_values, numeric(one)) for one in statistics]


def find(task: str, statistics: Sequence[ColumnStatistics]) -> Together | None:
    """The two columns of a task that brings two together; None if they are not there, or the task is another."""
    known = seen(statistics)
    if task == RECOMMENDATION:
        return together.chosen(known)
    if task == PAIRS:
        named = LABEL_NAMES | TARGET_NAMES
        texts = together.texts(known) or ()
        score = next((one for one in known if one.name.lower() in named and one.name not in texts), None)
        return together.alike(known, score)
    labelled = any(one.name.lower() in LABEL_NAMES - TARGET_NAMES for one in known)
    return together.answered(known) if task == REWRITES and not labelled else None


def guessed(
    task: str,
    both: Together,
    statistics: Sequence[ColumnStatistics],
    columns: tuple[str, ...] | None,
    whole: bool,
    num_bad: int,
    form: Guess,
) -> Guessed:
    """Two columns that belong together, and what came of it."""
    first, second = (t("user column"), t("item column")) if task == RECOMMENDATION else (t("text column"),) * 2
    guesses = [form, Guess(t("kind"), task, both.why), Guess(first, both.first, t("its name says so"))]
    guesses.append(Guess(second, both.second, t("its name says so")))
    named = ((t("label column"), both.label), (t("target column"), both.target), (t("time column"), both.time))
    guesses += [Guess(what, name, t("its name says so")) for what, name in named if name]
    if num_bad:
        guesses.append(Guess(t("bad rows"), str(num_bad), t("data.read keeps them apart, each with its reason")))
    label = next((one for one in statistics if one.name == both.label), None)
    found = Guessed(
        None, both.label, columns, max((one.num_rows for one in statistics), default=0), whole,
        max(label.values.values()) / label.num_rows if label else None, tuple(guesses), task, both.target,
        time=both.time,
    )  # fmt: skip
    if task == RECOMMENDATION:
        return replace(found, user=both.first, item=both.second)
    return replace(found, text=both.first, other=both.second)
