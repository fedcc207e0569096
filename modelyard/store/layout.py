"""Where everything lies below a store's folder, and the version of that layout.

store.json                  {"version": 1}
ledger.db                   the embedded ledger (absent when a URL names another)
artifacts/ab/cdef…/         an artifact's files, read-only; beside it `cdef….json`, its manifest
scratch/ab/cdef…/           one per run key; survives a kill, dropped on commit
tmp/<session>/              outputs being written; `tmp/<session>.lock` is held while their process lives
locks/<hex>.lock            one per run key, and `commit.lock`
quarantine/                 artifacts whose bytes differ from their digest, kept for people to look at
cache/                      what may be lost at any time; cache/derived/ is made from artifacts (see derived.py)
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from modelyard.base import files
from modelyard.base.canonical import PREFIX, digest_bytes
from modelyard.base.messages import t
from modelyard.errors import StoreError, VersionError

VERSION = 1
FOLDERS = ("artifacts", "scratch", "tmp", "locks", "quarantine", "cache")
_HEX = re.compile(r"[0-9a-f]{64}")


def prepare(root: Path) -> None:
    """Make the store's folders and `store.json`, or check the version of those that are there."""
    marker = root / "store.json"
    new = not marker.exists()
    if not new:
        check_version(marker)
    for name in FOLDERS:
        if not (root / name).is_dir():  # also one that somebody cleared away by hand
            files.make_folder(root / name)
    if new:
        files.write_atomic(root / ".gitignore", b"# data, models and keys: not for version control\n*\n")
        files.write_atomic(marker, json.dumps({"version": VERSION}).encode())


def check_version(marker: Path) -> None:
    """Raise VersionError unless `store.json` bears this version."""
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            t("this file does not say which version the store has"),
            where=str(marker),
            expected='{"version": 1}',
            remedy=t("restore it from a backup; if the store was never on another version, write the line above"),
        ) from error
    if found != VERSION:
        raise VersionError(
            t("the store has version {found}", found=found),
            where=str(marker),
            expected=t("version {version}", version=VERSION),
            remedy=t("use the modelyard that wrote it, or another folder (`store:` of a profile)"),
        )


def is_hex(name: str) -> bool:
    """Whether a name is the 64 hex digits of a digest."""
    return bool(_HEX.fullmatch(name))


def hex_of(digest: str) -> str:
    """64 hex digits of an artifact's digest. Raises StoreError if it is none: nothing else becomes a path."""
    text = digest.removeprefix(PREFIX)
    if not is_hex(text):
        raise StoreError(t("`{digest}` is not a digest", digest=digest), expected="sha256: + 64 hex digits")
    return text


def hex_of_key(key: str) -> str:
    """64 hex digits for any run key: its own if it is a digest, else those of its text."""
    text = key.removeprefix(PREFIX)
    return text if is_hex(text) else digest_bytes(key.encode()).removeprefix(PREFIX)


def fanned(folder: Path, name: str) -> Path:
    """`folder/ab/cdef…`: no folder grows past 256 entries before its children do."""
    return folder / name[:2] / name[2:]
