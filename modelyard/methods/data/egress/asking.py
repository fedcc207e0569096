"""A request, and what can send it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import httpx

from modelyard.errors import InputError
from modelyard.methods.data.egress.faults import Passing
from modelyard.methods.data.egress.limits import Limits


@dataclass(frozen=True)
class Ask:
    """One request as the caller means it, before redirects; names of headers in lower case."""

    method: str
    url: httpx.URL
    headers: Mapping[str, str]
    body: bytes | None = None


class Sender(Protocol):
    """Sends a request within limits; `client.Egress` is one."""

    limits: Limits

    def open(self, ask: Ask, whole_s: float | None) -> AbstractContextManager[httpx.Response]:
        """One attempt at an answer, body not yet read."""

    def refused(self, response: httpx.Response) -> Passing | InputError:
        """The error of a status that is no success."""

    def shown(self, url: object) -> str:
        """A URL without credentials."""
