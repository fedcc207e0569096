"""The decision layer of a model: what happens between the network's outputs and the answer, as `model.json` keeps it.

`ModelCard.postprocessing` is a list of `{"kind": …}` with the fitted numbers beside it, in plain JSON. The predictor
applies it in that order, whatever the format of the model; exports and compression keep it. A kind is one class with

    outputs(outputs, records) -> outputs             logits [records, classes] or values [records, 1], before answers
    answers(answers, outputs, records) -> answers    answers (frozen dataclasses of the task), changed by `replace`

and an `open_…(settings, labels)` that raises ValueError for numbers that do not fit. Both methods are pure and treat
each record alone: the answer to one may not depend on the others of its batch. `records` are what was asked, so that a
kind may look at a column of a table (a group). What a kind was fitted on stands in its own entry (`rows`, `part`), and
it is fitted elsewhere: by stages that never see test.

A new kind: a class in a file here, a line in KINDS, a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.errors import InputError
from modelyard.methods.postprocessing import abstention, conformal, group_thresholds, intervals, quantiles, scaling
from modelyard.methods.postprocessing.step import Floats, Records, Step, need_columns

KINDS: Mapping[str, Callable[[Mapping[str, Any], Sequence[str]], Step]] = {
    "abstention": abstention.open_abstention,
    "conformal_interval": intervals.open_intervals,
    "conformal_set": conformal.open_sets,
    "group_thresholds": group_thresholds.open_group_thresholds,
    "isotonic": scaling.open_isotonic,
    "platt": scaling.open_platt,
    "quantiles": quantiles.open_quantiles,
    "temperature": scaling.open_temperature,
    "vector": scaling.open_vector,
}


FIELDS: Mapping[str, str] = {
    "abstention": "abstained",
    "conformal_interval": "interval",
    "conformal_set": "set",
    "quantiles": "quantiles",
}
"""What a kind adds to answers."""


def fields(settings: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The fields that a model's steps add to its answers, in their order."""
    found = [FIELDS.get(str(one.get("kind"))) for one in settings if isinstance(one, Mapping)]
    return tuple(dict.fromkeys(name for name in found if name))


class Chain:
    """The steps of a model in order; none leaves outputs and answers untouched."""

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.steps = tuple(steps)
        self.extra = sum(step.extra for step in self.steps)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of a record that the steps read, beside those of the network."""
        return tuple(dict.fromkeys(name for step in self.steps for name in step.columns))

    def need(self, records: Records, inputs: Sequence[str]) -> None:
        """Raises InputError for a record that lacks a column of the steps; `inputs` are all that a record has."""
        if self.columns:
            need_columns(records, self.columns, tuple(dict.fromkeys((*inputs, *self.columns))))

    def outputs(self, outputs: Any, records: Records) -> Any:
        for step in self.steps:
            outputs = step.outputs(outputs, records)
        return outputs

    def answers(self, answers: list[Any], outputs: Floats, records: Records) -> list[Any]:
        for step in self.steps:
            answers = step.answers(answers, outputs, records)
        return answers


def load(settings: Sequence[Mapping[str, Any]], task: str, labels: Sequence[str]) -> Chain:
    """The chain of a model. Raises InputError for a kind that is not known, does not fit the task, or is broken."""
    return Chain([_open(one, place, task, labels) for place, one in enumerate(settings)])


def _open(settings: Mapping[str, Any], place: int, task: str, labels: Sequence[str]) -> Step:
    where = f"model.json: postprocessing[{place}]"
    kind = str(settings.get("kind")) if isinstance(settings, Mapping) else ""
    if kind not in KINDS:
        raise InputError(
            t("no postprocessing `{kind}`", kind=kind),
            where=where,
            expected=", ".join(KINDS),
            remedy=did_you_mean(kind, list(KINDS)),
        )
    try:
        step = KINDS[kind](settings, labels)
    except (ValueError, TypeError) as error:
        raise InputError(
            t("the postprocessing `{kind}` is broken: {error}", kind=kind, error=error),
            where=where,
            remedy=t("calibrate the model again"),
        ) from None
    if task not in step.tasks:
        raise InputError(
            t("the postprocessing `{kind}` is not for the task `{task}`", kind=kind, task=task),
            where=where,
            expected=", ".join(step.tasks),
        )
    return step
