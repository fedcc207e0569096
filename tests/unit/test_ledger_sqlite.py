"""What is the embedded ledger's own: journal, locks, forks, damage, a full disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from modelyard.errors import IntegrityError, StoreError
from modelyard.store.ledger import connect
from modelyard.store.ledger import sqlite as backend


def begin(ledger) -> int:
    return ledger.begin_invocation("p")


def fill(ledger) -> None:
    for _ in range(1000):
        begin(ledger)


def test_the_write_ahead_log_is_used_only_where_it_cannot_corrupt(tmp_path: Path) -> None:
    assert backend.journal_mode((3, 40, 1)) == "TRUNCATE"
    assert backend.journal_mode((3, 51, 2)) == "TRUNCATE"
    assert backend.journal_mode((3, 51, 3)) == "WAL"
    ledger = connect(tmp_path / "ledger.db")
    mode = ledger._database.read("PRAGMA journal_mode", {})[0][0]
    assert mode.upper() == backend.journal_mode(sqlite3.sqlite_version_info)
    assert ledger._database.read("PRAGMA synchronous", {})[0][0] == 2
    assert ledger._database.read("PRAGMA foreign_keys", {})[0][0] == 1


def test_the_embedded_ledger_imports_neither_sqlalchemy_nor_numpy() -> None:
    code = (
        "import sys, tempfile, pathlib, modelyard.store as s;"
        "s.open(pathlib.Path(tempfile.mkdtemp())).ledger.completed('k');"
        "print([m for m in ('sqlalchemy', 'numpy', 'pydantic', 'cryptography', 'model_signing') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_url_names_the_file(tmp_path: Path) -> None:
    ledger = connect(tmp_path / "unused.db", f"sqlite:///{tmp_path}/named.db")
    begin(ledger)
    assert (tmp_path / "named.db").exists()
    assert not (tmp_path / "unused.db").exists()


def test_a_locked_ledger_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "BUSY_SECONDS", 0.05)
    ledger = connect(tmp_path / "ledger.db")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="another process"):
        begin(ledger)
    other.execute("ROLLBACK")
    assert begin(ledger) == 1


def test_a_full_disk_is_a_typed_error_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    ledger = connect(tmp_path / "ledger.db")
    pages = ledger._database.read("PRAGMA page_count", {})[0][0]
    ledger._database.read(f"PRAGMA max_page_count={pages + 2}", {})
    with pytest.raises(StoreError, match="free some space"):
        fill(ledger)
    done = ledger.invocations(limit=1)[0].id
    ledger._database.read("PRAGMA max_page_count=1000000", {})
    assert begin(ledger) == done + 1
    assert len(ledger.audit(10_000)) == done + 1 > 1
    assert ledger.check() == []


def test_a_damaged_ledger_is_said_to_be_damaged(tmp_path: Path) -> None:
    connect(tmp_path / "ledger.db").close()
    (tmp_path / "ledger.db").write_bytes(b"this was a database once" * 400)
    with pytest.raises(IntegrityError, match="backup"):
        connect(tmp_path / "ledger.db")


def test_a_missing_folder_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="writable"):
        connect(tmp_path / "no" / "such" / "ledger.db")


def test_a_forked_child_uses_a_connection_of_its_own(tmp_path: Path) -> None:
    ledger = connect(tmp_path / "ledger.db")
    begin(ledger)
    mine = ledger._database.connection
    child = os.fork()
    if child == 0:
        good = begin(ledger) == 2 and ledger._database.connection is not mine
        os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert begin(ledger) == 3
    assert ledger._database.connection is mine


def test_threads_share_a_ledger_without_mixing_their_transactions(tmp_path: Path) -> None:
    ledger = connect(tmp_path / "ledger.db")
    made: list[int] = []
    threads = [threading.Thread(target=lambda: made.extend(begin(ledger) for _ in range(5))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == list(range(1, 41))
