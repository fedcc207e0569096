"""A load client for machines without wrk: keep-alive connections that each wait for their answer, one process.

python client.py PORT BODIES.jsonl CONNECTIONS SECONDS
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from pathlib import Path

import uvloop

PATH = "/v1/models/reviews:predict"


class Connection(asyncio.Protocol):
    """Sends a request, waits for its whole reply, sends the next."""

    def __init__(self, requests: list[bytes], position: int, seconds: list[float]) -> None:
        self.requests, self.position, self.seconds = requests, position, seconds
        self.received = b""
        self.failed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.position = (self.position + 1) % len(self.requests)
        self.began = time.perf_counter()
        self.transport.write(self.requests[self.position])

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self.seconds.append(time.perf_counter() - self.began)
            self.failed += not head.startswith(b"HTTP/1.1 200")
            self.received = b""
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.failed += 1


async def main() -> None:
    port, connections, duration = int(sys.argv[1]), int(sys.argv[3]), float(sys.argv[4])
    bodies = [line.encode() for line in Path(sys.argv[2]).read_text(encoding="utf-8").splitlines()]
    head = f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: "
    requests = [head.encode() + b"%d\r\n\r\n%s" % (len(body), body) for body in bodies]
    seconds: list[float] = []
    loop = asyncio.get_running_loop()
    clients = [Connection(requests, index * 97, seconds) for index in range(connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    began = time.perf_counter()
    await asyncio.sleep(duration)
    elapsed, done, failed = time.perf_counter() - began, list(seconds), sum(client.failed for client in clients)
    cuts = statistics.quantiles(done, n=100)
    result = {"rps": len(done) / elapsed, "p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000, "failed": failed}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
