"""From labelled rows to what is likely wrong with their labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.evaluation.label_quality import confident, error_rate, folds, given, numbers, texts
from modelyard.methods.evaluation.label_quality.confident import Issues, RankBy
from modelyard.methods.evaluation.label_quality.error_rate import ErrorRate
from modelyard.methods.evaluation.label_quality.rows import Labelled
from modelyard.methods.training.candidates import Examples
from modelyard.methods.training.hooks import Hooks

Model = Literal["auto", "logistic", "trees"]
FEW = 2  # separate texts or groups a class needs, so that it is known when one of its rows is held out


@dataclass(frozen=True)
class Judging:
    """How labels are judged; the settings of data.label_errors.

    Attributes:
        num_folds: how often a model is fitted.
        model: of images and tables; texts have the linear n-gram model.
        probabilities: a file of out-of-fold probabilities that replaces all models, or None.
    """

    num_folds: int = 5
    model: Model = "auto"
    rank_by: RankBy = "self_confidence"
    probabilities: Path | None = None


@dataclass(frozen=True)
class Judged:
    """Labels judged.

    Attributes:
        rows: those that were judged.
        labels: every class, sorted; a row's class is a position in it.
        codes: class [rows] of each row.
        probabilities: [rows, classes].
    """

    rows: Labelled
    labels: tuple[str, ...]
    codes: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    issues: Issues
    rate: ErrorRate


def judge(rows: Labelled, held: Labelled, how: Judging, seed: int, scratch: Path, hooks: Hooks) -> Judged:
    """Judge the labels of `rows`.

    Args:
        held: rows that choose strengths and temperatures and are not judged (validation).

    Raises:
        InputError: fewer than two classes are left, or too few separate rows for the folds.
    """
    rows = _known(rows)
    labels = tuple(sorted(set(rows.labels)))
    if len(labels) < 2:
        raise InputError(
            t("fewer than two classes have rows that can be judged"),
            where="data/train",
            expected=t("at least two classes, each with two separate rows"),
        )
    held = held.take([place for place, label in enumerate(held.labels) if label in labels])
    if how.probabilities is not None:
        found, there = given.read(how.probabilities, rows.row_ids, labels)
        rows = _without(rows, there)
        found = found[there]
    else:
        found = _out_of_fold(rows, held, labels, how, seed, scratch, hooks)
    codes = _codes(rows, labels)
    if set(codes.tolist()) != set(range(len(labels))):
        raise InputError(
            t("the probabilities cover no row of some classes"),
            where="probabilities",
            expected=t("rows of every class in train"),
        )
    issues = confident.find(codes, found, how.rank_by)
    rate = error_rate.estimate(codes, found, confident.num_issues(codes, found))
    return Judged(rows, labels, codes, found, issues, rate)


def pairs(judged: Judged) -> Counter[tuple[str, str]]:
    """How many flagged rows have each pair of label and likely label."""
    flagged = np.flatnonzero(judged.issues.flagged)
    return Counter(
        (judged.labels[judged.codes[place]], judged.labels[judged.issues.suggested[place]]) for place in flagged
    )


def _codes(rows: Labelled, labels: tuple[str, ...]) -> NDArray[np.int64]:
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places[label] for label in rows.labels], np.int64)


def _known(rows: Labelled) -> Labelled:
    """Without the classes that would be unknown to a model when their only text or group is held out."""
    members = folds.together(rows.keys, rows.groups)
    separate: dict[str, set[int]] = defaultdict(set)
    for label, member in zip(rows.labels, members.tolist(), strict=True):
        separate[label].add(member)
    kept = [place for place, label in enumerate(rows.labels) if len(separate[label]) >= FEW]
    if len(kept) == len(rows):
        return rows
    found = rows.take(kept)
    found.left_out["class too small"] += len(rows) - len(kept)
    return found


def _without(rows: Labelled, there: NDArray[np.bool_]) -> Labelled:
    if there.all():
        return rows
    found = rows.take(np.flatnonzero(there).tolist())
    found.left_out["no probabilities"] += int((~there).sum())
    return found


def _out_of_fold(
    rows: Labelled, held: Labelled, labels: tuple[str, ...], how: Judging, seed: int, scratch: Path, hooks: Hooks
) -> NDArray[np.float64]:
    codes = _codes(rows, labels)
    assigned = folds.assign(rows.keys, codes, rows.groups, how.num_folds, seed)
    _refuse_lost(codes, assigned, labels)
    if rows.kind == "text":
        return texts.out_of_fold(
            _examples(rows, codes), _chooser(rows, held, labels, assigned), len(labels), assigned, seed, scratch, hooks
        )
    model: numbers.Model = ("trees" if rows.kind == "feature" else "logistic") if how.model == "auto" else how.model
    assert rows.x is not None
    assert held.x is not None
    chooser = (held.x, _codes(held, labels))
    return numbers.out_of_fold(rows.x, codes, chooser, assigned, model, seed, hooks.progress)


def _refuse_lost(codes: NDArray[np.int64], assigned: NDArray[np.int64], labels: tuple[str, ...]) -> None:
    """A class whose rows all lie in one fold would be unknown to the model that judges them."""
    lost = [label for code, label in enumerate(labels) if len(set(assigned[codes == code].tolist())) < FEW]
    if lost:
        raise InputError(
            t("all rows of {labels} hang together by group or text", labels=", ".join(lost[:5])),
            where="data/train",
            expected=t("at least two classes, each with two separate rows"),
            remedy=t("set `folds` higher, or leave these classes out"),
        )


def _examples(rows: Labelled, codes: NDArray[np.int64]) -> Examples:
    return Examples(rows.texts, codes, rows.row_ids, np.ones(len(rows), np.float32))


def _chooser(rows: Labelled, held: Labelled, labels: tuple[str, ...], assigned: NDArray[np.int64]) -> Examples:
    """The rows that choose strength and temperature: validation, or, if there is none, one fold."""
    if len(held):
        return _examples(held, _codes(held, labels))
    part = rows.take(np.flatnonzero(assigned == 0).tolist())
    return _examples(part, _codes(part, labels))
