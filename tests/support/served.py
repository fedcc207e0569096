"""A server over a fake predictor: in a thread, or in a process of its own that takes signals."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from modelyard.methods.runtimes.predictor import Record
from modelyard.methods.tasks.text_classification import Classification
from modelyard.serving import ServingSettings
from modelyard.serving.server import Server

NAME = "reviews"
WARM_UP_CALLS = 10
PREDICT = f"/v1/models/{NAME}:predict"


class FakePredictor:
    """Answers from the text alone: `pos` if its length is odd. Remembers batch sizes; can be slow, and fail."""

    digest = "sha256:" + "ab" * 32
    task = "text-classification"
    labels = ("neg", "pos")
    runtime = "fake 1.0"

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self.batches: list[int] = []
        self.calls = 0
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False

    def predict(self, records: Sequence[Record]) -> list[Classification]:
        self.batches.append(len(records))
        self.gate.wait(10)
        self.calls += 1
        if self.seconds and self.calls > WARM_UP_CALLS:
            time.sleep(self.seconds)
        return [self.one(record["text"]) for record in records]

    def one(self, text: str) -> Classification:
        if text == "explode":
            raise RuntimeError("secret at 0x7f00 in /etc/passwd")
        score = float("nan") if text == "nan" else 0.75
        return Classification("pos", {"neg": 1 - score, "pos": score}) if len(text) % 2 else Classification(
            "neg", {"neg": score, "pos": 1 - score}
        )  # fmt: skip

    def close(self) -> None:
        self.is_closed = True


class Running:
    """A server in a thread."""

    def __init__(self, predictor: FakePredictor, settings: ServingSettings) -> None:
        self.predictor = predictor
        self.said: list[str] = []
        self.server: Server
        self.loop: asyncio.AbstractEventLoop
        self._settings = settings
        self._started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self.thread.start()
        assert self._started.wait(10)
        predictor.batches.clear()
        self.port = int(self.said[-1].rsplit(":", 1)[1])

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.server = Server({NAME: Path("model")}, self._settings, self._say, lambda path, settings: self.predictor)
        await self.server.run()

    def _say(self, text: str) -> None:
        self.said.append(text)
        if text.startswith("serving"):
            self._started.set()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self.server.stop)
        self.thread.join(10)

    def connect(self, timeout: float = 10) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def raw(self, data: bytes, timeout: float = 10) -> bytes:
        """Send bytes, read until the server ends the connection or is silent for `timeout`."""
        with self.connect(timeout) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(data)
            return read_all(connection)

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request on a connection of its own. `body` is JSON unless it is bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        reply = connection.getresponse()
        answer = Answer(reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read())
        connection.close()
        return answer


class Answer:
    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    with contextlib.suppress(OSError):
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


def post(body: bytes, path: str = PREDICT, extra: bytes = b"", length: int | None = None) -> bytes:
    """The bytes of a predict request that asks for the end of the connection."""
    size = len(body) if length is None else length
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n"
    return head % (path.encode(), extra, size) + body


@contextlib.contextmanager
def running(seconds: float = 0.0, **settings: Any) -> Iterator[Running]:
    server = Running(FakePredictor(seconds), ServingSettings(**{"port": 0, "drain_idle_s": 0, **settings}))
    try:
        yield server
    finally:
        server.predictor.gate.set()
        server.stop()


@contextlib.contextmanager
def process(
    seconds: float = 0.0, loading_seconds: float = 0.0, **settings: Any
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A server process and its port, as soon as it serves; where loading takes time, as soon as it listens."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "MODELYARD_LANG": "en"}
    values = json.dumps({"port": 0, **settings})
    command = [sys.executable, "-m", "support.served", str(seconds), str(loading_seconds), values]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2])
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not loading_seconds:
            line = child.stdout.readline()
        yield child, int(line.rsplit(":", 1)[1])
    finally:
        child.kill()
        child.wait()


def main() -> None:
    from modelyard.serving import serve

    seconds, loading_seconds = float(sys.argv[1]), float(sys.argv[2])

    def load(folder: Path, settings: ServingSettings) -> FakePredictor:
        time.sleep(loading_seconds)
        return FakePredictor(seconds)

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    serve({NAME: Path("model")}, ServingSettings(**json.loads(sys.argv[3])), say=say, loader=load)


if __name__ == "__main__":
    main()
