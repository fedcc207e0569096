"""What a step of folds becomes in a project: every step of every fold, and the one that gathers them.

The steps of a fold are ordinary steps (`cv.1.classifier`), bound, made and cached like any others. In a plain fold the
held-out part is their validation. Around a search, or with `validation:`, the training rows of the fold are cut once
more (`cv.1.within`): steps that learn see that cut alone, and only `evaluate.*` steps see the held-out part. This is
nested cross-validation (Varma and Simon 2006, BMC Bioinformatics 7, 91; Cawley and Talbot 2010, JMLR 11): what chose
the settings is repeated in every fold and never sees the rows that it is judged by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.project import Step
from modelyard.core.stage import Port
from modelyard.engine.bound import BoundFolds, BoundSearch, BoundStep, Output
from modelyard.engine.catalog import FoundStage
from modelyard.engine.fields import Fields
from modelyard.engine.repeat import cut, cut_within, gathering
from modelyard.engine.repeat.gathering import CUT, PREDICTIONS, REPORT, folded
from modelyard.engine.repeat.settings import FoldsConfig
from modelyard.engine.stage_rules import EVALUATE

WITHIN = "within"
SHARE = 0.2
"""Of a fold's training rows, for validation around a search."""

OUTER = FoundStage("folds.cut", "folds.cut", cut.STAGE, Path(cut.__file__))
INNER = FoundStage("folds.cut_within", "folds.cut_within", cut_within.STAGE, Path(cut_within.__file__))
Rebind = Callable[[Output], Output]


def expand(
    step: BoundStep, members: Sequence[BoundStep], above: Sequence[BoundStep], fields: Fields
) -> list[BoundStep]:
    """Every step of every fold, then the one that gathers them. Empty if there are problems."""
    config: FoldsConfig = step.config
    path = ("steps", step.name, "folds", "steps")
    data = _data(step, members, above, fields)
    models = [item.aliases.get(name, (item.name, name)) for item in members
              for name, port in item.stage.outputs.items() if port.kind == "model" and not port.side]  # fmt: skip
    if data is not None and not models:
        fields.note(path, t("none of the steps makes a model"), t("steps that train"), of_value=True)
    if data is None or not models:
        return []
    share = config.validation or (SHARE if any(isinstance(item, BoundSearch) for item in members) else None)
    judges = [item for item in members if share is None or item.found.name.startswith(EVALUATE)]
    if share is not None and not _can_judge(step, judges, data, fields):
        return []
    groups = [_fold(step, members, data, number, share) for number in range(1, config.k + 1)]
    gather = _gather(step, members, groups, models[-1], judges)
    return [*(item for group in groups for item in group), gather]


def _gather(
    step: BoundStep,
    members: Sequence[BoundStep],
    groups: Sequence[Sequence[BoundStep]],
    model: Output,
    judges: Sequence[BoundStep],
) -> BoundFolds:
    owner, port = model
    made = [(f"{step.name}.{number}.{owner}", port) for number in range(1, len(groups) + 1)]
    bindings: dict[str, tuple[Output, ...]] = {
        "models": tuple(made),
        CUT: tuple((group[0].name, CUT) for group in groups),
    }
    scores = tuple(_scores(judges))
    outputs = {
        REPORT: Port("report", description="scores of every fold"),
        PREDICTIONS: Port("dataset", ("all",), side=True, optional=True, description="answers to rows not seen"),
        **{f"model_{number}": Port("model", side=True, optional=True) for number in range(1, len(groups) + 1)},
    }
    stage = replace(
        step.stage,
        inputs={"models": Port("model", many=True), CUT: Port("dataset", ("train", "validation"), many=True)},
        outputs=outputs,
        claims=tuple(folded(claim, step.config.by) for _, claim in scores),
        libraries=_libraries(members),
        loads=("modelyard.methods.runtimes", "modelyard.methods.preprocessing", "modelyard.methods.networks",
               "modelyard.methods.tasks"),
    )  # fmt: skip
    searches = [item for item in members if isinstance(item, BoundSearch)]
    return BoundFolds(
        step.step,
        replace(step.found, stage=stage, path=Path(gathering.__file__)),
        step.config,
        bindings,
        {f"model_{number}": output for number, output in enumerate(made, 1)},
        tuple(tuple(item.name for item in group) for group in groups),
        (*(item.name for item in members), *(item.name for search in searches for item in search.members)),
        scores,
        sum(search.trials for search in searches),
    )


def _own_and_inside(members: Sequence[BoundStep]) -> set[str]:
    """Names of the listed steps, and of those that run inside a search among them."""
    inside = {item.name for search in members if isinstance(search, BoundSearch) for item in search.members}
    return {item.name for item in members} | inside


def _data(step: BoundStep, members: Sequence[BoundStep], above: Sequence[BoundStep], fields: Fields) -> Output | None:
    """The one data set that the listed steps learn from; it must be as it was split, not changed since."""
    path = ("steps", step.name, "folds", "steps")
    names = _own_and_inside(members)
    learned = {
        output
        for item in members
        for port, given in item.bindings.items()
        for output in given
        if output[0] not in names and set(item.stage.inputs[port].splits) & {"train", "validation"}
    }
    if len(learned) != 1:
        known = ", ".join(sorted(".".join(output) for output in learned)) or t("none")
        found = t("the steps take train and validation from {sets}", sets=known)
        fields.note(path, found, t("one data set that is split"), of_value=True)
        return None
    data = learned.pop()
    maker = next(item for item in above if item.name == data[0])
    if any("train" in port.splits for port in maker.stage.inputs.values()):
        found = t("`{step}` has changed the rows since they were split: copies of one row could stand on both sides",
                  step=maker.name)  # fmt: skip
        remedy = t("list `{step}` too: it is then done in each fold", step=maker.name)
        fields.note(path, found, remedy=remedy, of_value=True)
        return None
    return data


def _can_judge(step: BoundStep, judges: Sequence[BoundStep], data: Output, fields: Fields) -> bool:
    """Whether the held-out part is measured on, and by nothing that has been changed since the cut."""
    path = ("steps", step.name, "folds", "steps")
    if not judges:
        found = t("none of the steps measures the model on rows held out: those of a search choose its settings")
        remedy = t("list an `evaluate.validation` step that stands below the search")
        fields.note(path, found, t("steps that measure on validation"), remedy, of_value=True)
        return False
    changed = [
        item
        for item in judges
        for port, given in item.bindings.items()
        if item.stage.inputs[port].kind == "dataset" and any(output != data for output in given)
    ]
    for item in changed:
        found = t("`{step}` does not measure on the rows of `{data}`", step=item.name, data=data[0])
        remedy = t("bind it: `in: {{{port}: {seen}}}` in `{step}`", port="data", seen=data[0], step=item.name)
        fields.note(path, found, remedy=remedy, of_value=True)
    return not changed


def _fold(
    step: BoundStep, members: Sequence[BoundStep], data: Output, number: int, share: float | None
) -> list[BoundStep]:
    prefix, names = f"{step.name}.{number}", _own_and_inside(members)
    cutting = {name: getattr(step.config, name) for name in cut.Cutting.model_fields}
    held = _cut(step, f"{prefix}.{CUT}", OUTER, cut.Config(**cutting, fold=number), data)
    found: list[BoundStep] = [held]
    learned: Output = (held.name, CUT)
    if share is not None:
        config = cut_within.Config(**cutting, validation=share)
        found.append(_cut(step, f"{prefix}.{WITHIN}", INNER, config, learned))
        learned = (found[-1].name, CUT)

    def rebind(to: Output) -> Rebind:
        def inner(output: Output) -> Output:
            return to if output == data else (f"{prefix}.{output[0]}", output[1]) if output[0] in names else output

        return inner

    for item in members:
        if isinstance(item, BoundSearch):
            found += _search(item, prefix, rebind(learned))
        else:
            judge = share is not None and item.found.name.startswith(EVALUATE)
            found.append(_renamed(item, prefix, rebind((held.name, CUT) if judge else learned)))
    return found


def _cut(step: BoundStep, name: str, found: FoundStage, config: cut.Cutting, data: Output) -> BoundStep:
    own = Step(name, found.uses, config.model_dump(), line=step.step.line)
    return BoundStep(own, found, config, {"data": (data,)})


def _renamed(item: BoundStep, prefix: str, rebind: Rebind) -> BoundStep:
    """A step in a fold. Its outputs stand beside the main line: steps below do not take them by themselves."""
    bindings = {port: tuple(rebind(output) for output in given) for port, given in item.bindings.items()}
    outputs = {name: replace(port, side=True) for name, port in item.stage.outputs.items()}
    found = replace(item.found, stage=replace(item.stage, outputs=outputs))
    return replace(item, step=replace(item.step, name=f"{prefix}.{item.name}"), found=found, bindings=bindings)


def _search(search: BoundSearch, prefix: str, rebind: Rebind) -> list[BoundStep]:
    """A search in a fold: its members under their new names, as the winner makes them, then the search."""
    inside = {item.name for item in search.members}
    members = tuple(
        replace(
            item,
            bindings={
                port: tuple(output if output[0] in inside else rebind(output) for output in given)
                for port, given in item.bindings.items()
            },
        )
        for item in search.members
    )
    aliases = {port: (f"{prefix}.{owner}", output) for port, (owner, output) in search.aliases.items()}
    outer = _renamed(search, prefix, rebind)
    own = replace(search, step=outer.step, found=outer.found, bindings=outer.bindings, aliases=aliases,
                  members=members, prefix=prefix)  # fmt: skip
    return [*(_renamed(item, prefix, rebind) for item in search.members), own]


def _scores(judges: Sequence[BoundStep]) -> Iterator[tuple[str, Claim]]:
    """Claims by the name they get; where two steps measure one of the same name, the last counts."""
    found = {folded(claim, "label").name: (item.name, claim) for item in judges for claim in item.stage.claims}
    yield from found.values()


def _libraries(members: Sequence[BoundStep]) -> tuple[str, ...]:
    inside = [item for search in members if isinstance(search, BoundSearch) for item in search.members]
    names = {name for item in (*members, *inside) for name in item.stage.libraries}
    return tuple(sorted({"numpy", "pyarrow", "scipy", *names}))
