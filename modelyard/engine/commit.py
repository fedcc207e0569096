"""What a stage made becomes part of the store: its outputs as artifacts, then run and evidence in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelyard.base.messages import t
from modelyard.core.artifact import Artifact
from modelyard.core.evidence import Evidence, Measurement
from modelyard.core.run import Binding
from modelyard.engine.bench import Bench
from modelyard.engine.context import StageContext
from modelyard.engine.identity import evaluator_of
from modelyard.engine.prepare import Prepared
from modelyard.errors import StageError
from modelyard.store import Store


def commit(bench: Bench, prepared: Prepared, run: int, context: StageContext, room: Path, seconds: float) -> None:
    stage, artifacts = prepared.step.stage, bench.store.artifacts
    outputs = []
    for name, port in stage.outputs.items():
        if name in context.adopted:
            outputs.append(_adopted(name, context.adopted[name], bench.store))
            continue
        folder = room / "outputs" / name
        if not folder.is_dir() or not any(folder.iterdir()):
            if port.optional:
                continue
            raise StageError(t("the stage left its output `{port}` empty", port=name), where=prepared.step.name)
        artifact = artifacts.commit(folder, port.kind)
        splits = artifacts.manifest(artifact.digest).splits() if port.kind == "dataset" else ()
        outputs.append((Binding(name, artifact.digest, artifact.digest, splits), artifact))
    digests = {binding.port: binding.digest for binding, _ in outputs}
    bench.store.ledger.finish_run(
        run,
        outputs=[binding for binding, _ in outputs],
        artifacts=[artifact for _, artifact in outputs],
        evidence=[_tie(measurement, prepared, digests) for measurement in context.measurements],
        curves=context.grouped_curves(),
        notes=context.notes,
        seconds=seconds,
    )


def _adopted(port: str, digest: str, store: Store) -> tuple[Binding, Artifact]:
    """An output that another run made."""
    artifact = store.artifacts.artifact(digest)
    splits = store.artifacts.manifest(digest).splits() if artifact.kind == "dataset" else ()
    return Binding(port, digest, digest, splits), artifact


def _tie(measurement: Measurement, prepared: Prepared, outputs: Mapping[str, str]) -> Evidence:
    """Evidence: ports replaced by digests. The ledger gives run and sequence."""
    inputs = {binding.port: binding.digest for binding in reversed(prepared.bindings)}
    on, _, split = measurement.on.partition("/")
    return Evidence(
        claim=measurement.claim,
        value=measurement.value,
        interval=measurement.interval,
        n=measurement.n,
        unit=measurement.unit,
        subject={**inputs, **outputs}[measurement.about],
        dataset={**outputs, **inputs}[on] if on else "",
        split=split,
        evaluator=evaluator_of(prepared.identity),
        run=0,
        sequence=0,
        slice=dict(measurement.slice),
        against={**outputs, **inputs}[measurement.against] if measurement.against else None,
    )
