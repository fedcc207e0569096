"""The seam everything that needs an answer goes through: evaluation, compression, parity checks, serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

from modelyard.errors import InputError

Record: TypeAlias = Mapping[str, Any]
Prediction: TypeAlias = Any
"""An answer of the model's task (`tasks.Answer`): who reads more of it than `to_json` knows which task it is."""


class NotNumbers(InputError):
    """The model computed what is no number: its own fault, not the record's."""


@runtime_checkable
class Predictor(Protocol):
    """A model, however stored, that answers batches of records.

    Attributes:
        digest: of the model's files, so that evidence names exact bytes.
        task: the task's name.
        labels: in the order of scores.
        runtime: name and version of the engine that computes (`onnxruntime 1.31.1`).
    """

    digest: str
    task: str
    labels: tuple[str, ...]
    runtime: str

    def predict(self, records: Sequence[Record]) -> list[Prediction]:
        """One answer a record, in order; the same alone and in any batch. Safe to call from several threads.

        Raises InputError for a record that the task cannot read. No records, no answers.
        """
        ...

    def close(self) -> None:
        """Free memory and threads. Calling it twice is fine."""
        ...
