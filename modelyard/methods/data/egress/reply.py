"""What comes back: an answer in memory, or a file on the disk; and how addresses are shown without their secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

from modelyard.base.messages import t
from modelyard.errors import InputError

MASK = "***"
SENSITIVE = re.compile(r"key|token|secret|sig|pass|pwd|auth|credential|session|code$", re.IGNORECASE)
SHORTEST_SECRET = 4
EXCERPT = 200


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        url: what answered, after redirects.
        shown: the same without credentials, for messages.
        headers: by lower-case name.
        body: decompressed.
        cached: it was read from the cache.
    """

    url: str
    shown: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    cached: bool = False

    def json(self) -> Any:
        """The body as JSON. Raises InputError if it is none."""
        try:
            return json.loads(self.body)
        except RecursionError:
            reason = "nested too deeply"
        except ValueError as error:
            reason = str(error)
        found = t("the answer is not JSON ({reason}): {excerpt}", reason=reason, excerpt=excerpt(self.body))
        raise InputError(found, where=self.shown)

    def text(self) -> str:
        """The body as text, in the character set its header names, else UTF-8; bytes that do not decode are marked."""
        match = re.search(r"charset=[\"']?([\w.:-]+)", self.headers.get("content-type", ""))
        try:
            return self.body.decode(match.group(1) if match else "utf-8", errors="replace")
        except LookupError:
            return self.body.decode("utf-8", errors="replace")


@dataclass(frozen=True)
class Download:
    """A file that was fetched.

    Attributes:
        digest: `sha256:…` of its bytes.
        headers: of the last answer, by lower-case name.
    """

    path: Path
    size: int
    digest: str
    headers: Mapping[str, str]


def excerpt(body: bytes) -> str:
    """The beginning of a body, for a message: one line, control characters as escapes."""
    text = body[: 4 * EXCERPT].decode("utf-8", errors="replace")
    text = " ".join(text.split())[:EXCERPT]
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret, also as URLs spell it, replaced."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            for form in {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}:
                text = text.replace(form, MASK)
    return text


def masked_url(url: str, secrets: Iterable[str] = ()) -> str:
    """A URL for people: no user or password, values of parameters that look like secrets or are ones replaced."""
    secrets = tuple(secrets)
    try:
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
    except ValueError:
        return MASK
    pairs = [(name, MASK if SENSITIVE.search(name) or value in secrets else value) for name, value in query]
    host = parts.netloc.rpartition("@")[2]
    return masked(urlunsplit((parts.scheme, host, parts.path, urlencode(pairs, safe="*"), "")), secrets)
