"""What a server costs: requests/s and latency of `serve` beside bare FastAPI and KServe, and beside no server at all.

The same int8 encoder (4 layers, 256 wide) in ONNX Runtime, the same real reviews, one text a request, keep-alive
connections that wait for each answer. All servers stand ready on the same machine and are loaded one at a time, in
turns, so that a slow minute hits all; the median of the rounds counts. Each peer runs twice, with ONNX Runtime's
threads as it chooses and with one; at every number of connections the better counts.

    python benchmarks/serving.py [--rounds 5] [--seconds 5] [--settings '{"threads": 1}']

Goals: at 16 connections at least 88 % of what tokenizer and runtime do without a server; ahead of both peers at each.
The client is wrk where it is installed (its cost is negligible), else a client in Python.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from common import HERE, WORK, markdown, peer_python, version_in, write_result

PEERS = HERE / "serving_peers"
FOLDER = WORK / "serving"
MODEL, BODIES = FOLDER / "model", FOLDER / "bodies.jsonl"
REVIEWS = HERE.parent / "examples" / "reviews-zh" / "reviews.csv"
CONNECTIONS = (1, 16, 64)
NUM_TEXTS = 2000
GOAL_SHARE = 0.88
KSERVE = ("kserve==0.21.0", "onnxruntime==1.31.1", "tokenizers==0.23.3")


@dataclass(frozen=True)
class Contender:
    """A server to start: `{port}` in its command is filled in."""

    name: str
    variant: str
    command: Sequence[str]


@dataclass(frozen=True)
class Load:
    """One measurement."""

    rps: float
    p50_ms: float
    p99_ms: float


def contenders(settings: str) -> list[Contender]:
    kserve = str(peer_python("kserve", KSERVE))
    found = [Contender("modelyard", "", (sys.executable, str(PEERS / "ours.py"), str(MODEL), "{port}", settings))]
    for threads in ("0", "1"):
        for name, python in (("FastAPI", sys.executable), ("KServe", kserve)):
            script = {"FastAPI": "bare_fastapi.py", "KServe": "kserve_model.py"}[name]
            found.append(Contender(name, threads, (python, str(PEERS / script), str(MODEL), "{port}", threads)))
    return found


def prepare() -> None:
    """The model and the request bodies, made once."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not (MODEL / "golden.json").is_file():
        subprocess.run([sys.executable, PEERS / "make_model.py", MODEL, REVIEWS], check=True, env=environment())
    with REVIEWS.open(encoding="utf-8", newline="") as stream:
        texts = [row["text"] for row in csv.DictReader(stream) if row["text"].strip()][:NUM_TEXTS]
    lines = [json.dumps({"instances": [{"text": text}]}, ensure_ascii=False) for text in texts]
    BODIES.write_text("\n".join(lines) + "\n", encoding="utf-8")


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(HERE.parent), "TOKENIZERS_PARALLELISM": "false"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def started(contender: Contender) -> Iterator[int]:
    """The port of a running server that answers a prediction."""
    port = free_port()
    command = [part.replace("{port}", str(port)) for part in contender.command]
    log = (FOLDER / f"{contender.name}-{contender.variant}.log").open("wb")
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    try:
        wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        log.close()


def wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    body = BODIES.read_bytes().splitlines()[0]
    address = f"http://127.0.0.1:{port}/v1/models/reviews:predict"
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            request = urllib.request.Request(address, body, {"content-type": "application/json"})
            with urllib.request.urlopen(request, timeout=10) as reply:
                label = json.load(reply)["predictions"][0]["label"]
            if label in ("neg", "pos"):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{process.args}: no answer; see {FOLDER}")


def load(port: int, connections: int, seconds: float) -> Load:
    """Load a server for some seconds. Any failed request fails the benchmark."""
    if wrk := shutil.which("wrk"):
        address = f"http://127.0.0.1:{port}/v1/models/reviews:predict"
        options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
        command = [wrk, *options, "-s", PEERS / "load.lua", address, "--", BODIES]
    else:
        command = [sys.executable, PEERS / "client.py", str(port), BODIES, str(connections), str(seconds)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    result = json.loads(output.strip().splitlines()[-1])
    if result.pop("failed"):
        raise SystemExit(f"requests failed at port {port} with {connections} connections")
    return Load(**result)


def ceiling(seconds: float) -> tuple[float, str]:
    """Rows/s without a server, and the way that is fastest."""
    command = [sys.executable, PEERS / "ceiling.py", MODEL, BODIES, str(seconds)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout
    rates = json.loads(output)
    best = max(rates, key=rates.__getitem__)
    return rates[best], best


def measure(rounds: int, seconds: float, settings: str) -> tuple[dict[tuple[str, int], Load], float, str]:
    """The better variant's median for each contender and number of connections; the median ceiling and its way."""
    results: dict[tuple[str, str, int], list[Load]] = {}
    ceilings = []
    with contextlib.ExitStack() as stack:
        servers = [(one, stack.enter_context(started(one))) for one in contenders(settings)]
        for _, port in servers:
            load(port, 16, min(seconds, 2))
        for number in range(rounds):
            ceilings.append(ceiling(seconds / 4))
            for connections in CONNECTIONS:
                for one, port in servers[number % len(servers) :] + servers[: number % len(servers)]:
                    found = load(port, connections, seconds)
                    results.setdefault((one.name, one.variant, connections), []).append(found)
    best: dict[tuple[str, int], Load] = {}
    for (name, _, connections), loads in results.items():
        known = best.get((name, connections))
        if (middle := median(loads)) and (known is None or middle.rps > known.rps):
            best[name, connections] = middle
    way = statistics.mode(way for _, way in ceilings)
    return best, statistics.median(rate for rate, _ in ceilings), way


def median(loads: Sequence[Load]) -> Load:
    return Load(*(statistics.median(getattr(one, name) for one in loads) for name in ("rps", "p50_ms", "p99_ms")))


def report(best: dict[tuple[str, int], Load], top: float, way: str, arguments: argparse.Namespace) -> None:
    rows = []
    for connections in CONNECTIONS:
        ours = best["modelyard", connections]
        cells = [f"{one.rps:.0f} ({one.p50_ms:.1f} / {one.p99_ms:.1f})" for one in
                 (best[name, connections] for name in ("modelyard", "FastAPI", "KServe"))]  # fmt: skip
        peers = [f"{ours.rps / best[name, connections].rps:.2f}" for name in ("FastAPI", "KServe")]
        rows.append([connections, *cells, *peers, f"{ours.rps / top:.0%}"])
    head = ["connections", "modelyard", "FastAPI", "KServe", "to FastAPI", "to KServe", "of no server"]
    share = best["modelyard", 16].rps / top
    ahead = all(
        best["modelyard", connections].rps > best[name, connections].rps
        for connections in CONNECTIONS
        for name in ("FastAPI", "KServe")
    )
    client = "wrk" if shutil.which("wrk") else "the Python client"
    body = (
        "Requests a second (p50 / p99 in ms), one real review a request, int8 encoder 4 x 256 in ONNX Runtime.\n\n"
        f"{markdown(head, rows)}\n\n"
        f"Without a server: {top:.0f} rows/s (runtime threads x callers x rows a call: {way}).\n\n"
        f"- {'met' if share >= GOAL_SHARE else 'MISSED'}: {share:.0%} of no server at 16 connections, "
        f"goal {GOAL_SHARE:.0%}\n"
        f"- {'met' if ahead else 'MISSED'}: ahead of both peers at every number of connections\n"
        f"- medians of {arguments.rounds} alternating rounds of {arguments.seconds:g} s, client {client}; "
        f"settings of serve: {arguments.settings}"
    )
    kserve = peer_python("kserve", KSERVE)
    names = ("onnxruntime", "tokenizers", "uvloop", "httptools", "fastapi", "uvicorn")
    versions = [f"{name} {version_in(sys.executable, name)}" for name in names]
    write_result("serving", "Serving", body, [*versions, f"kserve {version_in(kserve, 'kserve')}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="of load, each measurement")
    parser.add_argument("--settings", default="{}", help="JSON of ServingSettings for our server")
    arguments = parser.parse_args()
    prepare()
    report(*measure(arguments.rounds, arguments.seconds, arguments.settings), arguments)


if __name__ == "__main__":
    main()
