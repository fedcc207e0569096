"""What comes back: an answer in memory, or a file on the disk; and how addresses are shown without their secrets."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit, urlunsplit

from modelyard.base.messages import t
from modelyard.errors import InputError

MASK = "***"
SENSITIVE = re.compile(r"key|token|secret|sig|pass|pwd|auth|credential|session|code$", re.IGNORECASE)
SHORTEST_SECRET = 4
EXCERPT = 200
SEARCHED_BYTES = 64 << 10


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        url: what answered, after redirects.
        shown: the same without credentials, for messages.
        headers: by lower-case name.
        body: decompressed.
        cached: it was read from the cache.
        secrets: values that no message may show, however the server spells them.
    """

    url: str
    shown: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    cached: bool = False
    secrets: Collection[str] = field(default=(), repr=False, compare=False)

    def json(self) -> Any:
        """The body as JSON. Raises InputError if it is none."""
        try:
            return json.loads(self.body)
        except RecursionError:
            reason = "nested too deeply"
        except ValueError as error:
            reason = str(error)
        said = excerpt(self.body, self.secrets)
        found = t("the answer is not JSON ({reason}): {excerpt}", reason=reason, excerpt=said)
        raise InputError(found, where=self.shown)

    def masked(self, text: str) -> str:
        """Something that the answer says, without secrets: for messages."""
        return masked(text, self.secrets)

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


def excerpt(body: bytes, secrets: Iterable[str]) -> str:
    """The beginning of a body without secrets, for a message: one line, control characters as escapes."""
    start = body[:SEARCHED_BYTES]
    text = masked(start.decode(json.detect_encoding(start), errors="replace"), secrets)
    text = " ".join(text[: 4 * EXCERPT].split())[:EXCERPT]
    return "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in text)


def masked(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret, also as URLs, JSON and HTML spell it, replaced."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, MASK)
            for form in _spellings(secret):
                text = re.sub(re.escape(form), MASK, text, flags=re.IGNORECASE)  # `%2F` is `%2f`
    return text


def _spellings(secret: str) -> list[str]:
    """Other forms in which a server may say what it was asked, the longest first; a URL in a URL is encoded twice."""
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    plain = {secret, *encoded, *(quote(form, safe="") for form in encoded)}
    found = plain | {html.escape(form) for form in plain}
    for form in plain:
        for ascii_only in (True, False):
            in_json = json.dumps(form, ensure_ascii=ascii_only)[1:-1]
            found |= {in_json, in_json.replace("/", r"\/")}
    return sorted(found - {secret}, key=lambda form: (-len(form), form))


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
