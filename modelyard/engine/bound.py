"""A project whose every step, input and rule makes sense, and how its outputs hang together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath
from modelyard.core.evidence import Claim
from modelyard.core.project import Project, Step
from modelyard.core.stage import Stage
from modelyard.engine.catalog import FoundStage
from modelyard.engine.fields import Fields
from modelyard.engine.repeat.goals import Goal
from modelyard.engine.repeat.space import Dimension

Output = tuple[str, str]
"""A step and one of its output ports."""


@dataclass(frozen=True)
class BoundStep:
    """A step that is ready to run.

    Attributes:
        step: as in the project.
        found: its stage and where it came from.
        config: the stage's validated Config.
        bindings: input port to the outputs on it; a missing port is optional and not bound, or of kind `record`.
        aliases: output ports that are another step's output; whoever takes one is bound to that other.
    """

    step: Step
    found: FoundStage
    config: Any
    bindings: Mapping[str, tuple[Output, ...]] = field(default_factory=dict)
    aliases: Mapping[str, Output] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.step.name

    @property
    def stage(self) -> Stage:
        return self.found.stage

    def parents(self) -> list[Output]:
        """Everything on its inputs."""
        return [output for outputs in self.bindings.values() for output in outputs]


@dataclass(frozen=True)
class BoundSearch(BoundStep):
    """A search that is ready to run. Its aliases are the outputs of its members, as the winning trial made them.

    Attributes:
        members: the steps of one trial, top to bottom, with their own settings; they run only inside the search.
        space: what is tried.
        goals: what is compared.
        method: `grid`, `random` or `tpe`.
        trials: how many at most.
        prefix: of a search inside a fold: stands before the names that its members have outside it (`cv.1`).
    """

    members: tuple[BoundStep, ...] = ()
    space: tuple[Dimension, ...] = ()
    goals: tuple[Goal, ...] = ()
    method: str = "grid"
    trials: int = 0
    prefix: str = ""

    def outer(self, member: str) -> str:
        """The name under which steps outside the search know a member, as the winning trial made it."""
        return f"{self.prefix}.{member}" if self.prefix else member


@dataclass(frozen=True)
class BoundFolds(BoundStep):
    """What gathers folds that were made: the steps of the folds stand above it, like any others.

    Attributes:
        groups: names of the steps of each fold, in order: the cut, the cut within if there is one, then what the
            listed steps became; members of a search stand before it.
        repeated: names of the listed steps, and of the members of searches among them.
        scores: claims of the listed steps (name of the step, claim) whose mean over the folds is measured.
        nested: how many trials a fold takes to choose settings; 0 without a search.
    """

    groups: tuple[tuple[str, ...], ...] = ()
    repeated: tuple[str, ...] = ()
    scores: tuple[tuple[str, Claim], ...] = ()
    nested: int = 0

    def of_fold(self, number: int, name: str) -> str:
        """The name of a listed step in a fold, from 1."""
        return f"{self.name}.{number}.{name}"


@dataclass(frozen=True)
class BoundProject:
    """A project whose every step, input and rule makes sense.

    Attributes:
        project: as read.
        steps: top to bottom.
        release: the output that is released; None without `release:`.
    """

    project: Project
    steps: tuple[BoundStep, ...]
    release: Output | None = None

    def step(self, name: str) -> BoundStep:
        """Raises KeyError for a name that is not one of the steps."""
        return {step.name: step for step in self.steps}[name]

    def members(self) -> dict[str, str]:
        """Steps that run only inside a search, and which."""
        searches = [step for step in self.steps if isinstance(step, BoundSearch)]
        return {step.outer(item.name): step.name for step in searches for item in step.members}

    def inner(self) -> set[str]:
        """Steps of single folds."""
        return {name for step in self.steps if isinstance(step, BoundFolds) for group in step.groups for name in group}


def real(steps: Sequence[BoundStep], output: Output) -> Output:
    """The output itself, where `output` is only another name for it."""
    step = next((item for item in steps if item.name == output[0]), None)
    return step.aliases.get(output[1], output) if step is not None else output


def outputs_of(step: BoundStep, kind: str, side: bool = False) -> list[Output]:
    """The outputs of a kind; those beside the main line only if asked for."""
    return [(step.name, name) for name, port in step.stage.outputs.items() if port.kind == kind and port.side is side]


def resolve_output(source: BoundStep, output: str, kind: str, path: KeyPath, fields: Fields) -> Output | None:
    """`step.output`, or the step's one output of the kind; else a problem and None."""
    if output:
        return _resolve_port(source, output, kind, path, fields)
    main = outputs_of(source, kind)
    if len(main) == 1:
        return main[0]
    if main:
        known = ", ".join(".".join(item) for item in main)
        found = t("`{step}` has several outputs of kind {kind}: {known}", step=source.name, kind=kind, known=known)
        fields.note(path, found, t("one of them"))
        return None
    beside = outputs_of(source, kind, side=True)
    remedy = t("did you mean `{near}`?", near=".".join(beside[0])) if beside else _has(source)
    fields.note(path, t("`{step}` has no output of kind {kind}", step=source.name, kind=kind), remedy=remedy)
    return None


def _resolve_port(source: BoundStep, output: str, kind: str, path: KeyPath, fields: Fields) -> Output | None:
    port = source.stage.outputs.get(output)
    if port is None:
        remedy = did_you_mean(output, list(source.stage.outputs))
        fields.note(path, t("`{step}` has no output `{output}`", step=source.name, output=output), remedy=remedy)
    elif port.kind != kind:
        found = t("`{output}` is of kind {found}", output=f"{source.name}.{output}", found=port.kind)
        fields.note(path, found, t("kind {kind}", kind=kind), _has(source))
    else:
        return (source.name, output)
    return None


def _has(source: BoundStep) -> str:
    outputs = ", ".join(f"{name} ({port.kind})" for name, port in source.stage.outputs.items())
    return t("its outputs: {outputs}", outputs=outputs or t("none"))


def descent(steps: Sequence[BoundStep], output: Output) -> set[Output]:
    """Every output that `output` was made from, itself left out."""
    parents = {step.name: step.parents() for step in steps}
    found: set[Output] = set()
    waiting: list[Output] = list(parents.get(output[0], ()))
    while waiting:
        item = waiting.pop()
        if item not in found:
            found.add(item)
            waiting += parents.get(item[0], ())
    return found


MADE = ("dataset", "model")
"""Kinds of outputs that the step which makes them measures."""


def touching(steps: Sequence[BoundStep], claim: str) -> Iterator[tuple[BoundStep, set[Output]]]:
    """The steps that measure a claim, with what they may measure it about.

    A step that makes a model or a data set speaks about what it makes; any other about all on its inputs and outputs.
    """
    for step in steps:
        if any(item.name == claim for item in step.stage.claims):
            made = {
                (step.name, name) for name, port in step.stage.outputs.items() if not port.side and port.kind in MADE
            }
            yield step, made or {*step.parents(), *((step.name, port) for port in step.stage.outputs)}
