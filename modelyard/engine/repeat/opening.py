"""Checks and binds the steps that repeat others, with every problem at its line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.base.canonical import Json
from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath
from modelyard.core.project import Step
from modelyard.core.stage import Port, Stage
from modelyard.engine.bound import BoundSearch, BoundStep, Output
from modelyard.engine.catalog import FoundStage
from modelyard.engine.fields import Fields
from modelyard.engine.repeat import suggest
from modelyard.engine.repeat.goals import Goal
from modelyard.engine.repeat.settings import MAX_TRIALS, FoldsConfig, Objective, SearchConfig
from modelyard.engine.repeat.space import Dimension, dimension, types_at, with_values
from modelyard.engine.settings import read_settings

TRIALS = "trials"
CONFIGS = {"search": SearchConfig, "folds": FoldsConfig}


def open_step(step: Step, fields: Fields) -> BoundStep | None:
    """A repeating step with its settings; None if they have problems."""
    stage = Stage(config=CONFIGS[step.repeat], run=_never, external=("timeout",) if step.repeat == "search" else ())
    config = read_settings(stage, step.settings, ("steps", step.name, step.repeat), fields)
    if config is None:
        return None
    return BoundStep(step, FoundStage(step.repeat, step.repeat, stage, Path(suggest.__file__)), config)


def _never(config: object, context: object) -> None:
    raise AssertionError("a repeating step is conducted, not run")


def bind(
    step: BoundStep, above: Sequence[BoundStep], below: frozenset[str], blind: frozenset[str], fields: Fields
) -> list[BoundStep]:
    """What a repeating step becomes: a search itself, folds every step of every fold. Empty if there are problems.

    Args:
        above: the steps above it, bound, top to bottom.
        below: names of the step itself and of those below.
        blind: steps that could not be opened.
    """
    before = len(fields.problems)
    members = _members(step, above, below, blind, fields)
    broken = len(members) < len(step.config.steps) or any(item.config is None for item in members)
    if len(fields.problems) > before or broken:
        return []
    if step.step.repeat == "folds":
        from modelyard.engine.repeat.unfolding import expand

        found = expand(step, members, above, fields)
    else:
        found = [_search(step, members, above, fields)]
    return found if len(fields.problems) == before else []


def _members(
    step: BoundStep, above: Sequence[BoundStep], below: frozenset[str], blind: frozenset[str], fields: Fields
) -> list[BoundStep]:
    """The listed steps, top to bottom."""
    kind, named = step.step.repeat, {item.name: item for item in above if "." not in item.name}
    searches = [item for item in above if isinstance(item, BoundSearch)]
    held = {search.outer(item.name): search for search in searches for item in search.members}
    found = []
    for place, name in enumerate(step.config.steps):
        path: KeyPath = ("steps", step.name, kind, "steps", place)
        member = named.get(name)
        if name in step.config.steps[:place]:
            fields.note(path, t("`{step}` is listed twice", step=name), of_value=True)
        elif name in held:
            found_text = t("`{step}` belongs to the search `{search}` already", step=name, search=held[name].name)
            remedy = (
                t("list `{search}`: each fold then searches anew", search=held[name].name) if kind == "folds" else ""
            )
            fields.note(path, found_text, remedy=remedy, of_value=True)
        elif member is not None:
            _fit(member, kind, path, fields)
            found.append(member)
        elif name in below:
            expected = t("steps above it")
            fields.note(path, t("`{source}` stands below `{step}`", source=name, step=step.name), expected)
        elif name not in blind:
            remedy = did_you_mean(name, list(named))
            fields.note(path, t("there is no step `{step}` above", step=name), remedy=remedy, of_value=True)
    return sorted(found, key=lambda item: above.index(item))


def _fit(member: BoundStep, kind: str, path: KeyPath, fields: Fields) -> None:
    """A step may be repeated if it sees no test data, and is made by nothing but its settings and inputs."""
    expected = t("steps that see train and validation only")
    stage = member.stage
    if any("test" in port.splits for port in stage.inputs.values()):
        found = t("`{step}` sees test data: what is chosen by it could not be measured on it", step=member.name)
        fields.note(path, found, expected, t("`evaluate.validation` measures on validation"), of_value=True)
    elif kind == "folds" and isinstance(member, BoundSearch):
        return  # its members were checked when it was opened
    elif member.step.repeat or member.aliases:
        fields.note(path, t("`{step}` itself repeats steps", step=member.name), t("steps with `uses`"), of_value=True)
    elif stage.refresh or stage.release or any(port.kind == "record" for port in stage.inputs.values()):
        found = t("`{step}` cannot be repeated: it fetches from outside, or reports on all steps", step=member.name)
        fields.note(path, found, t("steps that learn, change models or measure"), of_value=True)


# search ----------------------------------------------------------------------------------------------------------


def _search(step: BoundStep, members: list[BoundStep], above: Sequence[BoundStep], fields: Fields) -> BoundSearch:
    config: SearchConfig = step.config
    path: KeyPath = ("steps", step.name, "search")
    names = {item.name for item in members}
    for other in above:
        taken = sorted({source for source, _ in other.parents()} & names)
        if taken and other.name not in names:
            found = t("`{step}` takes from `{source}`, which the search `{search}` below makes", step=other.name,
                      source=taken[0], search=step.name)  # fmt: skip
            remedy = t("move `{step}` below `{search}`, or list it there", step=other.name, search=step.name)
            fields.note(("steps", other.name), found, remedy=remedy)
    space = tuple(_space(config, members, (*path, "space"), fields))
    goals = tuple(_goals(config, members, (*path, "objective"), fields))
    method, trials = suggest.settle(config.method, space, config.trials)
    if method == "grid":
        _countable(space, config, path, fields)
    outputs, aliases = _outputs(members)
    inputs, bindings = _inputs(members)
    libraries = ("optuna",) if method == "tpe" else ()
    stage = replace(step.stage, inputs=inputs, outputs=outputs, libraries=libraries)
    return BoundSearch(
        step.step, replace(step.found, stage=stage), config, bindings, aliases, tuple(members), space, goals, method,
        trials,
    )  # fmt: skip


def _space(config: SearchConfig, members: Sequence[BoundStep], path: KeyPath, fields: Fields) -> Iterator[Dimension]:
    named = {item.name: item for item in members}
    for key, given in config.space.items():
        name, _, setting = key.partition(".")
        if name not in named:
            remedy = did_you_mean(name, list(named))
            expected = t("`step.setting` of one of the listed steps")
            fields.note((*path, key), t("`{key}` names no listed step", key=key), expected, remedy)
        elif not all(setting.split(".")):
            fields.note((*path, key), t("`{key}` names no setting", key=key), t("`step.setting`"))
        else:
            found = _dimension(key, given, named[name], (*path, key), fields)
            if found is not None:
                yield found


def _dimension(key: str, given: Any, member: BoundStep, path: KeyPath, fields: Fields) -> Dimension | None:
    setting = tuple(key.split(".")[1:])
    types = types_at(member.stage.config.model_json_schema(), setting)
    found = dimension(key, given, types or frozenset(("integer", "number")))
    if isinstance(found, str):
        plain = given.model_dump(exclude_none=True) if hasattr(given, "model_dump") else list(given)
        fields.wrong(path, plain, found)
        return None
    for value in found.choices or (found.number(found.low), found.number(found.high)):
        scratch = Fields(fields.source)
        settings = with_values(member.step.settings, {setting: value})
        read_settings(member.stage, settings, ("steps", member.name, "with"), scratch)
        if scratch.problems:
            problem = scratch.problems[0]
            fields.note(path, problem.found, problem.expected, problem.remedy, of_value=True)
            return None
    return found


def _countable(space: Sequence[Dimension], config: SearchConfig, path: KeyPath, fields: Fields) -> None:
    for item in space:
        if item.values() is None:
            found = t("a grid cannot count the values of `{key}`", key=item.path)
            remedy = t("give choices or a `step`, or take `method: random` or `tpe`")
            fields.note((*path, "space", item.path), found, remedy=remedy)
    size = suggest.grid_size(space)
    if size is not None and size > MAX_TRIALS and config.trials is None:
        found = t("the grid has {count} points", count=size)
        fields.note((*path, "space"), found, t("at most {limit}", limit=MAX_TRIALS), t("set `trials`, or try less"))


def _goals(config: SearchConfig, members: Sequence[BoundStep], path: KeyPath, fields: Fields) -> Iterator[Goal]:
    several = isinstance(config.objective, tuple)
    if several and not config.objective:
        fields.note(path, t("there is no objective"), t("`step.claim`"))
    for place, objective in enumerate(config.objectives()):
        goal = _goal(objective, members, (*path, place) if several else path, fields)
        if goal is not None:
            yield goal


def _goal(objective: Objective, members: Sequence[BoundStep], path: KeyPath, fields: Fields) -> Goal | None:
    named = {item.name: item for item in members}
    name, _, claim_name = objective.claim.partition(".")
    known = [f"{item.name}.{claim.name}" for item in members for claim in item.stage.claims]
    claims = {claim.name: claim for claim in named[name].stage.claims} if name in named else {}
    claim = claims.get(claim_name)
    if claim is None:
        found = t("no listed step measures `{claim}`", claim=objective.claim)
        near = [item for item in known if item.endswith(f".{objective.claim}")]  # written without the step
        remedy = t("did you mean `{near}`?", near=near[0]) if near else did_you_mean(objective.claim, known)
        fields.note(path, found, t("`step.claim` of one of the listed steps"), remedy, of_value=True)
        return None
    better = objective.better or (claim.better if claim.better != "none" else None)
    if better is None:
        found = t("of `{claim}` neither more nor less is good", claim=claim.name)
        fields.note(path, found, "{claim: …, better: higher | lower}", of_value=True)
        return None
    return Goal(name, claim.name, better == "higher", dict(objective.slice))


def _outputs(members: Sequence[BoundStep]) -> tuple[dict[str, Port], dict[str, Output]]:
    """Of each kind the last member's output under its own name; all others as `step.port`; and whose they are."""
    ports: dict[str, Port] = {}
    aliases: dict[str, Output] = {}
    for kind in ("model", "dataset", "report"):
        last = [(m.name, name) for m in members for name, p in m.stage.outputs.items() if p.kind == kind and not p.side]
        if last and last[-1][1] not in ports:
            owner, name = last[-1]
            port = next(m for m in members if m.name == owner).stage.outputs[name]
            ports[name], aliases[name] = port, (owner, name)
    for member in members:
        for name, port in member.stage.outputs.items():
            ports[f"{member.name}.{name}"] = replace(port, side=True, optional=True)
            aliases[f"{member.name}.{name}"] = (member.name, name)
    ports[TRIALS] = Port("report", side=True, description="every trial: settings, scores, keys")
    return ports, aliases


def _inputs(members: Sequence[BoundStep]) -> tuple[dict[str, Port], dict[str, tuple[Output, ...]]]:
    """What the members take from outside the search."""
    names = {item.name for item in members}
    ports: dict[str, Port] = {}
    bindings: dict[str, tuple[Output, ...]] = {}
    for member in members:
        for name, given in member.bindings.items():
            outside = tuple(output for output in given if output[0] not in names)
            if outside:
                ports[f"{member.name}.{name}"] = replace(member.stage.inputs[name], many=True)
                bindings[f"{member.name}.{name}"] = outside
    return ports, bindings


def variant(members: Sequence[BoundStep], values: dict[str, Json], prefix: str, fields: Fields) -> list[BoundStep]:
    """The members of a search with other settings.

    Args:
        values: by `step.setting`.
        prefix: put before each name, as `tuned.classifier`; `` keeps the names.
        fields: gathers what is wrong with the settings together; then the steps are of no use.
    """
    names = {item.name: f"{prefix}.{item.name}" if prefix else item.name for item in members}
    found = []
    for member in members:
        own = {
            tuple(key.split(".")[1:]): value for key, value in values.items() if key.partition(".")[0] == member.name
        }
        settings = with_values(member.step.settings, own)
        config = read_settings(member.stage, settings, ("steps", member.name, "with"), fields)
        bindings = {
            port: tuple((names.get(source, source), output) for source, output in given)
            for port, given in member.bindings.items()
        }
        step = replace(member.step, name=names[member.name], settings=settings)
        found.append(replace(member, step=step, config=config, bindings=bindings))
    return found
