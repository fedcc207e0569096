"""What the ledger knows about a project as it stands: for reports, and for the gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from modelyard.core.evidence import Claim, Evidence
from modelyard.core.gate import Source, World
from modelyard.core.run import Run
from modelyard.engine import released
from modelyard.engine.bound import BoundProject, BoundStep
from modelyard.engine.events import StepOutcome
from modelyard.engine.identity import evaluator_of
from modelyard.engine.openings import openings_of
from modelyard.engine.record import Made, build_record, model_of
from modelyard.engine.seeds import seeds_of
from modelyard.store import Store


def claims_of(bound: BoundProject) -> dict[str, Claim]:
    """Every claim some step of the project declares."""
    return {claim.name: claim for step in bound.steps for claim in step.stage.claims}


def _steps(bound: BoundProject) -> dict[str, BoundStep]:
    return {step.name: step for step in bound.steps}


def _made(store: Store, step: BoundStep, run: Run) -> Made:
    kinds = {binding.port: step.stage.outputs[binding.port].kind for binding in run.outputs}
    return Made(
        step=step.name,
        run=run,
        folders={binding.port: store.artifacts.path(binding.digest) for binding in run.outputs},
        kinds=kinds,
        sizes={binding.port: store.artifacts.manifest(binding.digest).size for binding in run.outputs},
    )


def evidence_of(store: Store, outcomes: Sequence[StepOutcome]) -> list[Evidence]:
    """All evidence about anything these steps made."""
    subjects = sorted({digest for outcome in outcomes for digest in outcome.outputs.values()})
    return list(store.ledger.evidence_about(subjects))


def record_of(store: Store, bound: BoundProject, outcomes: Sequence[StepOutcome]) -> dict[str, Any]:
    """The record of the steps done so far; see engine/record.py. Folds are in it as what gathers them."""
    steps, inner = _steps(bound), bound.inner()
    outcomes = [outcome for outcome in outcomes if outcome.step not in inner]
    made = [_made(store, steps[outcome.step], store.ledger.run(outcome.run)) for outcome in outcomes]
    curves = {item.step: store.ledger.curves(item.run.id) for item in made}
    model_step, claims = _model_step(bound, made), claims_of(bound)
    model = model_of(model_step, made)
    opened = [openings_of(store, digest) for digest in sorted(_tested_on(store, made, model))]
    return build_record(
        project=bound.project.name,
        model_step=model_step,
        made=made,
        evidence=_current(bound, made, evidence_of(store, outcomes)),
        curves={step: curve for step, curve in curves.items() if curve},
        openings=sum(one.runs for one in opened),
        opened_models=sum(one.models for one in opened),
        seeds=seeds_of(store, model, claims) if model else [],
        claims=claims,
    )


def _tested_on(store: Store, made: Sequence[Made], model: str) -> set[str]:
    """Data sets with test rows that these steps made; if there are none, those that releases brought along, else those
    that the model was measured on."""
    tested = [(item, b.digest) for item in made for b in item.run.outputs if "test" in b.splits]
    own = {digest for item, digest in tested if released.PART not in item.run.identity}
    split = own or {digest for _, digest in tested}
    evidence = store.ledger.evidence_about([model]) if model and not split else ()
    return split or {item.dataset for item in evidence if item.split == "test"}


def _model_step(bound: BoundProject, made: Sequence[Made]) -> str | None:
    name = bound.release[0] if bound.release else ""
    return name if any(item.step == name for item in made) else None


def sources_of(bound: BoundProject, runs: Sequence[tuple[BoundStep, Run]]) -> dict[str, set[Source]]:
    """By claim, who may speak for it now: the steps' evaluators, on the data they were bound to."""
    found: dict[str, set[Source]] = {}
    for step, run in runs:
        evaluator = evaluator_of(run.identity)
        datasets = {binding.digest for binding in (*run.inputs, *run.outputs)} | {""}
        for claim in step.stage.claims:
            found.setdefault(claim.name, set()).update(Source(evaluator, digest) for digest in datasets)
    return found


def _current(bound: BoundProject, made: Sequence[Made], evidence: Sequence[Evidence]) -> list[Evidence]:
    """Evidence by the evaluators of the project as it stands, which is what a report shows."""
    evaluators = {evaluator_of(item.run.identity) for item in made}
    return [item for item in evidence if item.evaluator in evaluators]


def world_of(store: Store, bound: BoundProject, outcomes: Sequence[StepOutcome]) -> World:
    """Everything the gate needs to decide about the project's release. The project must have one."""
    if bound.release is None:
        raise ValueError("the project has no release")
    steps = _steps(bound)
    runs = [(steps[outcome.step], store.ledger.run(outcome.run)) for outcome in outcomes]
    artifacts: dict[str, str] = {}
    names: dict[str, str] = {}
    for step, run in runs:
        for binding in run.outputs:
            artifacts[f"{step.name}.{binding.port}"] = binding.digest
            names.setdefault(binding.digest, step.name)
        main = [b for b in run.outputs if not step.stage.outputs[b.port].side]
        if main:
            artifacts[step.name] = main[0].digest
    model = artifacts[".".join(bound.release)]
    return World(
        model=model,
        artifacts=artifacts,
        ancestors=ancestors_of(model, runs),
        claims=claims_of(bound),
        current=sources_of(bound, runs),
        evidence=store.ledger.evidence_about(sorted(set(artifacts.values()))),
        names=names,
    )


def ancestors_of(model: str, runs: Sequence[tuple[BoundStep, Run]]) -> frozenset[str]:
    """Digests the model descends from, and the data it was measured on, with what those descend from."""
    parents: dict[str, set[str]] = {}
    measured_on: set[str] = set()
    for _, run in runs:
        inputs = {binding.digest for binding in run.inputs}
        for binding in run.outputs:
            parents.setdefault(binding.digest, set()).update(inputs)
        if model in inputs:
            measured_on |= inputs - {model}
    found: set[str] = set()
    waiting = [*parents.get(model, ()), *measured_on]
    while waiting:
        digest = waiting.pop()
        if digest not in found and digest != model:
            found.add(digest)
            waiting += parents.get(digest, ())
    return frozenset(found)
