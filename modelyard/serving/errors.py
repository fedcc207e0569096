"""What a client is told when it gets no answer: one JSON shape, a code from a closed table, never an inside view.

`{"error": code, "message": text, "trace": id}`. The trace finds the details in the server's log; paths, addresses
and tracebacks never leave it (RULES 2, 15).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from modelyard.base.canonical import canonical_json
from modelyard.errors import InputError

STATUS: Mapping[str, int] = {
    "bad_request": 400,
    "bad_json": 400,
    "bad_instances": 400,
    "forbidden_origin": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "too_large": 413,
    "unsupported_media_type": 415,
    "misdirected_host": 421,
    "overloaded": 429,
    "headers_too_large": 431,
    "client_gone": 499,
    "internal": 500,
    "model_output": 500,
    "loading": 503,
    "draining": 503,
    "too_many_connections": 503,
    "deadline": 504,
}
"""Every code a reply can carry, and its HTTP status."""

RETRY_AFTER_S: Mapping[str, int] = {"overloaded": 1, "loading": 2, "draining": 5, "too_many_connections": 5}
"""Refusals made before any work: the client may come back after so many seconds."""


class Refusal(Exception):
    """A request that gets an error reply. The message is shown to the client: nothing of the inside belongs in it."""

    def __init__(self, code: str, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.headers = headers
        self.trace = new_trace()

    @property
    def status(self) -> int:
        return STATUS[self.code]

    def body(self) -> bytes:
        return canonical_json({"error": self.code, "message": self.message, "trace": self.trace}) + b"\n"

    def all_headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """Headers of the reply besides its length."""
        found = ((b"content-type", b"application/json"), (b"x-trace-id", self.trace.encode()), *self.headers)
        wait = RETRY_AFTER_S.get(self.code)
        return found if wait is None else (*found, (b"retry-after", str(wait).encode()))


_PLACE = re.compile(r"^\w+\[(\d+)\]")


def refusal_of_record(error: InputError, name: str, offset: int = 0) -> Refusal:
    """What a client is told of a record that the model cannot read: its words, and the place in the request.

    Args:
        error: with the place `records[3]…` among the records that were asked together.
        name: what the client's list is called.
        offset: records of the request that came before.
    """
    problem = error.problems[0]
    where = _PLACE.sub(lambda match: f"{name}[{int(match[1]) + offset}]", problem.where)
    wish = f" ({problem.expected})" if problem.expected else ""
    return Refusal("bad_instances", f"{where}: {problem.found}{wish}")


def is_of_record(error: BaseException) -> bool:
    """Whether an error names a record that cannot be read."""
    return isinstance(error, InputError) and error.problems[0].where.startswith("records[")


def new_trace() -> str:
    """A random name for one failed request."""
    return secrets.token_hex(8)
