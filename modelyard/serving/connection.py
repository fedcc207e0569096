"""HTTP/1.1 on one connection: httptools (llhttp) parses, the gateway answers, one write sends.

Written for what the usual Python servers lack (RULES 1.2): a deadline for receiving a request, limits on every
length before it is stored, an end to clients that do not read, and a drain that loses nothing. Requests on one
connection are answered in order (pipelining); bodies arrive whole before a model sees them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast
from urllib.parse import unquote

import httptools

from modelyard.base.messages import t
from modelyard.serving.errors import Refusal
from modelyard.serving.gateway import Gateway, Route
from modelyard.serving.http import LAST_CHUNK, Header, Reply, Streaming, chunk, wire, wire_head

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_READ_MARGIN = 64 << 10
"""Bytes of chunk framing a body may bring, and of an unwanted body that are read to let the client see the refusal."""


class Host(Protocol):
    """What a connection needs of its server."""

    connections: set[Connection]
    date: bytes
    last_replies: bool


@dataclass(slots=True)
class Request:
    """A request whose head has been read: admitted by its route, or refused."""

    route: Route | None
    refusal: Refusal | None
    keep_alive: bool
    is_head: bool
    body: bytearray

    @property
    def limit(self) -> int:
        """Bytes its body may have."""
        return self.route.max_body_bytes if self.route is not None else 0


class Connection(asyncio.Protocol):
    """One client. `check` is called by the server's watchdog about twice a second."""

    def __init__(self, gateway: Gateway, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._gateway = gateway
        self._settings = gateway.settings
        self._host = host
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._ready: deque[Request] = deque()
        self._current: Request | None = None
        self._cancel: Callable[[], None] | None = None
        self._discarding = False
        self._receiving_since: float | None = None
        self._idle_since = loop.time()
        self._stuck_since: float | None = None
        self._begin()

    def _begin(self) -> None:
        """Forget the last request's parts."""
        self._url = b""
        self._headers: list[Header] = []
        self._incoming: Request | None = None
        self._received = 0

    # -- transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._receiving_since = self._loop.time()
        crowd = len(self._host.connections)
        if crowd >= 2 * self._settings.max_connections:
            self._transport.abort()
            return
        self._host.connections.add(self)
        if crowd >= self._settings.max_connections:
            self._reject(Refusal("too_many_connections", t("too many connections")))

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.connections.discard(self)
        if self._cancel is not None:
            self._gateway.metrics.error("client_gone")
            self._cancel()
            self._cancel = None
        self._ready.clear()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._discarding:
            if self._received > self._gateway.max_body_bytes + _READ_MARGIN:
                self._transport.abort()
            return
        if self._receiving_since is None:
            self._receiving_since = self._loop.time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last_request()
        except httptools.HttpParserError:
            self._reject(Refusal("bad_request", t("this is not HTTP/1.1")))
        else:
            self._check_received()

    def _last_request(self) -> None:
        """An upgrade was asked; it is ignored, but the parser takes nothing after it."""
        if self._current is None:
            self._transport.close()
            return
        for request in (self._current, *self._ready):
            request.keep_alive = False

    def _check_received(self) -> None:
        """Bound what an unfinished request has sent, framing included."""
        if self._incoming is None:
            if self._received > self._settings.max_header_bytes + _READ_MARGIN:
                self._reject(Refusal("headers_too_large", t("the request's head is too large")))
        elif self._received > 2 * self._incoming.limit + self._settings.max_header_bytes + _READ_MARGIN:
            self._reject(self._gateway.too_large(self._incoming.limit))

    def pause_writing(self) -> None:
        self._stuck_since = self._loop.time()

    def resume_writing(self) -> None:
        self._stuck_since = None

    # -- parser

    def on_message_begin(self) -> None:
        if self._receiving_since is None:
            self._receiving_since = self._loop.time()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if self._discarding:
            return
        method = self._parser.get_method().decode("ascii")
        version = self._parser.get_http_version()
        keep_alive = self._parser.should_keep_alive() and version == "1.1"
        request = Request(None, None, keep_alive, method == "HEAD", bytearray())
        self._incoming = request
        try:
            self._check_head()
            request.route = self._gateway.admit(method, self._path(), self._headers)
        except Refusal as refusal:
            request.refusal = refusal
        self._received = 0
        if request.refusal is not None and self._has_body():
            self._reject(request.refusal)
        elif (b"expect", b"100-continue") in self._headers and self._current is None:
            self._transport.write(_CONTINUE)

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in self._headers)

    def _check_head(self) -> None:
        size = len(self._url) + sum([len(name) + len(value) + 4 for name, value in self._headers])
        if size > self._settings.max_header_bytes or len(self._headers) > self._settings.max_header_lines:
            raise Refusal("headers_too_large", t("the request's head is too large"))
        if sum([name == b"host" for name, _ in self._headers]) > 1:
            raise Refusal("bad_request", t("more than one Host header"))

    def _path(self) -> str:
        """The decoded path, decoded exactly once."""
        try:
            path = httptools.parse_url(self._url).path
            return unquote((path or b"").decode("ascii"), errors="strict")
        except (httptools.HttpParserError, UnicodeDecodeError):
            raise Refusal("bad_request", t("the address is not a URL path")) from None

    def on_body(self, body: bytes) -> None:
        request = self._incoming
        if request is None or self._discarding:
            return
        request.body += body
        if len(request.body) > request.limit:
            self._reject(self._gateway.too_large(request.limit))

    def on_message_complete(self) -> None:
        request = self._incoming
        if request is None or self._discarding:
            return
        self._receiving_since = None
        self._begin()
        if self._current is None:
            self._answer(request)
        else:
            self._ready.append(request)
            self._transport.pause_reading()

    # -- answers

    def _answer(self, request: Request) -> None:
        self._current = request
        if request.refusal is not None or request.route is None:
            self._send(self._gateway.refuse(request.refusal or Refusal("internal", t("the server failed"))))
        elif request.route.answer is not None:
            self._send(self._gateway.answer(request.route))
        else:
            cancel = self._gateway.predict(request.route, bytes(request.body), self._send)
            if self._current is request:
                self._cancel = cancel

    def _send(self, reply: Reply | Streaming) -> None:
        """Write the current request's answer and go on with the next."""
        request = self._current
        if request is None or self._transport.is_closing():
            self._cancel = None
            return
        close = self._host.last_replies or not request.keep_alive
        if isinstance(reply, Streaming):
            self._send_pieces(reply, close, chunked=request.keep_alive)
            return
        self._transport.write(wire(reply, close, self._host.date, request.is_head))
        self._finish(close)

    def _send_pieces(self, reply: Streaming, close: bool, chunked: bool) -> None:
        """Write an answer as it comes. A client that cannot keep the connection may not know chunks (HTTP/1.0)."""
        self._transport.write(wire_head(reply, chunked, close, self._host.date))

        def write(data: bytes | None) -> None:
            if self._transport.is_closing():
                return
            if data is not None:
                self._transport.write(chunk(data) if chunked else data)
                return
            if chunked:
                self._transport.write(LAST_CHUNK)
            self._finish(close)

        reply.listen(write)

    def _finish(self, close: bool) -> None:
        """The current request is answered."""
        self._cancel = None
        self._idle_since = self._loop.time()
        if close:
            self._current = None
            self._ready.clear()
            self._transport.close()
        elif self._ready:
            self._loop.call_soon(self._next)
        else:
            self._current = None
            if self._receiving_since is not None:
                self._receiving_since = self._idle_since

    def _next(self) -> None:
        """Answer the next pipelined request; through the loop, so that a long pipeline is no deep recursion."""
        if self._transport.is_closing() or not self._ready:
            self._current = None
            return
        request = self._ready.popleft()
        if not self._ready:
            self._transport.resume_reading()
        self._answer(request)

    def _reject(self, refusal: Refusal) -> None:
        """Refuse a request that is not read to its end, and take nothing more from this client.

        What was asked before is answered first. The reply is followed by our end of stream, and for a while what
        still comes is read and dropped: closing at once would reset the connection, and the client lose the reply.
        """
        if self._discarding or self._transport.is_closing():
            return
        self._discarding = True
        self._received = 0
        self._receiving_since = self._loop.time()
        if self._current is not None:
            self._ready.append(Request(None, refusal, False, False, bytearray()))
            return
        self._transport.write(wire(self._gateway.refuse(refusal), True, self._host.date))
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    # -- the server's side

    @property
    def is_busy(self) -> bool:
        """Whether a request is being received or answered."""
        receiving = self._receiving_since is not None and (self._received > 0 or self._incoming is not None)
        return self._current is not None or (receiving and not self._discarding)

    def idle_seconds(self, now: float) -> float:
        """Seconds since the last answer; 0 while busy."""
        return 0.0 if self.is_busy else now - self._idle_since

    def check(self, now: float) -> None:
        """Cut a client that does not send, does not read, or has been silent for long."""
        limit = self._settings.receive_timeout_s
        if self._stuck_since is not None and now - self._stuck_since > limit:
            self._transport.abort()
        elif self._current is not None:
            return
        elif self._discarding:
            if now - (self._receiving_since or now) > min(2.0, limit):
                self._transport.abort()
        elif self._receiving_since is not None:
            if now - self._receiving_since > limit:
                self._time_out()
        elif now - self._idle_since > self._settings.keep_alive_s:
            self._transport.close()

    def _time_out(self) -> None:
        if self._received or self._incoming is not None:
            self._reject(Refusal("request_timeout", t("the request did not arrive in time")))
        else:
            self._transport.close()

    def close(self) -> None:
        """End the connection after what is written."""
        self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()
