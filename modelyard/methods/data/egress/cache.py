"""Answers kept in a folder, so that a run that was killed does not ask again for what it had.

One file an answer, named by the digest of the request without its secrets: a line of JSON, then the body. A file that
was torn (its digest does not fit) is no answer and is fetched again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.base.canonical import PREFIX, canonical_json, digest_bytes, digest_json
from modelyard.base.files import write_cache
from modelyard.methods.data.egress.reply import Reply


@dataclass(frozen=True)
class HttpCache:
    """A folder of answers, made when the first one is kept."""

    folder: Path

    def find(self, request: Any) -> Reply | None:
        """The answer kept for a request, described as JSON, or None."""
        try:
            head, _, body = self._path(request).read_bytes().partition(b"\n")
            kept = json.loads(head)
            if kept["digest"] != digest_bytes(body):
                return None
            return Reply(kept["url"], kept["shown"], kept["status"], kept["headers"], body, cached=True)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def keep(self, request: Any, reply: Reply) -> None:
        """Keep an answer. Its URL is kept without secrets."""
        self.folder.mkdir(parents=True, exist_ok=True)
        head = {
            "url": reply.shown, "shown": reply.shown, "status": reply.status, "headers": dict(reply.headers),
            "digest": digest_bytes(reply.body),
        }  # fmt: skip
        write_cache(self._path(request), canonical_json(head) + b"\n" + reply.body)

    def _path(self, request: Any) -> Path:
        return self.folder / digest_json(request).removeprefix(PREFIX)
