"""Where a model to bring in lies: a folder, an ONNX file, or a pinned state of a repository on a hub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from modelyard.base.canonical import Json, digest_file
from modelyard.base.messages import t
from modelyard.errors import InputError

HUB_ID = re.compile(r"((huggingface|modelscope):)?[\w.-]+/[\w.-]+")
PINNED = re.compile(r"[0-9a-f]{40}|sha256:[0-9a-f]{64}")

WANTED = ("config.json", "*.safetensors", "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json")
"""The files of a folder that make a model; never pickles, never Python."""

READ = (*WANTED, "*.onnx")
"""The files whose bytes can change what is made, and so the fingerprint."""


def locate(path: str, revision: str | None, base: Path) -> Path:
    """The folder or file that `path` names; a hub id is fetched if its commit is not cached.

    Raises:
        InputError: nothing is there, a hub id has no pinned commit, or the hub cannot be reached.
    """
    local = base / Path(path).expanduser()
    if local.exists():
        return local.resolve()
    if not HUB_ID.fullmatch(path) or path.startswith("."):
        raise InputError(
            t("nothing is at `{path}`", path=path),
            where="path",
            expected=t("a Hugging Face folder, an ONNX file, or `owner/name` of the hub with a `revision`"),
        )
    if not revision or not PINNED.fullmatch(revision):
        raise InputError(
            t("`{path}` is no folder here, and as a hub id it has no pinned commit", path=path),
            where="revision",
            expected=t("the 40 hex digits of a commit (of ModelScope `sha256:…`): a branch can change under you"),
            remedy=t("copy the commit from the model's page: Files and versions, History"),
        )
    return _from_hub(path, revision)


def _from_hub(name: str, revision: str) -> Path:
    from modelyard.methods.data.hubs.models import model_folder, parse

    named = parse(name)
    assert named is not None, name
    try:
        return model_folder(named[0], named[1], revision)
    except InputError as error:
        first = error.problems[0]
        raise InputError(
            t("`{name}` cannot be fetched: {error}", name=name, error=f"{first.where}: {first.found}"),
            where="path",
            expected=first.expected or t("a model of the hub and a network"),
            remedy=first.remedy or t("download the model where there is a network and name its folder"),
        ) from None


def fingerprint(path: str, revision: str | None, tokenizer: str | None, base: Path) -> Json:
    """What identifies the bytes: the commit of a hub model (known without fetching it), else every file's digest."""
    local = base / Path(path).expanduser()
    if not local.exists() and revision and PINNED.fullmatch(revision):
        return {"hub": path, "commit": revision}
    found = locate(path, revision, base)
    extra = [base / Path(tokenizer).expanduser()] if tokenizer else []
    return [[file.name, digest_file(file)] for file in (*_files(found), *extra) if file.is_file()]


def _files(found: Path) -> Iterator[Path]:
    if found.is_dir():
        names = {file for pattern in READ for file in found.glob(pattern)}
        yield from sorted(names)
    else:
        yield found
        yield found.with_name("tokenizer.json")
