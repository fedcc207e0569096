"""A checklist asked of a model: which cases fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.evaluation.checklist.suite import Case, Suite, Test, cases
from modelyard.methods.evaluation.estimates import Estimate
from modelyard.methods.evaluation.robustness.judging import ask
from modelyard.methods.runtimes.predictor import Predictor
from modelyard.methods.statistics.wilson import wilson

TASK = "text-classification"
NAME = "failure_rate"


@dataclass(frozen=True)
class Failure:
    """A case that failed: its texts and what was answered, with the probability asked about."""

    texts: tuple[str, ...]
    answers: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """A test that was run: how many cases it had, and those that failed."""

    test: Test
    num_cases: int
    failures: tuple[Failure, ...]

    @property
    def estimate(self) -> Estimate:
        """Share of the cases that failed."""
        return _rate(len(self.failures), self.num_cases, {"test": self.test.name})


def run(predictor: Predictor, suite: Suite, most: int, batch_rows: int, seed: int) -> list[Outcome]:
    """Every test. Raises InputError if the model is no text classifier, or a test names a label it does not know."""
    if predictor.task != TASK:
        raise InputError(t("a checklist asks models of the task `{task}`", task=TASK), where=predictor.task)
    unknown = sorted({one.label for one in suite.tests if one.label is not None} - set(predictor.labels))
    if unknown:
        raise InputError(
            t("the checklist names labels that the model does not know: {names}", names=", ".join(unknown)),
            expected=", ".join(predictor.labels[:20]),
        )
    return [_outcome(predictor, test, cases(test, suite.fill, most, seed), batch_rows) for test in suite.tests]


def overall(outcomes: Sequence[Outcome]) -> Estimate:
    """Share of all cases that failed."""
    return _rate(sum(len(one.failures) for one in outcomes), sum(one.num_cases for one in outcomes), {})


def _rate(failed: int, total: int, part: dict[str, str]) -> Estimate:
    return Estimate(NAME, failed / total, wilson(failed, total), total, part)


def _outcome(predictor: Predictor, test: Test, found: Sequence[Case], batch_rows: int) -> Outcome:
    if not found:
        raise InputError(t("the test has no case: nothing is changed or filled in"), where=test.name)
    texts = list(dict.fromkeys(text for case in found for text in case.texts))
    answers: dict[str, Any] = {}
    for start in range(0, len(texts), batch_rows):
        part = texts[start : start + batch_rows]
        answers |= dict(zip(part, ask(predictor, [{"text": text} for text in part]), strict=True))
    failures = []
    for case in found:
        of_case = [answers[text] for text in case.texts]
        if not holds(test, of_case):
            failures.append(Failure(case.texts, tuple(_said(test, one) for one in of_case)))
    return Outcome(test, len(found), tuple(failures))


def holds(test: Test, answers: Sequence[Any]) -> bool:
    """Whether the answers to one case are what the test wants; a refused text fails."""
    if any(one is None for one in answers):
        return False
    if test.kind == "MFT":
        return all(one.label == test.label for one in answers)
    if test.kind == "INV":
        return len({one.label for one in answers}) == 1
    before, after = (one.scores[test.label] for one in answers)
    moved = before - after if test.direction == "falls" else after - before
    # With `least` 0 a probability that does not move at all has not fallen.
    return bool(moved > 0 and moved >= test.least)


def _said(test: Test, answer: Any) -> str:
    if answer is None:
        return "-"
    if test.kind != "DIR":
        return str(answer.label)
    return f"{answer.label} ({test.label} {answer.scores[test.label]:.3f})"
