"""A PostgreSQL server for tests: its own data folder, a free port, never as root.

`pytest_plugins = ("support.postgres",)` brings the fixture `postgres_url`. Without PostgreSQL its tests are skipped on
a laptop and fail in CI.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def find_program(name: str) -> Path | None:
    """A server program, on PATH or where Debian keeps it."""
    on_path = shutil.which(name)
    beside = Path(on_path).resolve().parent / "initdb" if on_path else None
    if beside is not None and beside.exists():
        return beside.with_name(name)
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return found[-1] if found else None


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    for _ in range(300):
        if server.poll() is not None:
            break
        try:
            psycopg.connect(f"postgresql://modelyard@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.05)
    pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a server's empty database."""
    program = find_program("postgres")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed (apt-get install postgresql)")
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("sqlalchemy")
    folder = Path(tempfile.mkdtemp(prefix="modelyard-postgres-"))
    drop = _as_nobody()
    if drop:
        os.chown(folder, drop["user"], drop["group"])
    data, log, port = folder / "data", folder / "log", _free_port()
    common = {"cwd": folder, "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}, **drop}
    initdb = [program.with_name("initdb"), "-D", data, "-U", "modelyard", "-A", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, **common)
    options = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=60"]
    with log.open("wb") as stream:
        command = [program, "-D", data, "-p", str(port), "-k", folder, *options]
        server = subprocess.Popen(command, stdout=stream, stderr=stream, **common)
    try:
        _wait_until_ready(port, server, log)
        yield f"postgresql://modelyard@127.0.0.1:{port}/postgres"
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> str:
    """URL of an empty schema of the test's own."""
    import psycopg

    schema = f"test_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
    return f"{postgres_server}?options=-csearch_path%3D{schema}"
