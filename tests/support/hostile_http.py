"""A local web server that does what it is told: every test gives it the answers, good and bad, one function a path."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Asked:
    """A request as it came."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Answer:
    """What to send back. `cut`: only so many bytes of the body, then the connection ends; `raw`: these bytes instead
    of an HTTP answer; `wait`: an event to wait for before anything is sent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    raw: bytes | None = None
    wait: threading.Event | None = None


Route = Callable[[Asked], Answer]


class Site:
    """The running server: `url`, what was `asked`, and the `routes` by path (changed while it runs, if need be)."""

    def __init__(self, server: ThreadingHTTPServer, routes: dict[str, Route]) -> None:
        self.port = server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.routes = routes
        self.asked: list[Asked] = []

    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


@contextmanager
def site(routes: dict[str, Route] | None = None) -> Iterator[Site]:
    """A server on a free port of 127.0.0.1 for the length of a `with`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, parts.path, dict(parse_qsl(parts.query)), headers, self.rfile.read(length))
            running.asked.append(asked)
            route = running.routes.get(parts.path)
            self._send(route(asked) if route else Answer(b"nothing here", 404))

        def _send(self, answer: Answer) -> None:
            if answer.wait is not None:
                answer.wait.wait(20)
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            lower = {name.lower() for name in answer.headers}
            if not {"content-length", "transfer-encoding"} & lower:
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.cut])
            if answer.cut is not None:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = _answer

        def log_message(self, *_: Any) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = Site(server, dict(routes or {}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()


def in_turn(*answers: Answer) -> Route:
    """One answer after the other; the last one stays."""
    left = list(answers)
    return lambda asked: left.pop(0) if len(left) > 1 else left[0]


class FakeTime:
    """A clock that only sleeping moves; `slept` says how."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
