"""What a step's ports hold: from bindings to digests, views and folders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from modelyard.base.canonical import canonical_json, digest_bytes
from modelyard.core.run import Binding
from modelyard.engine.bound import BoundStep
from modelyard.store import Store

RECORD = "record.json"


def bindings_of(
    step: BoundStep, outputs: Mapping[str, Mapping[str, str]], record: bytes, store: Store
) -> list[Binding]:
    """The artifacts on a step's input ports.

    Args:
        outputs: by step, port to digest, of the steps above.
        record: canonical JSON of everything the ledger knows about the steps above, for ports of kind `record`.
    """
    found = []
    for name, port in step.stage.inputs.items():
        if port.kind == "record":
            digest = digest_bytes(record)
            found.append(Binding(name, digest, digest))
            continue
        for source, output in step.bindings.get(name, ()):
            digest = outputs[source][output]
            found.append(_binding(name, digest, port.splits, store))
    return found


def _binding(name: str, digest: str, wanted: tuple[str, ...], store: Store) -> Binding:
    if not wanted:
        return Binding(name, digest, digest)
    manifest = store.artifacts.manifest(digest)
    return Binding(name, digest, manifest.view(wanted).digest, wanted)


def lay_out(step: BoundStep, bindings: list[Binding], record: bytes, room: Path, store: Store) -> dict[str, list[Path]]:
    """Folders for the stage: each artifact verified, and restricted to the declared splits."""
    folders: dict[str, list[Path]] = {name: [] for name in step.stage.inputs}
    for position, binding in enumerate(bindings):
        if step.stage.inputs[binding.port].kind == "record":
            folders[binding.port].append(_record_folder(record, room / "views" / binding.port))
            continue
        store.artifacts.use(binding.digest)
        if binding.view == binding.digest:
            folders[binding.port].append(store.artifacts.path(binding.digest))
            continue
        target = room / "views" / f"{binding.port}-{position}"
        store.artifacts.view(binding.digest, binding.splits, target)
        folders[binding.port].append(target)
    return folders


def _record_folder(record: bytes, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).write_bytes(record)
    return folder


def record_bytes(record: Mapping[str, object]) -> bytes:
    return canonical_json(record)
