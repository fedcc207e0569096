"""A run's key: the digest of everything that decides what it makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelyard.base.canonical import digest_json
from modelyard.core.run import Binding
from modelyard.engine.catalog import FoundStage
from modelyard.engine.identity import CodeMemo, code_digest, library_versions, machine


def settings_json(config: Any) -> dict[str, Any]:
    """Settings as validated, defaults included; secrets appear by name only."""
    value: dict[str, Any] = config.model_dump(mode="json")
    return value


def identity_of(
    found: FoundStage,
    config: Any,
    seed: int,
    bindings: Sequence[Binding],
    base: Path,
    memo: CodeMemo,
    secret: Callable[[str], str],
) -> dict[str, Any]:
    """The parts the key is made of, all but the generation of a fetch (`refresh.py`).

    Args:
        bindings: inputs, whose views (not whole artifacts) count.
        base: the project's folder: where relative paths in settings start.
        secret: looks a secret up by name, for what must log in to look outside.
    """
    stage = found.stage
    outside = {*stage.external, stage.refresh, stage.release}
    settings = {name: value for name, value in settings_json(config).items() if name not in outside}
    inputs: dict[str, list[str]] = {}
    for binding in bindings:
        inputs.setdefault(binding.port, []).append(binding.view)
    return {
        "stage": found.uses,
        "code": code_digest(found.path, stage.loads, memo),
        "settings": settings,
        "external": stage.outside(config, base, secret),
        "seed": seed,
        "inputs": inputs,
        "libraries": library_versions(stage.libraries),
        "machine": machine() if stage.timing else None,
    }


def key_of(identity: Mapping[str, Any]) -> str:
    return digest_json(identity)


def differences(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Which parts of a run's identity differ from an earlier one's, as dotted names with old and new value."""
    found = []
    for part in now:
        old, new = before.get(part), now[part]
        if old == new or part == "generation":  # `plan` says it in words of its own
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            for name in sorted(set(old) | set(new)):
                if old.get(name) != new.get(name):
                    found.append(_change(f"{part}.{name}", old.get(name), new.get(name)))
        else:
            found.append(_change(part, old, new))
    return found


def _change(name: str, old: object, new: object) -> str:
    if name.startswith(("code", "inputs", "external")):
        return name
    return f"{name}: {old} → {new}"
