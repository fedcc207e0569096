"""Checkpoints that survive a kill at any moment.

A checkpoint is written to a temporary folder, every file synced, `manifest.json` (sizes and SHA-256) last, the folder
renamed into place, and only then are older ones removed, at least two always kept. Loading takes the newest whose
manifest verifies, else the one before, and says so. Tensors are safetensors, the rest JSON: nothing that runs code when
read.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from modelyard.base import files
from modelyard.base.canonical import canonical_json, digest_file
from modelyard.base.messages import t
from modelyard.methods.training.settings import Keeping

MANIFEST, STATE = "manifest.json", "state.json"
_TEMPORARY = "tmp."


@dataclass(frozen=True)
class Checkpoint:
    """What was saved.

    Attributes:
        step: optimizer steps done.
        tensors: by part (`weights`, `optimizer`, `best`), then by name.
        state: everything that is not a tensor.
    """

    step: int
    tensors: Mapping[str, Mapping[str, torch.Tensor]]
    state: Mapping[str, Any]


def save(folder: Path, checkpoint: Checkpoint, keeping: Keeping | None = None) -> None:
    """Write a checkpoint durably, then drop those that need not be kept."""
    write(folder, on_host(checkpoint), keeping)


def on_host(checkpoint: Checkpoint) -> Checkpoint:
    """The same with copies of the tensors on the CPU: what is written must not change while it is written."""
    tensors = {
        part: {name: tensor.detach().cpu().clone().contiguous() for name, tensor in named.items()}
        for part, named in checkpoint.tensors.items()
    }
    # Through JSON and back, for the lists and dictionaries in it are alive too.
    return replace(checkpoint, tensors=tensors, state=json.loads(canonical_json(dict(checkpoint.state))))


def write(folder: Path, checkpoint: Checkpoint, keeping: Keeping | None = None) -> None:
    """Write a checkpoint of `on_host` durably, then drop those that need not be kept."""
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    temporary = folder / f"{_TEMPORARY}{checkpoint.step:09d}.{uuid.uuid4().hex[:8]}"
    temporary.mkdir()
    for part, tensors in checkpoint.tensors.items():
        save_file(dict(tensors), temporary / f"{part}.safetensors")
    (temporary / STATE).write_bytes(canonical_json({"step": checkpoint.step, **checkpoint.state}))
    entries = {
        path.name: {"size": path.stat().st_size, "digest": digest_file(path)} for path in sorted(temporary.iterdir())
    }
    (temporary / MANIFEST).write_bytes(canonical_json(entries))
    files.fsync_tree(temporary)
    target = folder / f"{checkpoint.step:09d}"
    files.remove_tree(target)
    files.rename_durably(temporary, target)
    for old in expendable([int(path.name) for path in _complete(folder)], keeping or Keeping()):
        files.remove_tree(folder / f"{old:09d}")


def expendable(steps: Sequence[int], keeping: Keeping) -> list[int]:
    """Of the steps of all checkpoints, ascending, those not kept: neither among the newest nor the first of their
    `every` steps."""
    kept = set(steps[-keeping.newest :])
    if keeping.every:
        firsts: dict[int, int] = {}
        for step in steps:
            firsts.setdefault(step // keeping.every, step)
        kept |= {step for number, step in firsts.items() if number > 0}
    return [step for step in steps if step not in kept]


def load(folder: Path, say: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint that verifies, or None. Damaged ones are named with `say` and passed over."""
    path = newest(folder, say)
    return None if path is None else read(path)


def newest(folder: Path, say: Callable[[str], None]) -> Path | None:
    """As `load`, its folder."""
    for path in reversed(_complete(folder)):
        problem = damage(path)
        if problem is None:
            return path
        say(t("checkpoint {name} is damaged ({problem}); the one before it is tried", name=path.name, problem=problem))
    return None


def sweep(folder: Path) -> None:
    """Remove what a killed run left half written."""
    for path in folder.glob(f"{_TEMPORARY}*"):
        files.remove_tree(path)


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint's files, or None."""
    try:
        entries = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        for name, entry in entries.items():
            if (path / name).stat().st_size != entry["size"]:
                return t("{name} has another size", name=name)
            if digest_file(path / name) != entry["digest"]:
                return t("{name} has other bytes", name=name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _complete(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir())


def read(path: Path) -> Checkpoint:
    """A checkpoint whose files are known to be sound."""
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    tensors = {part.stem: load_file(part) for part in sorted(path.glob("*.safetensors"))}
    return Checkpoint(int(state.pop("step")), tensors, state)


def trained_state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """What training changes: the state without frozen parameters, which come again from where they came from."""
    frozen = {name for name, one in module.named_parameters(remove_duplicate=False) if not one.requires_grad}
    return {name: tensor for name, tensor in module.state_dict().items() if name not in frozen}


def restore_trained(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Put a `trained_state` back. Raises RuntimeError if it is of another module."""
    wanted = trained_state(module).keys()
    if wanted != tensors.keys():
        raise RuntimeError(f"not the state of this module: {sorted(wanted ^ tensors.keys())[:3]} differ")
    module.load_state_dict(dict(tensors), strict=False)


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """An optimizer's state as tensors by `parameter.name` and the numbers that are no tensors."""
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, Any] = {}
    for parameter, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            key = f"{parameter}.{name}"
            if isinstance(value, torch.Tensor):
                tensors[key] = value
            else:
                numbers[key] = value
    return tensors, numbers


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, torch.Tensor], numbers: Mapping[str, Any]
) -> None:
    """Put a flattened state back into a freshly built optimizer."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **numbers}.items():
        parameter, name = key.split(".", 1)
        state.setdefault(int(parameter), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
