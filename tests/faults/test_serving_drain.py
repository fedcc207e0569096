"""SIGTERM under load (RULES 1.2 and goal G7): no accepted request fails, the process ends with success, in order."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from support.served import PREDICT, process, read_all

BODY = json.dumps({"instances": ["abc"]})


class Client(threading.Thread):
    """A keep-alive client: asks until the port is closed. A connection that cannot be made is no failure."""

    def __init__(self, port: int, pause: float = 0.0, keep: bool = True) -> None:
        super().__init__(daemon=True)
        self.port, self.pause, self.keep = port, pause, keep
        self.answered = 0
        self.failures: list[str] = []
        self.closes_announced = 0
        self.start()

    def run(self) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            try:
                connection.connect()
            except OSError:
                return
            if not self.ask_while_kept(connection):
                return

    def ask_while_kept(self, connection: http.client.HTTPConnection) -> bool:
        while True:
            try:
                connection.request("POST", PREDICT, BODY, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                answer = json.loads(reply.read())
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                return False
            if reply.status != 200 or answer["predictions"][0]["label"] != "pos":
                self.failures.append(f"{reply.status} {answer}")
                return False
            self.answered += 1
            if not self.keep:
                connection.close()
                return True
            if reply.getheader("connection") == "close":
                self.closes_announced += 1
                connection.close()
                return True
            time.sleep(self.pause)


def get(port: int, path: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    reply = connection.getresponse()
    return reply.status, json.loads(reply.read())


def wait(child: subprocess.Popen[str]) -> int:
    return child.wait(timeout=60)


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_sigterm_under_load_fails_no_accepted_request(delay: float) -> None:
    with process(seconds=0.003, drain_delay_s=delay) as (child, port):
        clients = [Client(port, pause=0.002 * (index % 3)) for index in range(24)]
        time.sleep(1.0)
        child.send_signal(signal.SIGTERM)
        assert wait(child) == 0
        for client in clients:
            client.join(60)
        assert [failure for client in clients for failure in client.failures] == []
        assert sum(client.answered for client in clients) >= 48
        assert sum(client.closes_announced for client in clients) >= 24


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can close a port without losing its backlog")
def test_a_connection_that_was_made_is_answered_even_at_the_moment_the_port_closes() -> None:
    for _ in range(3):
        with process() as (child, port):
            clients = [Client(port, keep=False) for _ in range(16)]
            time.sleep(0.5)
            child.send_signal(signal.SIGTERM)
            assert wait(child) == 0
            for client in clients:
                client.join(60)
            assert [failure for client in clients for failure in client.failures] == []


@pytest.mark.proof
def test_ten_drains_under_load_fail_none_of_ten_thousand_requests() -> None:
    answered, failures = 0, []
    for _ in range(10):
        with process(seconds=0.003) as (child, port):
            clients = [Client(port, pause=0.001 * (index % 4)) for index in range(32)]
            time.sleep(3.0)
            child.send_signal(signal.SIGTERM)
            assert wait(child) == 0
            for client in clients:
                client.join(60)
            answered += sum(client.answered for client in clients)
            failures += [failure for client in clients for failure in client.failures]
    assert failures == []
    assert answered >= 10_000


def test_while_draining_the_process_lives_is_not_ready_and_still_answers() -> None:
    with process(drain_delay_s=4.0) as (child, port):
        assert get(port, "/readyz")[0] == 200
        child.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert get(port, "/healthz") == (200, {"status": "alive"})
        status, answer = get(port, "/readyz")
        assert (status, answer["error"]) == (503, "draining")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("POST", PREDICT, BODY)
        assert connection.getresponse().status == 200
        assert wait(child) == 0


def test_a_slow_answer_is_finished_and_an_idle_connection_does_not_hold_the_end() -> None:
    with process(seconds=1.0, drain_idle_s=0.2) as (child, port):
        idle = socket.create_connection(("127.0.0.1", port))
        slow = Client(port)
        time.sleep(0.4)
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        assert wait(child) == 0
        assert time.monotonic() - began < 20
        slow.join(60)
        assert (slow.answered, slow.failures) == (1, [])
        assert read_all(idle) == b""


def test_a_request_half_sent_at_sigterm_is_answered_when_it_completes() -> None:
    with process() as (child, port), socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        data = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(BODY)}\r\n\r\n{BODY}".encode()
        connection.sendall(data[:-5])
        time.sleep(0.3)
        child.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        connection.sendall(data[-5:])
        reply = read_all(connection)
        assert reply.startswith(b"HTTP/1.1 200 OK")
        assert b"connection: close" in reply
        assert wait(child) == 0


def test_the_drain_ends_at_its_timeout() -> None:
    with process(seconds=30.0, drain_timeout_s=0.5) as (child, port):
        client = Client(port)
        time.sleep(0.4)
        child.send_signal(signal.SIGTERM)
        assert wait(child) == 0
        client.join(60)
        assert client.answered == 0


def test_a_second_sigterm_stops_at_once() -> None:
    with process(seconds=30.0, drain_timeout_s=60) as (child, port):
        Client(port)
        time.sleep(0.4)
        child.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert child.poll() is None
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        assert wait(child) != 0
        assert time.monotonic() - began < 20


def test_sigterm_while_loading_stops_without_waiting_for_the_model() -> None:
    with process(loading_seconds=60.0) as (child, port):
        assert get(port, "/readyz")[0] == 503
        assert get(port, "/healthz")[0] == 200
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        assert wait(child) == 0
        assert time.monotonic() - began < 20
