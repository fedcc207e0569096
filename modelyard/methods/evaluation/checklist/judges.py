"""What a checklist can want of an answer, by task: a closed table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from modelyard.base.messages import t
from modelyard.errors import Problem
from modelyard.methods.evaluation.checklist.cases import Case
from modelyard.methods.evaluation.checklist.suite import Test
from modelyard.methods.evaluation.robustness.judging import said, spans_of
from modelyard.methods.tasks.tags import labels_of


class Judge(Protocol):
    """How answers of one kind are judged."""

    answer: str
    """The field that names the right answer of an MFT."""

    def amount(self, test: Test, answer: Any) -> float:
        """What a DIR moves."""

    def right(self, test: Test, case: Case, answer: Any) -> bool:
        """Whether an MFT's answer is the one written."""

    def same(self, test: Test, answers: Sequence[Any]) -> bool:
        """Whether the answers of an INV are alike."""


@dataclass(frozen=True)
class Classes:
    answer = "label"

    def amount(self, test: Test, answer: Any) -> float:
        return float(answer.scores[test.label])

    def right(self, test: Test, case: Case, answer: Any) -> bool:
        return bool(answer.label == test.label)

    def same(self, test: Test, answers: Sequence[Any]) -> bool:
        return len({one.label for one in answers}) == 1


@dataclass(frozen=True)
class Sets:
    answer = "labels"

    def amount(self, test: Test, answer: Any) -> float:
        return float(answer.scores[test.label])

    def right(self, test: Test, case: Case, answer: Any) -> bool:
        return set(answer.labels) == set(test.labels or ())

    def same(self, test: Test, answers: Sequence[Any]) -> bool:
        return len({frozenset(one.labels) for one in answers}) == 1


@dataclass(frozen=True)
class Numbers:
    answer = "value"

    def amount(self, test: Test, answer: Any) -> float:
        return float(answer.value)

    def right(self, test: Test, case: Case, answer: Any) -> bool:
        low, high = test.value or (0.0, 0.0)
        return bool(low <= answer.value <= high)

    def same(self, test: Test, answers: Sequence[Any]) -> bool:
        values = [float(one.value) for one in answers]
        return max(values) - min(values) <= test.tolerance


@dataclass(frozen=True)
class Marks:
    """Spans: an MFT names all of them; an INV wants as many of each label, wherever they moved to."""

    answer = "spans"

    def amount(self, test: Test, answer: Any) -> float:
        raise AssertionError("refused before")

    def right(self, test: Test, case: Case, answer: Any) -> bool:
        text = str(case.records[0]["text"])
        found = sorted((text[start:end], label) for start, end, label in spans_of(answer))
        return found == sorted(case.spans)

    def same(self, test: Test, answers: Sequence[Any]) -> bool:
        return len({tuple(label for *_, label in spans_of(one)) for one in answers}) == 1


JUDGES: Mapping[str, Judge] = {
    "text-classification": Classes(),
    "tabular-classification": Classes(),
    "text-multi-label": Sets(),
    "text-regression": Numbers(),
    "tabular-regression": Numbers(),
    "token-classification": Marks(),
}


def problems(test: Test, where: str, task: str, labels: Sequence[str]) -> Iterator[Problem]:
    """What of a test a model cannot be asked."""
    judge = JUDGES[task]
    is_table = task.startswith("tabular-")
    if is_table != bool(test.rows):
        expected = t("`rows` with its columns") if is_table else t("`templates` or `pairs`")
        yield Problem(
            where, t("test `{name}` does not ask what a model of `{task}` reads", name=test.name, task=task), expected
        )
    if test.kind == "MFT" and getattr(test, judge.answer) is None:
        found = t("test `{name}` does not name an answer of `{task}`", name=test.name, task=task)
        yield Problem(where, found, f"`{judge.answer}`")
    if test.kind == "DIR":
        yield from _direction(test, where, judge)
    labels = labels_of(labels) if isinstance(judge, Marks) else labels
    named = {test.label, *(test.labels or ()), *(one.label for one in test.spans or ())} - {None}
    unknown = sorted(str(one) for one in named if one not in labels) if labels else []
    if unknown:
        found = t("the checklist names labels that the model does not know: {names}", names=", ".join(unknown))
        yield Problem(where, found, ", ".join(list(labels)[:20]), t("names are compared letter by letter"))


def _direction(test: Test, where: str, judge: Judge) -> Iterator[Problem]:
    if isinstance(judge, Marks):
        yield Problem(where, t("DIR does not fit models that mark spans"), "MFT, INV")
    elif not isinstance(judge, Numbers) and test.label is None:
        yield Problem(where, t("test `{name}` does not say what moves", name=test.name), t("`label`: its probability"))


def told(test: Test, answer: Any, case: Case, place: int) -> str:
    """An answer as the report shows it, with the probability asked about."""
    text = said(answer, case.records[place])
    scores = getattr(answer, "scores", None)
    return f"{text} ({test.label} {scores[test.label]:.3f})" if test.kind == "DIR" and test.label and scores else text
