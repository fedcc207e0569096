"""Profiles: where work runs and where what it makes is kept. `modelyard.profiles.yaml` beside the project:

    profiles:
      local: {store: .modelyard, threads: 4}
      lab:   {store: /data/yard, ledger: {secret: LEDGER_URL}, device: cuda}

Without a file there is one profile, `local`: the store is `.modelyard` beside the project. A profile never changes
what is computed, only where.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.messages import did_you_mean, t
from modelyard.base.yaml import KeyPath, read_yaml
from modelyard.core.project import SecretName
from modelyard.engine.fields import Fields
from modelyard.engine.project_file import SECRET
from modelyard.engine.source import Source
from modelyard.engine.tracking import KINDS
from modelyard.errors import Problem, ProfileError

FILE = "modelyard.profiles.yaml"
DEFAULT = "local"
STORE = ".modelyard"
KEYS = ("store", "ledger", "threads", "processes", "jobs", "device", "launch", "tracking")
DEVICES = ("auto", "cpu", "cuda")
LAUNCHES = ("local",)
MAX_SECRET_BYTES = 1 << 16


@dataclass(frozen=True)
class Profile:
    """Where work runs.

    Attributes:
        name: the profile's name.
        store: the store's folder, absolute.
        ledger: URL of the ledger's database (or the name of the secret that holds it); None: SQLite in the store.
        threads: processor threads a step may use; None: all cores.
        processes: worker processes of a training step.
        jobs: trials of a search, or folds, that run side by side.
        device: `auto`, `cpu` or `cuda`.
        launch: `local`: workers are processes of this machine.
        tracking: `none`, or the tool that curves are mirrored to.
    """

    name: str
    store: Path
    ledger: str | SecretName | None = None
    threads: int | None = None
    processes: int = 1
    jobs: int = 1
    device: str = "auto"
    launch: str = "local"
    tracking: str = "none"

    def ledger_url(self) -> str | None:
        """The ledger's URL with its secret looked up. Raises ProfileError if that is not set."""
        return self.resolve_secret(self.ledger.secret) if isinstance(self.ledger, SecretName) else self.ledger

    def resolve_secret(self, name: str) -> str:
        """The value of a secret: the environment variable, else the store's key file. Raises ProfileError."""
        return resolve_secret(name, self.store)


def load_profile(folder: Path, name: str | None = None) -> tuple[Profile | None, list[Problem]]:
    """The profile called `name` (`local` if None) of the project in `folder`, or every problem of the file."""
    wanted = name or DEFAULT
    path = folder / FILE
    if not path.exists():
        if wanted == DEFAULT:
            return Profile(DEFAULT, (folder / STORE).absolute()), []
        found = t("there is no profile `{name}`: the project has no profile file", name=wanted)
        return None, [Problem(str(path), found, f"{FILE} with `profiles: {{{wanted}: {{}}}}`")]
    document = read_yaml(path)
    fields = Fields(Source(document))
    fields.problems += document.problems
    profiles = _profiles(document.value, folder, fields) if not (fields.problems and document.value is None) else {}
    profiles.setdefault(DEFAULT, Profile(DEFAULT, (folder / STORE).absolute()))
    if fields.problems:
        return None, fields.problems
    if wanted not in profiles:
        found = t("there is no profile `{name}`", name=wanted)
        return None, [Problem(str(path), found, remedy=did_you_mean(wanted, list(profiles)))]
    return profiles[wanted], []


def _profiles(value: object, folder: Path, fields: Fields) -> dict[str, Profile]:
    top = fields.mapping((), value, t("the profile file"))
    if top is None:
        return {}
    fields.known((), top, ("profiles",), t("the profile file"))
    if "profiles" not in top:
        fields.note((), t("`profiles` is missing"), "profiles: {local: {…}}")
    profiles = fields.mapping(("profiles",), top.get("profiles") or {}, "`profiles`") or {}
    return {name: _profile(name, body or {}, folder, fields) for name, body in profiles.items()}


def _profile(name: str, value: object, folder: Path, fields: Fields) -> Profile:
    path: KeyPath = ("profiles", name)
    body = fields.mapping(path, value, t("the profile `{name}`", name=name)) or {}
    fields.known(path, body, KEYS, t("the profile `{name}`", name=name))
    return Profile(
        name=name,
        store=_store(body, folder, path, fields),
        ledger=_ledger(body, path, fields),
        threads=_whole(body, "threads", path, fields),
        processes=_whole(body, "processes", path, fields) or 1,
        jobs=_whole(body, "jobs", path, fields) or 1,
        device=_choice(body, "device", DEVICES, path, fields),
        launch=_choice(body, "launch", LAUNCHES, path, fields),
        tracking=_choice(body, "tracking", KINDS, path, fields),
    )


def _store(body: Mapping[str, Any], folder: Path, path: KeyPath, fields: Fields) -> Path:
    here: KeyPath = (*path, "store")
    text = fields.text(here, body["store"], t("a folder")) if "store" in body else STORE
    if text is not None and "://" in text:
        fields.wrong(here, text, t("a folder of this machine; object stores are not in this version"))
    return (folder / Path(text or STORE).expanduser()).absolute()


def _ledger(body: Mapping[str, Any], path: KeyPath, fields: Fields) -> str | SecretName | None:
    value, here = body.get("ledger"), (*path, "ledger")
    if value is None:
        return None
    if isinstance(value, Mapping) and set(value) == {"secret"}:
        name = value["secret"]
        if isinstance(name, str) and SECRET.fullmatch(name):
            return SecretName(name)
    expected = t("a database URL, such as `postgresql://host/name`, or `{secret: NAME}`")
    if isinstance(value, str) and "://" in value:
        password = value.partition("://")[2].partition("@")[0].partition(":")[2] if "@" in value else ""
        if not password:
            return value
        # The value is not shown: it holds the password.
        fields.note(here, t("the URL holds a password"), expected, t("put the URL in a secret"))
        return None
    fields.note(here, t("`ledger` is no database URL"), expected, of_value=True)
    return None


def _whole(body: Mapping[str, Any], key: str, path: KeyPath, fields: Fields) -> int | None:
    return fields.whole((*path, key), body[key], 1, 4096) if key in body else None


def _choice(body: Mapping[str, Any], key: str, known: tuple[str, ...], path: KeyPath, fields: Fields) -> str:
    value = body.get(key, known[0])
    if value in known:
        return str(value)
    expected = t("one of: {known}", known=", ".join(known))
    fields.wrong((*path, key), value, expected, did_you_mean(str(value), list(known)))
    return known[0]


def secret_file(name: str, store: Path) -> Path:
    """Where a secret's key file lies."""
    return store / "keys" / "secrets" / name


def resolve_secret(name: str, store: Path) -> str:
    """The value of a secret, which nothing may store or show.

    The environment variable of that name counts first; then the key file `keys/secrets/NAME` of the store, which must
    be readable by its owner alone (mode 0600); one line end at its end is dropped.

    Raises:
        ProfileError: it is not set, empty, not text, or others can read the file. No message holds the value.
    """
    if not SECRET.fullmatch(name):
        raise ProfileError(t("`{name}` is no name of a secret", name=name), expected=t("letters, digits and `_`"))
    value = os.environ.get(name)
    where = t("environment variable {name}", name=name)
    if value is None:
        path = secret_file(name, store)
        value, where = _read_secret(name, path), str(path)
    if not value:
        raise ProfileError(t("the secret `{name}` is empty", name=name), where=where)
    return value


def _read_secret(name: str, path: Path) -> str:
    remedy = t("set the environment variable {name}, or write it to {path} (mode 0600)", name=name, path=path)
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise ProfileError(t("the secret `{name}` is not set", name=name), remedy=remedy) from None
    except OSError as error:
        found = t("the secret `{name}` cannot be read: {reason}", name=name, reason=error.strerror or error)
        raise ProfileError(found, where=str(path), remedy=remedy) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ProfileError(t("the secret `{name}` is no regular file", name=name), where=str(path), remedy=remedy)
        if os.name != "nt" and stat.S_IMODE(status.st_mode) & 0o077:
            mode = f"{stat.S_IMODE(status.st_mode):04o}"
            found = t("others can read the secret `{name}` (mode {mode})", name=name, mode=mode)
            raise ProfileError(found, where=str(path), expected="0600", remedy=f"chmod 600 {path}")
        data = os.read(descriptor, MAX_SECRET_BYTES + 1)
    finally:
        os.close(descriptor)
    try:
        text = data.decode("utf-8") if len(data) <= MAX_SECRET_BYTES else None
    except UnicodeDecodeError:
        text = None
    if text is None:
        expected = t("UTF-8 text of at most {limit} bytes", limit=MAX_SECRET_BYTES)
        raise ProfileError(t("the secret `{name}` is no text", name=name), where=str(path), expected=expected)
    return text.removesuffix("\n").removesuffix("\r")
