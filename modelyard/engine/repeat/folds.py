"""Cross-validation: the listed steps made k times, each time without one part of the rows, and what that says.

The steps of every fold are ordinary steps (`cv.1.classifier`), bound, made and cached like any others; here they are
laid out, made side by side if the profile has jobs, and gathered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelyard.base.canonical import canonical_json
from modelyard.base.messages import t
from modelyard.core.evidence import Claim
from modelyard.core.project import Step
from modelyard.core.stage import Context, Port
from modelyard.engine.bench import Bench
from modelyard.engine.bound import BoundFolds, BoundStep, Output
from modelyard.engine.catalog import FoundStage
from modelyard.engine.events import StepOutcome
from modelyard.engine.execute import make_or_reuse
from modelyard.engine.fields import Fields
from modelyard.engine.prepare import Prepared, outcome_of, prepare, reusable
from modelyard.engine.repeat import cut
from modelyard.engine.repeat.opening import variant
from modelyard.engine.repeat.settings import FoldsConfig
from modelyard.errors import IntegrityError

FILE = "folds.json"
VERSION = 1
CUT, REPORT, PREDICTIONS = "data", "report", "predictions"
TOLD = 12


def expand(
    step: BoundStep, members: Sequence[BoundStep], above: Sequence[BoundStep], fields: Fields
) -> list[BoundStep]:
    """Every step of every fold, then the one that gathers them. Empty if there are problems."""
    config: FoldsConfig = step.config
    data = _data(step, members, above, fields)
    models = [(place, name) for place, item in enumerate(members) for name, port in item.stage.outputs.items()
              if port.kind == "model" and not port.side]  # fmt: skip
    if data is not None and not models:
        found = t("none of the steps makes a model")
        fields.note(("steps", step.name, "folds", "steps"), found, t("steps that train"), of_value=True)
    if data is None or not models:
        return []
    groups = [_fold(step, members, data, number, fields) for number in range(1, config.k + 1)]
    place, port = models[-1]
    made = [(group[place + 1].name, port) for group in groups]
    bindings: dict[str, tuple[Output, ...]] = {
        "models": tuple(made),
        CUT: tuple((group[0].name, CUT) for group in groups),
    }
    scores = tuple(_scores(members))
    outputs = {
        REPORT: Port("report", description="scores of every fold"),
        PREDICTIONS: Port("dataset", ("all",), side=True, optional=True, description="answers to rows not seen"),
        **{f"model_{n}": Port("model", side=True, optional=True) for n in range(1, config.k + 1)},
    }
    stage = replace(
        step.stage,
        inputs={"models": Port("model", many=True), CUT: Port("dataset", ("validation",), many=True)},
        outputs=outputs,
        claims=tuple(_folded(claim) for _, claim in scores),
        libraries=_libraries(members),
        loads=("modelyard.methods.runtimes", "modelyard.methods.preprocessing", "modelyard.methods.networks",
               "modelyard.methods.tasks"),
    )  # fmt: skip
    aliases = {f"model_{number}": output for number, output in enumerate(made, 1)}
    gather = BoundFolds(
        step.step, replace(step.found, stage=stage, path=Path(__file__)), config, bindings, aliases,
        tuple(tuple(item.name for item in group) for group in groups), tuple(item.name for item in members), scores,
    )  # fmt: skip
    return [*(item for group in groups for item in group), gather]


def _data(step: BoundStep, members: Sequence[BoundStep], above: Sequence[BoundStep], fields: Fields) -> Output | None:
    """The one data set that the listed steps learn from; it must be as it was split, not changed since."""
    path = ("steps", step.name, "folds", "steps")
    names = {item.name for item in members}
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


def _fold(step: BoundStep, members: Sequence[BoundStep], data: Output, number: int, fields: Fields) -> list[BoundStep]:
    prefix = f"{step.name}.{number}"
    found = FoundStage("folds.cut", "folds.cut", cut.STAGE, Path(cut.__file__))
    own = Step(f"{prefix}.{CUT}", "folds.cut", {"k": step.config.k, "fold": number}, line=step.step.line)
    held = BoundStep(own, found, cut.Config(k=step.config.k, fold=number), {"data": (data,)})
    rebound = [
        replace(
            item,
            found=_beside(item.found),
            bindings={
                port: tuple((held.name, CUT) if output == data else output for output in given)
                for port, given in item.bindings.items()
            },
        )
        for item in variant(members, {}, prefix, fields)
    ]
    return [held, *rebound]


def _beside(found: FoundStage) -> FoundStage:
    """The stage with every output beside the main line: steps below do not take a fold's model by themselves."""
    outputs = {name: replace(port, side=True) for name, port in found.stage.outputs.items()}
    return replace(found, stage=replace(found.stage, outputs=outputs))


def _scores(members: Sequence[BoundStep]) -> list[tuple[int, Claim]]:
    """Claims by the name they get; where two steps measure one of the same name, the last counts."""
    found = {_quantity(claim): (place, claim) for place, item in enumerate(members) for claim in item.stage.claims}
    return list(found.values())


def _quantity(claim: Claim) -> str:
    return claim.name.partition(".")[2].removeprefix("validation_")


def _folded(claim: Claim) -> Claim:
    words = f"mean over the folds of {claim.name}"
    return Claim(f"folds.{_quantity(claim)}", words, claim.unit, claim.better, any_split=True)


def _libraries(members: Sequence[BoundStep]) -> tuple[str, ...]:
    return tuple(sorted({"numpy", "pyarrow", "scipy", *(name for item in members for name in item.stage.libraries)}))


# Running ---------------------------------------------------------------------------------------------------------


def make_ahead(bench: Bench, step: BoundStep, above: Sequence[StepOutcome]) -> None:
    """Before the first step of folds: make all folds side by side, so that what follows finds them."""
    gathers = [item for item in bench.bound.steps if isinstance(item, BoundFolds)]
    folds = next((item for item in gathers if item.groups[0][0] == step.name), None)
    left = _undone(bench, folds, above) if folds is not None else []
    if folds is None or len(left) < 2:
        return
    from modelyard.engine.repeat.workers import Workers

    workers = Workers(bench, folds.name, above)
    try:
        for done, _ in enumerate(workers.each([{"fold": number} for number in left]), 1):
            bench.listener.progress(folds.name, done, len(left), "folds")
    finally:
        workers.stop()


def _undone(bench: Bench, folds: BoundFolds, above: Sequence[StepOutcome]) -> list[int]:
    """Places of the folds that are not whole yet."""
    return [place for place, group in enumerate(folds.groups) if not _there(bench, group, above)]


def _there(bench: Bench, group: Sequence[str], above: Sequence[StepOutcome]) -> bool:
    outcomes = list(above)
    for name in group:
        prepared = prepare(bench, bench.bound.step(name), outcomes)
        try:
            run = reusable(bench, prepared.key)
        except IntegrityError:
            run = None
        if run is None:
            return False
        outcomes.append(outcome_of(prepared.step, run, cached=True))
    return True


def make_fold(bench: Bench, folds: BoundFolds, number: int, above: Sequence[StepOutcome]) -> None:
    """The steps of one fold, from 0; in a worker."""
    outcomes = list(above)
    for name in folds.groups[number]:
        outcomes.append(make_or_reuse(bench, prepare(bench, bench.bound.step(name), outcomes), 1, 1))


def keys_of_folds(bench: Bench, folds: BoundFolds, above: Sequence[StepOutcome]) -> dict[str, str]:
    """By step of a fold the key of its run: what was measured is part of what is gathered."""
    runs = {outcome.step: outcome.run for outcome in above}
    return {name: bench.store.ledger.run(runs[name]).key for group in folds.groups for name in group}


def gathering(bench: Bench, folds: BoundFolds, prepared: Prepared) -> Callable[[Any, Context], None]:
    """The `run` of the step that gathers: it reads what the folds' runs measured."""
    keys: Mapping[str, str] = prepared.identity["members"]

    def run(config: FoldsConfig, context: Context) -> None:
        measured = [[_measured(bench, keys[name]) for name in group[1:]] for group in folds.groups]
        _gather(config, context, folds, measured)

    return run


def _measured(bench: Bench, key: str) -> dict[str, float]:
    """What the run of a key measured on validation, of everything."""
    run = bench.store.ledger.completed(key)
    evidence = bench.store.ledger.evidence_of(run.id) if run is not None else ()
    return {item.claim: item.value for item in evidence if item.split == "validation" and not item.slice}


def _gather(
    config: FoldsConfig, context: Context, folds: BoundFolds, measured: Sequence[Sequence[Mapping[str, float]]]
) -> None:
    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.statistics.repeated import nadeau_bengio

    held = [Dataset.open(folder).num_rows("validation") for folder in context.inputs(CUT)]
    total = sum(held)
    num_held = total / len(held)
    scores = []
    for place, claim in folds.scores:
        values = [fold[place][claim.name] for fold in measured if claim.name in fold[place]]
        if len(values) < len(held):
            continue  # measured without data, by class, or not in every fold
        name, mean = f"folds.{_quantity(claim)}", sum(values) / len(values)
        interval = nadeau_bengio(values, total - num_held, num_held)
        context.measure(name, mean, about=REPORT, on="", n=total, unit=claim.unit, interval=interval)
        scores.append({"claim": name, "from": claim.name, "mean": mean, "interval": interval, "folds": values})
    for item in scores[:TOLD]:
        context.say(_line(item))
    value = {"version": VERSION, "k": len(held), "rows": held, "scores": scores}
    (context.output(REPORT) / FILE).write_bytes(canonical_json(json.loads(json.dumps(value))) + b"\n")
    if config.predictions:
        from modelyard.methods.evaluation.out_of_fold import write_predictions

        pairs = list(zip(context.inputs("models"), context.inputs(CUT), strict=True))
        write_predictions(
            pairs, context.output(PREDICTIONS), config.batch_rows, lambda done, of: context.progress(done, of, "rows")
        )


def _line(item: Mapping[str, Any]) -> str:
    values = ", ".join(f"{value:.4g}" for value in item["folds"])
    if item["interval"] is None:
        return t("{claim} {mean:.4g}, the same in all folds: no interval", claim=item["claim"], mean=item["mean"])
    low, high = item["interval"]
    return t("{claim} {mean:.4g}, 95 % interval {low:.4g} to {high:.4g} (folds: {values})", claim=item["claim"],
             mean=item["mean"], low=low, high=high, values=values)  # fmt: skip
