"""A database server that drops connections or is not there gives a typed error, and nothing is half done."""

from __future__ import annotations

import psycopg
import pytest

from modelyard.errors import StoreError
from modelyard.store.ledger import Ledger, connect

pytest_plugins = ("support.postgres",)


def drop_connections(server: str) -> None:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")


@pytest.fixture
def ledger(postgres_url: str):
    opened = connect(None, postgres_url)  # type: ignore[arg-type]
    yield opened
    opened.close()


def begin_and_lose(ledger: Ledger, server: str) -> None:
    with ledger._database.transaction() as transaction:
        transaction.execute("UPDATE counters SET value = value + 1000 WHERE name = 'invocation'", {})
        drop_connections(server)
        transaction.execute("UPDATE counters SET value = value + 1000 WHERE name = 'run'", {})


def test_idle_connections_that_were_dropped_are_replaced(ledger: Ledger, postgres_server: str) -> None:
    assert ledger.begin_invocation("p") == 1
    drop_connections(postgres_server)
    assert ledger.begin_invocation("p") == 2


def test_a_connection_lost_in_a_transaction_undoes_all_of_it(ledger: Ledger, postgres_server: str) -> None:
    assert ledger.begin_invocation("p") == 1
    with pytest.raises(StoreError, match="server runs"):
        begin_and_lose(ledger, postgres_server)
    assert ledger.begin_invocation("p") == 2


def test_no_server_and_no_url_are_typed_errors() -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", "nonsense", "nonsense://x"):
        with pytest.raises(StoreError) as caught:
            connect(None, url)  # type: ignore[arg-type]
        assert caught.value.problems[0].remedy or caught.value.problems[0].expected
