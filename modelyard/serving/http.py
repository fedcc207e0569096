"""Replies as plain values: what the gateway answers, whichever protocol carries it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

from modelyard.base.canonical import canonical_json
from modelyard.serving.errors import Refusal

Header: TypeAlias = tuple[bytes, bytes]

JSON: Header = (b"content-type", b"application/json")
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_STATUS_LINES[499] = b"HTTP/1.1 499 Client Closed Request\r\n"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer. `headers` are without length and connection, which belong to the protocol."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


class Streaming:
    """An answer that comes in pieces; what comes before somebody listens is kept."""

    def __init__(self, status: int, headers: tuple[Header, ...]) -> None:
        self.status = status
        self.headers = headers
        self._kept: list[bytes | None] = []
        self._listener: Callable[[bytes | None], None] = self._kept.append

    def send(self, data: bytes | None) -> None:
        """Give the next piece; None is the end."""
        self._listener(data)

    def listen(self, listener: Callable[[bytes | None], None]) -> None:
        """Hand what came and what comes to `listener`."""
        self._listener = listener
        for data in self._kept:
            listener(data)


def json_reply(value: object, headers: tuple[Header, ...] = (), status: int = 200) -> Reply:
    return Reply(status, (JSON, *headers), canonical_json(value) + b"\n")


def reply_of(refusal: Refusal, identity: tuple[Header, ...] = ()) -> Reply:
    """The error reply of a refusal, with the model's identity where one was asked."""
    return Reply(refusal.status, (*refusal.all_headers(), *identity), refusal.body())


def wire(reply: Reply, close: bool, date: bytes = b"", is_head: bool = False) -> bytes:
    """HTTP/1.1 bytes of a reply.

    Args:
        reply: the answer.
        close: whether the connection ends with it.
        date: further header lines, each ending in CRLF.
        is_head: the answer to HEAD: the length of the body without the body.
    """
    parts = _head(reply, date)
    parts.append(b"content-length: %d\r\n" % len(reply.body))
    if close:
        parts.append(b"connection: close\r\n")
    parts += (b"\r\n", b"" if is_head else reply.body)
    return b"".join(parts)


def wire_head(reply: Streaming, chunked: bool, close: bool, date: bytes = b"") -> bytes:
    """The head of an answer that comes in pieces; without chunks its end is the connection's."""
    parts = _head(reply, date)
    if chunked:
        parts.append(b"transfer-encoding: chunked\r\n")
    if close:
        parts.append(b"connection: close\r\n")
    return b"".join((*parts, b"\r\n"))


def chunk(data: bytes) -> bytes:
    """One chunk (RFC 9112, section 7.1); empty data would be the last."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"


def _head(reply: Reply | Streaming, date: bytes) -> list[bytes]:
    parts = [_STATUS_LINES[reply.status], date]
    for name, value in reply.headers:
        parts += (name, b": ", value, b"\r\n")
    return parts
