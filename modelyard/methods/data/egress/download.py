"""A file fetched in pieces that survive a kill: `NAME.part` and, beside it, what the server called that file.

It is gone on with by `Range` and `If-Range` (RFC 9110 13.1.5, 14.2), so that a file which changed on the server begins
anew and never becomes a mixture of two.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from modelyard.base.canonical import canonical_json, digest_file
from modelyard.base.files import write_cache
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress.asking import Ask, Sender
from modelyard.methods.data.egress.decoding import encoding_of, pieces
from modelyard.methods.data.egress.reply import Download

HARMLESS = ("accept", "accept-encoding", "range", "if-range", "user-agent")
"""Headers that hold no credentials and may follow a redirect to another host."""
RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


@dataclass(frozen=True)
class Part:
    """An unfinished download of the file `path`."""

    path: Path

    @property
    def file(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def notes(self) -> Path:
        return self.path.with_name(self.path.name + ".part.json")

    def size(self) -> int:
        return self.file.stat().st_size if self.file.is_file() else 0

    def validator(self, url: str) -> str:
        """What names the server's file that this is a part of; `` if it cannot be gone on with."""
        try:
            notes: dict[str, Any] = json.loads(self.notes.read_bytes())
        except (OSError, ValueError):
            return ""
        return str(notes.get("validator", "")) if notes.get("url") == url and self.size() else ""

    def begin(self, url: str, validator: str) -> None:
        """Begin anew."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file.unlink(missing_ok=True)
        write_cache(self.notes, canonical_json({"url": url, "validator": validator}))

    def drop(self) -> None:
        self.file.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def fetch(sender: Sender, ask: Ask, part: Part, digest: str | None, size: int | None) -> Download:
    """One attempt: go on with what is there, or begin. Raises faults.Passing if another attempt may help."""
    named = sender.shown(ask.url)
    validator = part.validator(named)
    ranged = {"range": f"bytes={part.size()}-", "if-range": validator} if validator else {}
    with sender.open(replace(ask, headers={**ask.headers, **ranged}), None) as response:
        shown = sender.shown(response.url)
        status = response.status_code
        if status == 416 and validator:
            if _total(response) != part.size():
                part.drop()
                return fetch(sender, ask, part, digest, size)
        elif status == 206 and validator and _start(response) == part.size():
            _append(sender, response, part, shown)
        elif status == 200:
            part.begin(named, _validator_of(response))
            _append(sender, response, part, shown)
        elif status == 206:
            part.drop()
            raise InputError(t("the server sends another part of the file than was asked for"), where=shown)
        else:
            raise sender.refused(response)
        headers = {name.lower(): value for name, value in response.headers.items()}
    return _finish(part, headers, shown, digest, size)


def _append(sender: Sender, response: httpx.Response, part: Part, shown: str) -> None:
    limit, done = sender.limits.max_file_bytes, part.size()
    with part.file.open("ab") as stream:
        for piece in pieces(response, shown):
            done += len(piece)
            if done > limit:
                found = t("the file is larger than {limit:,} bytes", limit=limit)
                raise InputError(found, where=shown, remedy=t("raise the limit, if it is right"))
            stream.write(piece)


def _finish(part: Part, headers: dict[str, str], shown: str, digest: str | None, size: int | None) -> Download:
    if not part.file.exists():
        part.file.touch()
    found_size, found = part.size(), digest_file(part.file)
    if (size is not None and size != found_size) or (digest is not None and digest != found):
        part.drop()
        expected = f"{digest or ''} {'' if size is None else f'{size:,} bytes'}".strip()
        raise InputError(
            t("the file that came is not the one named: {digest}, {size:,} bytes", digest=found, size=found_size),
            where=shown,
            expected=expected,
            remedy=t("it was changed on the server or on the way: check it, then name what it is now"),
        )
    os.replace(part.file, part.path)
    part.notes.unlink(missing_ok=True)
    return Download(part.path, found_size, found, headers)


def _validator_of(response: httpx.Response) -> str:
    """A strong ETag, else the time of the last change; `` if the body is not the file's own bytes."""
    if encoding_of(response):
        return ""
    etag = str(response.headers.get("etag", ""))
    return etag if etag.startswith('"') else str(response.headers.get("last-modified", ""))


def _start(response: httpx.Response) -> int | None:
    match = RANGE.fullmatch(response.headers.get("content-range", ""))
    return int(match.group(1)) if match and match.group(1) else None


def _total(response: httpx.Response) -> int | None:
    match = RANGE.fullmatch(response.headers.get("content-range", ""))
    return int(match.group(2)) if match and match.group(2).isdigit() else None
