"""What makes a run the same run: code, settings, seed, inputs, library versions, fingerprints.

Code counts by syntax tree: comments, blank lines and docstrings do not change it. A stage's code is its own file,
the modules of `modelyard.methods` it imports (inside functions too, transitively), and every module of the packages
it declares to load by name.
"""

from __future__ import annotations

import ast
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from modelyard.base.canonical import digest_bytes, digest_json
from modelyard.base.files import write_atomic
from modelyard.base.lookup import version_of

PACKAGE = Path(__file__).resolve().parent.parent
PARTLY = "partly"
"""Of a run's identity: it was cut to a part of its rows."""
METHODS = "modelyard.methods"
MEMO_VERSION = 1


@dataclass
class CodeMemo:
    """Digests and imports of source files, remembered by path, size and time. A cache: losing it costs a second."""

    path: Path | None = None
    entries: dict[str, list[Any]] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def open(cls, path: Path) -> CodeMemo:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            entries = value["entries"] if value.get("version") == MEMO_VERSION else {}
        except (OSError, ValueError, KeyError, AttributeError):
            entries = {}
        return cls(path, entries)

    def save(self) -> None:
        if self.path is None or not self.changed:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            value = {"version": MEMO_VERSION, "entries": self.entries}
            write_atomic(self.path, json.dumps(value).encode())
        except OSError:
            return  # a cache only: the next run computes it again

    def source(self, path: Path) -> tuple[str, tuple[str, ...]]:
        """Digest of a file's syntax tree, and the modules of the package it imports."""
        status = path.stat()
        stamp = [status.st_size, status.st_mtime_ns]
        entry = self.entries.get(str(path))
        if entry is None or entry[0] != stamp:
            tree = ast.parse(path.read_bytes(), filename=str(path))
            entry = [stamp, _tree_digest(tree), sorted(set(_imports(tree)))]
            self.entries[str(path)] = entry
            self.changed = True
        return entry[1], tuple(entry[2])


def _tree_digest(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and body:
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return digest_bytes(ast.dump(tree, annotate_fields=False, include_attributes=False).encode())


def _imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names imported from the package; `from a import b` gives both `a` and `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("modelyard."))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("modelyard"):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _module_file(name: str) -> Path | None:
    base = PACKAGE.joinpath(*name.split(".")[1:])
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _package_modules(package: str) -> Iterator[str]:
    folder = PACKAGE.joinpath(*package.split(".")[1:])
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _own(name: str) -> bool:
    return name == METHODS or name.startswith(METHODS + ".")


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    yield from (".".join(parts[:end]) for end in range(3, len(parts)))


def code_digest(stage_file: Path, loads: Iterable[str], memo: CodeMemo) -> str:
    """Digest of everything of ours that the stage executes, independent of where the package is installed."""
    digest, imports = memo.source(stage_file)
    found: dict[str, str] = {"stage": digest}
    waiting = [name for name in imports if _own(name)]
    for package in loads:
        waiting += list(_package_modules(package))
    while waiting:
        name = waiting.pop()
        path = _module_file(name)
        if path is None or name in found:
            continue
        found[name], imports = memo.source(path)
        waiting += [item for item in imports if _own(item)]
        waiting += [item for item in _parents(name) if _own(item)]
    return digest_json(found)


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """Exact version of each distribution, `absent` for one that is not installed."""
    return {name: version_of(name) or "absent" for name in sorted(names)}


@cache
def machine() -> dict[str, Any]:
    """The machine's fingerprint: what a timing depends on and what does not change between runs."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "system": platform.system(),
        "architecture": platform.machine(),
    }


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    lines = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in text.splitlines())}
    features = "".join(sorted(f for f in lines.get("flags", "").split() if f.startswith(("avx", "amx", "vnni"))))
    return f"{lines.get('model name', platform.machine())} {digest_bytes(features.encode())[7:15]}"


def environment() -> dict[str, Any]:
    """Where a run happened; shown, not part of the key (the parts that matter are in it already)."""
    return {**machine(), "python": platform.python_version(), "platform": platform.platform()}


def evaluator_of(identity: Mapping[str, Any]) -> str:
    """Digest of who measured: code, and the machine where that matters.

    Settings are left out: measuring again with others must not paint over what was measured before. What was measured
    on a part of the rows for want of time has an evaluator of its own, so that no gate reads it.
    """
    parts = ("stage", "code", "machine", *((PARTLY,) if PARTLY in identity else ()))
    return digest_json({name: identity[name] for name in parts})
