"""Every error a user can meet.

ModelyardError                      exit code
├── UsageError          the command line or the call is wrong                        2
├── ProjectError        the project file has problems (all of them, listed)          3
│   └── ProfileError    the profile file has problems, or a secret is not set        3
├── InputError          data, a model or a file brought by the user is unusable      4
├── StoreError          the store cannot do what was asked                           5
│   ├── IntegrityError  stored bytes are not the bytes that were stored              5
│   ├── VersionError    the store was written by another version                     5
│   └── ConflictError   somebody else moved it first (compare-and-swap lost)         5
├── StageError          a step failed while running                                  6
├── GateError           a release was refused; the findings say why                  7
├── ServingError        an endpoint cannot start or answer                           8
├── DependencyError     an optional library is missing                               9
└── Interrupted         stopped by Ctrl-C or SIGTERM; what is done is kept         130

An error carries where it happened, what was found, what was expected and what to do. Checkers return
lists of `Problem`; only the edge raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, in the words of the person who must mend it.

    Attributes:
        where: `file:line`, a step name, a column …: a place the user can go to.
        found: what is there.
        expected: what should be there; empty when `found` says it all.
        remedy: what to do, "did you mean …" included.
    """

    where: str
    found: str
    expected: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.found}" if self.where else self.found]
        if self.expected:
            parts.append(f"  expected: {self.expected}")
        if self.remedy:
            parts.append(f"  do: {self.remedy}")
        return "\n".join(parts)

    def to_json(self) -> dict[str, str]:
        return {"where": self.where, "found": self.found, "expected": self.expected, "remedy": self.remedy}


class ModelyardError(Exception):
    """Base of every error a user can meet. `str(error)` is the whole message."""

    exit_code = 1

    def __init__(self, found: str, *, where: str = "", expected: str = "", remedy: str = "") -> None:
        self.problems: tuple[Problem, ...] = (Problem(where, found, expected, remedy),)
        super().__init__(str(self.problems[0]))

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> ModelyardError:
        """One error that carries several problems, in the order given."""
        error = cls.__new__(cls)
        error.problems = tuple(problems)
        Exception.__init__(error, "\n".join(str(problem) for problem in problems))
        return error

    def to_json(self) -> dict[str, object]:
        return {
            "error": type(self).__name__,
            "exit_code": self.exit_code,
            "problems": [problem.to_json() for problem in self.problems],
        }


class UsageError(ModelyardError):
    exit_code = 2


class ProjectError(ModelyardError):
    exit_code = 3


class ProfileError(ProjectError):
    pass


class InputError(ModelyardError):
    exit_code = 4


class StoreError(ModelyardError):
    exit_code = 5


class IntegrityError(StoreError):
    pass


class VersionError(StoreError):
    pass


class ConflictError(StoreError):
    pass


class StageError(ModelyardError):
    exit_code = 6


class GateError(ModelyardError):
    exit_code = 7


class ServingError(ModelyardError):
    exit_code = 8


class DependencyError(ModelyardError):
    exit_code = 9


class Interrupted(ModelyardError):
    exit_code = 130
