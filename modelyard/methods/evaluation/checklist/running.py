"""A checklist asked of a model: which cases fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError, ModelyardError
from modelyard.methods.evaluation.checklist.cases import Case, cases, key
from modelyard.methods.evaluation.checklist.judges import JUDGES, Judge, problems, told
from modelyard.methods.evaluation.checklist.mistakes import MOST
from modelyard.methods.evaluation.checklist.suite import Suite, Test
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.robustness.judging import ask
from modelyard.methods.runtimes.predictor import Predictor, Record
from modelyard.methods.statistics.wilson import wilson

NAME = "failure_rate"


@dataclass(frozen=True)
class Failure:
    """A case that failed: its texts and what was answered, with the probability asked about."""

    texts: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """A test that was run: how many cases it had, and those that failed.

    Attributes:
        num_refused: records that the model would not read; `reason`: why not, of the first.
    """

    test: Test
    num_cases: int
    failures: tuple[Failure, ...]
    num_refused: int = 0
    reason: str = ""

    @property
    def estimate(self) -> Estimate:
        """Share of the cases that failed."""
        return _rate(len(self.failures), self.num_cases, {"test": self.test.name})


def run(predictor: Predictor, suite: Suite, most: int, batch_rows: int, seed: int) -> list[Outcome]:
    """Every test. Raises InputError if the model's task is not asked by checklists, or lists all that does not fit."""
    if predictor.task not in JUDGES:
        raise InputError(
            t("a checklist does not ask models of the task `{task}`", task=predictor.task), expected=", ".join(JUDGES)
        )
    labels = tuple(getattr(predictor, "labels", ()) or ())
    wrong = [one for test in suite.tests for one in problems(test, suite.where(test), predictor.task, labels)]
    if wrong:
        raise InputError.of(wrong[:MOST])
    return [_outcome(predictor, suite, test, cases(test, suite, most, seed), batch_rows) for test in suite.tests]


def overall(outcomes: Sequence[Outcome]) -> Estimate:
    """Share of all cases that failed."""
    return _rate(sum(len(one.failures) for one in outcomes), sum(one.num_cases for one in outcomes), {})


def _rate(failed: int, total: int, part: dict[str, str]) -> Estimate:
    return Estimate(NAME, failed / total, wilson(failed, total), total, part)


def _outcome(predictor: Predictor, suite: Suite, test: Test, found: Sequence[Case], batch_rows: int) -> Outcome:
    if not found:
        raise InputError(
            t("the test has no case: nothing is changed or filled in"),
            where=suite.where(test),
            remedy=t("`change` and `set` must change a template or a row"),
        )
    records = list({key(record): record for case in found for record in case.records}.values())
    answers: dict[str, Any] = {}
    for start in range(0, len(records), batch_rows):
        part = records[start : start + batch_rows]
        answers |= dict(zip(map(key, part), ask(predictor, part), strict=True))
    failures = []
    for case in found:
        of_case = [answers[key(record)] for record in case.records]
        if not holds(JUDGES[predictor.task], test, case, of_case):
            shown = tuple(told(test, one, case, place) for place, one in enumerate(of_case))
            failures.append(Failure(case.texts, shown))
    refused = [record for record in records if answers[key(record)] is None]
    return Outcome(test, len(found), tuple(failures), len(refused), _why(predictor, refused[0]) if refused else "")


def _why(predictor: Predictor, record: Record) -> str:
    """What the model says to a record that it refuses."""
    try:
        predictor.predict([record])
    except ModelyardError as error:
        return str(error.problems[0])
    return ""


def holds(judge: Judge, test: Test, case: Case, answers: Sequence[Any]) -> bool:
    """Whether the answers to one case are what the test wants; a refused record fails."""
    if any(one is None for one in answers):
        return False
    if test.kind == "MFT":
        return all(judge.right(test, case, one) for one in answers)
    if test.kind == "INV":
        return judge.same(test, answers)
    before, after = (judge.amount(test, one) for one in answers)
    moved = before - after if test.direction == "falls" else after - before
    # With `least` 0 what does not move at all has not fallen.
    return bool(moved > 0 and moved >= test.least)
