"""Opening a project: the file checked, its profile read, its store opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelyard.base.files import is_file, is_folder
from modelyard.base.messages import t
from modelyard.engine.bound import BoundProject
from modelyard.engine.profiles import Profile
from modelyard.errors import ProfileError, ProjectError, StoreError, UsageError
from modelyard.store import Store

PROJECT_FILE = "modelyard.yaml"


@dataclass(frozen=True)
class Session:
    """A checked project with an open store.

    Attributes:
        bound: the project, its stages and bindings.
        profile: where its work runs.
        store: open until the `with` block ends.
        overrides: the `--set` options it was opened with.
    """

    bound: BoundProject
    profile: Profile
    store: Store
    overrides: tuple[str, ...] = ()


def project_path(given: str | Path | None) -> Path:
    """The project file: the one named, the one in the folder named, or `modelyard.yaml` here."""
    path = Path(given) if given is not None else Path(PROJECT_FILE)
    if is_folder(path):
        path = path / PROJECT_FILE
    if not is_file(path):
        raise UsageError(
            t("there is no project file"),
            where=str(path),
            remedy=t("`modelyard init` writes one; or name the file: `modelyard run path/to/modelyard.yaml`"),
        )
    return path.resolve()


def load(project: str | Path | None, sets: Sequence[str] = ()) -> BoundProject:
    """Read, check and bind a project file. Raises ProjectError with every problem."""
    from modelyard.engine.bind import load_project

    bound, problems = load_project(project_path(project), sets)
    if bound is None or problems:
        raise ProjectError.of(problems)
    return bound


@contextmanager
def open_store(folder: Path, profile: str | None = None, make: bool = False) -> Iterator[tuple[Profile, Store]]:
    """The profile and the store of a project's folder.

    Args:
        make: make the store if there is none; else raise StoreError.
    """
    from modelyard.engine.profiles import load_profile
    from modelyard.store import open as open_at

    chosen, problems = load_profile(folder, profile)
    if chosen is None or problems:
        raise ProfileError.of(problems)
    if not make and not (chosen.store / "store.json").is_file():
        raise StoreError(
            t("there is no store here: nothing has been run"),
            where=str(chosen.store),
            remedy=t("go to the project's folder, or name it with --project; `modelyard run` makes the store"),
        )
    with open_at(chosen.store, chosen.ledger_url()) as store:
        yield chosen, store


@contextmanager
def open_session(
    project: str | Path | None = None, sets: Sequence[str] = (), profile: str | None = None
) -> Iterator[Session]:
    """A checked project and its store, closed at the end of the block."""
    bound = load(project, sets)
    with open_store(bound.project.folder, profile, make=True) as (chosen, store):
        yield Session(bound, chosen, store, tuple(sets))
