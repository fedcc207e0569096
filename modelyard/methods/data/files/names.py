"""Names of an archive's members, as an archive may give them: checked as text, never used as a path of this machine.

Rules that do not depend on the operating system: relative, `/` between parts, no `..`, no backslash, no control
characters, one member a name (also where a disk would not tell two names apart).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from modelyard.base.messages import t
from modelyard.errors import Problem
from modelyard.methods.data.rows import SURROGATE

MAX_CHARACTERS = 1_024
MAX_DEPTH = 32
DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
LITTER = frozenset(("thumbs.db", "desktop.ini", "ehthumbs.db", "__macosx", "icon\r"))
SHOWN = 5


def encoding_of(raw: bytes) -> str:
    """The encoding of names: UTF-8, or what Windows in China writes (GB18030) where they are not."""
    for encoding in ("utf-8", "gb18030"):
        try:
            raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "utf-8"


def plain(name: str) -> str:
    """The name as it is compared and shown: composed (NFC), without a leading `./` and without `/` at its end."""
    return unicodedata.normalize("NFC", name).removeprefix("./").rstrip("/")


def fault_of(name: str) -> str:
    """What is wrong with a member's name, in words; `` if nothing is."""
    if SURROGATE.search(name) or CONTROL.search(name):
        return t("control characters or bytes that are no text")
    if "\\" in name:
        return t("a backslash")
    if name.startswith("/") or DRIVE.match(name):
        return t("an absolute path")
    short = plain(name)
    if len(short) > MAX_CHARACTERS or short.count("/") >= MAX_DEPTH:
        return t("longer than {most:,} characters or deeper than {depth} folders", most=MAX_CHARACTERS, depth=MAX_DEPTH)
    parts = short.split("/")
    if ".." in parts:
        return t("it leads out of the archive (`..`)")
    if short and ("." in parts or "" in parts):
        return t("an empty part or `.` within the path")
    return ""


def problems_of(archive: str, names: Iterable[tuple[str, bool]]) -> list[Problem]:
    """Problems of the names of an archive, the first SHOWN of them.

    Args:
        archive: its name, for messages.
        names: each member's name and whether it is a folder.
    """
    return [problem for problem, _ in zip(_problems(archive, names), range(SHOWN), strict=False)]


def _problems(archive: str, names: Iterable[tuple[str, bool]]) -> Iterator[Problem]:
    files: dict[str, str] = {}
    folders: set[str] = set()
    for name, is_folder in names:
        fault = fault_of(name)
        if fault:
            yield hostile(archive, shown(name), fault)
            continue
        key = plain(name).casefold()
        if not is_folder:
            if key in files:
                yield hostile(archive, shown(name), t("a second member of this name: {name}", name=shown(files[key])))
            files[key] = name
        folders.update(_parents(key))
    for key in sorted(folders & set(files)):
        yield hostile(archive, shown(files[key]), t("a file and a folder of one name"))


def _parents(key: str) -> Iterator[str]:
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


def shown(name: str) -> str:
    """A name that may hold anything, as one line of printable text."""
    return ascii(name)[1:-1][:200] if not name.isprintable() else name[:200]


def hostile(archive: str, member: str, fault: str) -> Problem:
    """The problem of a member that is refused, and with it the whole archive."""
    return Problem(
        f"{archive}/{member}" if member else archive,
        fault,
        t("regular files and folders under plain relative names"),
        t("no archive with such a member is opened: look where it comes from, then pack it again"),
    )


def is_litter(name: str) -> bool:
    """Hidden files and what systems leave behind; they are passed over and counted."""
    parts = name.split("/")
    return any(part.startswith(".") or part.casefold() in LITTER for part in parts)
