"""From a project to a bound project: stages found, settings validated, every input tied to an output above it.

An input that is not named binds to the nearest output of its kind above. It is never passed over in favour of a
farther one that fits better: what does not fit is a problem that says what would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath
from modelyard.core.project import Step
from modelyard.core.stage import Port
from modelyard.engine.bound import BoundProject, BoundStep, Output, outputs_of, real, resolve_output
from modelyard.engine.catalog import find
from modelyard.engine.fields import Fields
from modelyard.engine.held_out import check_held_out
from modelyard.engine.project_file import ReadProject, read_project, read_project_dict
from modelyard.engine.repeat import opening
from modelyard.engine.rules import check_release
from modelyard.engine.settings import read_settings
from modelyard.errors import Problem

__all__ = ["BoundProject", "BoundStep", "Output", "bind_project", "load_project", "load_project_dict"]


def load_project(path: Path, sets: Sequence[str] = ()) -> tuple[BoundProject | None, list[Problem]]:
    """Read, check and bind a project file; the project, or every problem in it.

    Args:
        path: the file, or the folder that holds `modelyard.yaml`.
        sets: `--set` options.
    """
    return bind_project(read_project(path, sets))


def load_project_dict(
    value: Mapping[str, Any], folder: Path, sets: Sequence[str] = ()
) -> tuple[BoundProject | None, list[Problem]]:
    """The same from a Python dict; relative paths start at `folder`."""
    return bind_project(read_project_dict(value, folder, sets))


def bind_project(read: ReadProject) -> tuple[BoundProject | None, list[Problem]]:
    """Bind what was read. A step that is broken makes no further problems for those that build on it."""
    fields = Fields(read.source)
    fields.problems += read.problems
    if read.project is None:
        return None, fields.problems
    opened = [_open(step, read.project.folder, fields) for step in read.project.steps]
    num_problems = len(fields.problems)
    bound: list[BoundStep] = []
    lost: set[str] = set()
    for position, step in enumerate(opened):
        if step is not None:
            below = frozenset(item.name for item in read.project.steps[position:])
            blind = read.broken | {read.project.steps[i].name for i in range(position) if opened[i] is None}
            if step.step.repeat:
                found = opening.bind(step, bound, below, blind | lost, fields)
                bound += found
                lost |= set() if found else {step.name}
                continue
            bindings = _bind(step, _Above(tuple(reversed(bound)), below, blind | lost), fields)
            bound.append(replace(step, bindings=bindings))
    whole = len(fields.problems) == num_problems
    if whole:
        check_held_out(bound, fields)
    release = check_release(read, bound, fields, whole)
    problems = sorted(fields.problems, key=lambda problem: _line(problem, read))
    return (None, problems) if problems else (BoundProject(read.project, tuple(bound), release), [])


def _line(problem: Problem, read: ReadProject) -> int:
    """Problems are listed in the order of the file; those of other places come first."""
    document = read.source.document
    name, _, line = problem.where.rpartition(":")
    return int(line) if document is not None and name == document.name and line.isdigit() else 0


def _open(step: Step, folder: Path, fields: Fields) -> BoundStep | None:
    """A step's stage and settings. None only if the stage is not known: then nothing is known of its ports."""
    path: KeyPath = ("steps", step.name)
    if step.repeat:
        return opening.open_step(step, fields)
    found, problems = find(step.uses, folder, fields.source.where((*path, "uses")))
    fields.problems += problems
    if found is None:
        return None
    config = read_settings(found.stage, step.settings, (*path, "with"), fields)
    return BoundStep(step, found, config)


@dataclass(frozen=True)
class _Above:
    """What a step can bind to.

    Attributes:
        steps: those above it, nearest first.
        below: names of the step itself and of those below it, to say so.
        blind: steps that could not be opened: what is missing may be theirs, so it is not complained about.
    """

    steps: tuple[BoundStep, ...]
    below: frozenset[str]
    blind: frozenset[str]


def _bind(step: BoundStep, above: _Above, fields: Fields) -> dict[str, tuple[Output, ...]]:
    path: KeyPath = ("steps", step.name, "in")
    ports = {name: port for name, port in step.stage.inputs.items() if port.kind != "record"}
    for name in step.step.inputs:
        if name not in ports:
            _unknown_port(name, step, path, fields)
    bindings: dict[str, tuple[Output, ...]] = {}
    for name, port in ports.items():
        named = step.step.inputs.get(name)
        if named is None and port.side and not port.optional:
            _unnamed(step, name, fields)
        if named is None and (above.blind or port.side):
            continue
        if named is None:
            outputs = _nearest(step, name, port, above, fields)
        else:
            outputs = _named(step, name, port, named, above, fields)
        if outputs:
            bindings[name] = outputs
    return bindings


def _unnamed(step: BoundStep, name: str, fields: Fields) -> None:
    found = t("`{uses}` needs its input `{port}` named", uses=step.step.uses, port=name)
    remedy = t("name it: `in: {{{port}: {output}}}`", port=name, output="STEP")
    fields.note(("steps", step.name), found, t("`step` or `step.port`"), remedy)


def _unknown_port(name: str, step: BoundStep, path: KeyPath, fields: Fields) -> None:
    port = step.stage.inputs.get(name)
    if port is not None:
        found = t("the input `{port}` is a record, which the engine writes itself", port=name)
        fields.note((*path, name), found, remedy=t("remove it: it always covers every step above"))
        return
    found = t("`{uses}` has no input `{port}`", uses=step.step.uses, port=name)
    fields.note((*path, name), found, remedy=did_you_mean(name, list(step.stage.inputs)))


def _nearest(step: BoundStep, name: str, port: Port, above: _Above, fields: Fields) -> tuple[Output, ...]:
    """Of the nearest step that has an output of the kind; for a port that takes many, of every step."""
    if port.many:
        candidates = [out for item in reversed(above.steps) for out in outputs_of(item, port.kind)]
        fitting = tuple(dict.fromkeys(real(above.steps, out) for out in candidates if not _missing(out, port, above)))
        if not fitting and not port.optional:
            _nothing(step, name, port, fields)
        return fitting
    path: KeyPath = ("steps", step.name)
    for item in above.steps:
        outputs = outputs_of(item, port.kind)
        if len(outputs) > 1:
            _ambiguous(step, name, outputs, path, fields)
            return ()
        if outputs:
            missing = _missing(outputs[0], port, above)
            if set(missing) & {"test", "calibration"} and _passed_over(outputs[0], missing, above):
                continue  # made of train only (balanced, augmented): held out rows stay where they were cut
            if missing and not port.optional:
                _lacks(step, name, outputs[0], missing, path, above, fields)
            return () if missing else (real(above.steps, outputs[0]),)
    if not port.optional:
        _nothing(step, name, port, fields)
    return ()


def _passed_over(output: Output, missing: Sequence[str], above: _Above) -> bool:
    """Whether rows held out are looked for farther up: they are all that is missing of data that was split."""
    port = _port_of(output, above)
    return set(missing) <= {"test", "calibration"} - set(port.given_by) and "train" in port.splits


def _nothing(step: BoundStep, name: str, port: Port, fields: Fields) -> None:
    found = t("nothing above gives `{step}` its input `{port}`", step=step.name, port=name)
    source = {"dataset": "data.read", "model": "train.text_classification"}.get(port.kind, "")
    remedy = t("add a step that uses {stages}", stages=f"`{source}`") if source else ""
    fields.note(("steps", step.name), found, t("a step above with an output of kind {kind}", kind=port.kind), remedy)


def _ambiguous(step: BoundStep, name: str, outputs: Sequence[Output], path: KeyPath, fields: Fields) -> None:
    known = ", ".join(".".join(output) for output in outputs)
    found = t("the input `{port}` could be any of: {known}", port=name, known=known)
    fields.note(
        path, found, t("one output"), t("name it: `in: {{{port}: {output}}}`", port=name, output=".".join(outputs[0]))
    )


def _port_of(output: Output, above: _Above) -> Port:
    return next(item for item in above.steps if item.name == output[0]).stage.outputs[output[1]]


def _missing(output: Output, port: Port, above: _Above) -> list[str]:
    """Splits the port needs and the output does not hold."""
    held = _held(output, above)
    return [split for split in port.splits if split not in held]


def _held(output: Output, above: _Above) -> tuple[str, ...]:
    """The splits an output holds with its step's settings."""
    step = next(item for item in above.steps if item.name == output[0])
    port = step.stage.outputs[output[1]]
    if not port.given_by or step.config is None:
        return port.splits
    return tuple(split for split in port.splits if getattr(step.config, port.given_by.get(split, ""), True))


def _lacks(
    step: BoundStep, name: str, output: Output, missing: list[str], path: KeyPath, above: _Above, fields: Fields
) -> None:
    held = _held(output, above)
    uses, source = step.step.uses, output[0]
    splits = ", ".join(missing)
    if missing == ["all"]:
        found = t("`{uses}` needs data that is not split; `{source}` above is split", uses=uses, source=source)
        remedy = t(
            "move `{step}` above the split, or name an earlier step: `in: {{{port}: …}}`", step=step.name, port=name
        )
    elif held == ("all",):
        found = t(
            "`{uses}` needs the split {splits}; `{source}` above is not split", uses=uses, splits=splits, source=source
        )
        remedy = t("add a `data.split` step between `{source}` and `{step}`", source=source, step=step.name)
    elif set(missing) & set(_port_of(output, above).given_by):
        setting = _port_of(output, above).given_by[missing[0]]
        found = t("`{uses}` needs the split {splits}; `{source}` keeps no rows for it", uses=uses, splits=splits,
                  source=source)  # fmt: skip
        remedy = t("say how many in `{source}`: `{setting}: 0.1`", source=source, setting=setting)
    else:
        found = t(
            "`{uses}` needs the split {splits}; `{source}` above has {held}",
            uses=uses, splits=splits, source=source, held=", ".join(held) or t("none"),
        )  # fmt: skip
        remedy = t("name a step that has it: `in: {{{port}: …}}`", port=name)
    fields.note(path, found, remedy=remedy)


def _named(
    step: BoundStep, name: str, port: Port, references: tuple[str, ...], above: _Above, fields: Fields
) -> tuple[Output, ...]:
    path: KeyPath = ("steps", step.name, "in", name)
    if len(references) > 1 and not port.many:
        found = t("the input `{port}` takes one, not {count}", port=name, count=len(references))
        fields.note(path, found, t("`step` or `step.port`"))
        return ()
    found_outputs = [_reference(step, name, port, reference, path, above, fields) for reference in references]
    return tuple(output for output in found_outputs if output is not None)


def _reference(
    step: BoundStep, name: str, port: Port, reference: str, path: KeyPath, above: _Above, fields: Fields
) -> Output | None:
    source_name, _, output_name = reference.partition(".")
    source = next((item for item in above.steps if item.name == source_name), None)
    if source is None:
        if source_name not in above.blind:
            _no_source(step, source_name, path, above, fields)
        return None
    resolved = resolve_output(source, output_name, port.kind, path, fields)
    if resolved is None:
        return None
    missing = _missing(resolved, port, above)
    if missing:
        _lacks(step, name, resolved, missing, path, above, fields)
        return None
    return real(above.steps, resolved)


def _no_source(step: BoundStep, name: str, path: KeyPath, above: _Above, fields: Fields) -> None:
    if name == step.name:
        fields.note(path, t("a step cannot be its own input"), t("a step above"))
    elif name in above.below:
        fields.note(path, t("`{source}` stands below `{step}`", source=name, step=step.name), t("a step above"),
                    t("move `{source}` up", source=name))  # fmt: skip
    else:
        known = [item.name for item in above.steps]
        fields.note(path, t("there is no step `{step}` above", step=name), remedy=did_you_mean(name, known))
