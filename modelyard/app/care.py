"""Looking after a project's store and machine: start, scrub, free, check."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from modelyard.app.releases import folder_of
from modelyard.app.session import PROJECT_FILE, open_store
from modelyard.base.files import is_file
from modelyard.base.lookup import version_of
from modelyard.base.messages import t
from modelyard.errors import ModelyardError, UsageError
from modelyard.store.collect import Freed, Scrub

SQLITE_FIXED = (3, 51, 3)
"""The release that mends the WAL-reset defect; older ones are run without WAL."""

LIBRARIES = ("torch", "transformers", "tokenizers", "onnxruntime", "openvino", "pyarrow", "scikit-learn", "httptools")
MIN_FREE_BYTES = 5 << 30


@dataclass(frozen=True)
class Started:
    """What `init` wrote.

    Attributes:
        file: the project file.
        guesses: what was guessed from the data, and why.
        key: the public half of the new signing key.
    """

    file: Path
    guesses: tuple[str, ...]
    key: Path

    def to_json(self) -> dict[str, Any]:
        return {"file": str(self.file), "guesses": list(self.guesses), "key": str(self.key)}


@dataclass(frozen=True)
class Check:
    """One line of `doctor`."""

    name: str
    state: Literal["ok", "warning", "failed"]
    found: str
    remedy: str = ""

    def to_json(self) -> dict[str, str]:
        return dict(vars(self))


def init(folder: str | Path, *, template: str = "auto", data: str | Path | None = None) -> Started:
    """Start a project: a commented project file with columns guessed from the data, and a signing key.

    Raises:
        UsageError: the folder has a project file already; it is left alone.
        InputError: the data cannot be read.
    """
    from modelyard.engine.releases import signing_keys
    from modelyard.engine.templates import render_template

    target = Path(folder)
    if is_file(target):
        raise UsageError(t("there is a file of that name"), where=str(target))
    if is_file(target / PROJECT_FILE):
        raise UsageError(
            t("there is a project already; nothing was written"),
            where=str(target / PROJECT_FILE),
            remedy=t("name another folder, or edit the file"),
        )
    rendered = render_template(target.resolve(), template, Path(data) if data is not None else None)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with (target / PROJECT_FILE).open("x", encoding="utf-8") as stream:
            stream.write(rendered.text)
    except OSError as error:
        raise UsageError(
            t("the project file cannot be written: {reason}", reason=error.strerror or error),
            where=str(target / PROJECT_FILE),
            remedy=t("name another folder"),
        ) from error
    with open_store(target.resolve(), make=True) as (_, store):
        key = signing_keys(store)[1]
    return Started(target / PROJECT_FILE, tuple(rendered.guesses), key)


def verify(project: str | Path | None = None, *, profile: str | None = None, quarantine: bool = False) -> Scrub:
    """Read every byte of every artifact of the store; see `Scrub`."""
    from modelyard.store.collect import verify_store

    with open_store(folder_of(project), profile) as (_, store):
        return verify_store(store, quarantine)


def gc(
    project: str | Path | None = None, *, profile: str | None = None, keep: int | None = None, dry_run: bool = False
) -> Freed:
    """Free what no release and no recent run needs."""
    from modelyard.store.collect import KEEP_RECENT_RUNS
    from modelyard.store.collect import gc as collect

    with open_store(folder_of(project), profile) as (_, store):
        return collect(store, KEEP_RECENT_RUNS if keep is None else keep, dry_run)


def doctor(project: str | Path | None = None, *, profile: str | None = None) -> list[Check]:
    """Check this machine, this installation, and the store if there is one."""
    return [*_machine(), *_libraries(), *_store(folder_of(project), profile)]


def _machine() -> Iterator[Check]:
    from modelyard.engine.identity import environment

    about = environment()
    state: Literal["ok", "failed"] = "ok" if sys.version_info >= (3, 11) else "failed"
    yield Check("python", state, platform.python_version())
    yield Check("processor", "ok", f"{about['processor']}, {os.cpu_count()} cores")
    free = shutil.disk_usage(Path.cwd()).free
    enough = free >= MIN_FREE_BYTES
    yield Check(
        "disk",
        "ok" if enough else "warning",
        t("{free:.1f} GB free", free=free / 1e9),
        "" if enough else t("free some space; `modelyard gc` helps"),
    )
    yield _sqlite()


def _sqlite() -> Check:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= SQLITE_FIXED:
        return Check("sqlite", "ok", found)
    words = t("{found} has the WAL-reset defect (mended in 3.51.3); the ledger runs without WAL", found=found)
    return Check("sqlite", "ok", words)


def _libraries() -> Iterator[Check]:
    for name in LIBRARIES:
        version = version_of(name)
        remedy = "" if version else t("install the project's locked versions again")
        yield Check(name, "ok" if version else "failed", version or t("not installed"), remedy)


def _store(folder: Path, profile: str | None) -> Iterator[Check]:
    if not (folder / PROJECT_FILE).is_file():
        yield Check("project", "warning", t("no {file} in {folder}", file=PROJECT_FILE, folder=folder))
        return
    try:
        with open_store(folder, profile) as (_, store):
            yield Check("store", "ok", str(store.root))
            running = store.ledger.runs(status="running", limit=1000)
            alive = [run for run in running if store.artifacts.held(run.key)]
            yield Check("runs", "ok", t("{alive} running, {dead} ended without a word", alive=len(alive),
                                        dead=len(running) - len(alive)))  # fmt: skip
    except ModelyardError as error:
        problem = error.problems[0]
        yield Check("store", "failed", problem.found, problem.remedy)
