"""data.sql: one SELECT, read-only, streamed, typed, gone on with after a kill; on SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3

import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext
from support.postgres import postgres_server, postgres_url  # noqa: F401

from modelyard.core.project import SecretName
from modelyard.errors import DependencyError, InputError
from modelyard.methods.data.dataset import Dataset
from modelyard.methods.data.sql import Database, Query
from modelyard.methods.data.sql_text import is_ordered, query_problem
from modelyard.stages.data.sql import STAGE, Config, run

pytest.importorskip("sqlalchemy")


@pytest.fixture
def shop(tmp_path):
    """A folder with `shop.db`: 25 reviews in no order."""
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("CREATE TABLE reviews (id INTEGER PRIMARY KEY, body TEXT, stars INTEGER, price NUMERIC)")
        rows = [(i, f"review {i}", i % 5, i + 0.5) for i in range(25, 0, -1)]
        connection.executemany("INSERT INTO reviews VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return tmp_path


def go(folder, room="room", **settings):
    context = FakeContext(folder / room, base=folder)
    defaults = {"url": "sqlite:///shop.db", "query": "SELECT * FROM reviews", "text": "body", "label": "stars"}
    run(Config(**{**defaults, **settings}), context)
    return context, Dataset.open(folder / room / "outputs" / "data")


def test_rows_come_typed_in_the_order_of_the_key(shop):
    context, data = go(shop, key="id")
    assert [(column.name, column.role, column.type) for column in data.columns] == [
        ("row_id", "other", "string"), ("id", "feature", "int64"), ("body", "text", "string"),
        ("stars", "label", "string"), ("price", "feature", "double"),
    ]  # fmt: skip
    assert data.column("all", "id") == list(range(1, 26))
    assert data.column("all", "price")[0] == 1.5
    assert context.value("data.rows") == 25
    assert not any("ORDER BY" in line for line in context.said)


def test_a_query_without_an_order_is_said(shop):
    context, _ = go(shop)
    assert any("ORDER BY" in line for line in context.said)
    context, data = go(shop, "again", query="SELECT * FROM reviews ORDER BY price DESC")
    assert not any("ORDER BY" in line for line in context.said)
    assert data.column("all", "id")[0] == 25


def test_order_by_is_applied_around_the_query(shop):
    _, data = go(shop, order_by=["stars", "id"])
    assert data.column("all", "id")[:6] == [5, 10, 15, 20, 25, 1]


def test_parameters_are_bound_and_never_pasted(shop):
    hostile = "x'; DROP TABLE reviews; --"
    _, data = go(
        shop, query="SELECT * FROM reviews WHERE body <> :no AND stars = :stars ORDER BY id",
        parameters={"stars": 3, "no": hostile},
    )  # fmt: skip
    assert data.column("all", "id") == [3, 8, 13, 18, 23]


def test_max_rows_is_kept_and_said(shop):
    context, data = go(shop, key="id", max_rows=7)
    assert data.num_rows("all") == 7
    assert any("max_rows" in line for line in context.said)


def test_a_killed_fetch_goes_on_after_the_last_row_it_had(shop, monkeypatch):
    monkeypatch.setattr("modelyard.methods.data.arrival.PAGE_ROWS", 10)
    original, asked = Database.rows, []

    def dies_after(self, query, after=None):
        asked.append(after)
        for number, row in enumerate(original(self, query, after)):
            if number == 15 and len(asked) == 1:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(Database, "rows", dies_after)
    with pytest.raises(KeyboardInterrupt):
        go(shop, key="id")
    context, data = go(shop, key="id")
    assert asked == [None, 10]
    assert data.column("all", "id") == list(range(1, 26))
    assert any("10 rows" in line for line in context.said)
    _, unbroken = go(shop, "unbroken", key="id")
    assert unbroken.shards("all")[0].read_bytes() == data.shards("all")[0].read_bytes()


def test_without_a_key_a_killed_fetch_begins_anew(shop, monkeypatch):
    monkeypatch.setattr("modelyard.methods.data.arrival.PAGE_ROWS", 10)
    original, calls = Database.rows, []

    def dies_once(self, query, after=None):
        calls.append(after)
        for number, row in enumerate(original(self, query, after)):
            if number == 15 and len(calls) == 1:
                raise KeyboardInterrupt
            yield row

    monkeypatch.setattr(Database, "rows", dies_once)
    with pytest.raises(KeyboardInterrupt):
        go(shop, order_by=["id"])
    _, data = go(shop, order_by=["id"])
    assert calls == [None, None]
    assert data.column("all", "id") == list(range(1, 26))


@pytest.mark.parametrize(
    ("query", "key", "found"),
    [
        ("SELECT stars, body FROM reviews", "stars", "in two rows"),
        ("SELECT NULL AS id, body, stars FROM reviews", "id", "NoneType"),
        ("SELECT price AS id, body, stars FROM reviews", "id", "float"),
        ("SELECT body, stars FROM reviews", "nr", "nr"),
        ("SELECT a.id, b.id, a.body, a.stars FROM reviews a JOIN reviews b ON a.id = b.id", None, "two columns"),
    ],
)
def test_a_key_that_is_none_is_refused(shop, query, key, found):
    with pytest.raises(InputError, match=found):
        go(shop, query=query, key=key)


@pytest.mark.parametrize(
    "query",
    [
        "DROP TABLE reviews",
        "DELETE FROM reviews",
        "SELECT 1; DROP TABLE reviews",
        "WITH gone AS (DELETE FROM reviews RETURNING *) SELECT * FROM gone",
        "SELECT * INTO copy FROM reviews",
        "SELECT * FROM reviews FOR UPDATE",
        "/* SELECT */ DELETE FROM reviews",
        "-- SELECT\nUPDATE reviews SET stars = 1",
        "PRAGMA writable_schema = 1",
        "ATTACH 'x' AS y",
        "",
        "EXPLAIN ANALYZE DELETE FROM reviews",
    ],
)
def test_anything_but_one_select_is_refused_before_it_is_sent(query):
    assert query_problem(query)
    with pytest.raises(ValidationError):
        Config(url="sqlite:///shop.db", query=query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM reviews;",
        "  select 'a; delete from x' as s, \"update\" FROM t -- ; drop\n",
        "(SELECT 1) UNION (SELECT 2)",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SELECT $tag$ insert; into $tag$",
        "/* delete */ SELECT replace(body, ';', '') FROM reviews",
        "SELECT deleted_at, updated FROM reviews",
    ],
)
def test_one_select_is_accepted_whatever_its_strings_and_comments_say(query):
    assert query_problem(query) == ""


def test_the_order_of_the_outermost_select_counts():
    assert is_ordered("SELECT * FROM t ORDER BY id")
    assert is_ordered("SELECT * FROM (SELECT 1) x order\n by 1")
    assert not is_ordered("SELECT * FROM (SELECT * FROM t ORDER BY id) x")
    assert not is_ordered("SELECT row_number() OVER (ORDER BY id) FROM t")
    assert not is_ordered("SELECT 'order by' FROM t -- ORDER BY id")


def test_the_connection_cannot_write_even_if_the_text_passed(shop):
    database = Database("sqlite:///shop.db", shop, 60, lambda _: None)
    with database._errors(), pytest.raises(Exception, match="readonly"), database._connected() as connection:
        connection.exec_driver_sql("DELETE FROM reviews")
    database.close()


def test_a_statement_without_end_is_stopped(shop):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS body FROM n"
    database = Database("sqlite:///shop.db", shop, 1, lambda _: None)
    with pytest.raises(InputError, match="interrupted"):
        list(database.rows(Query(endless)))
    database.close()


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("sqlite:///nowhere.db", "no such file"),
        ("sqlite://", "no SQLite file"),
        ("sqlite:///file:shop.db?uri=true", "no SQLite file"),
        ("no url", "no database URL"),
        ("postgresql://127.0.0.1:1/x", "refuse"),
    ],
)
def test_what_cannot_be_opened_is_said(shop, url, error):
    with pytest.raises(InputError, match=error):
        go(shop, url=url)
    assert sorted(path.name for path in shop.glob("*.db")) == ["shop.db"]


@pytest.mark.parametrize(("url", "name"), [("mysql+pymysql://h/x", "pymysql"), ("nosuch://h/x", "nosuch")])
def test_a_driver_that_is_missing_is_named(shop, url, name):
    with pytest.raises(DependencyError, match=name):
        go(shop, url=url)


@pytest.mark.parametrize("query", ["SELECT nothing FROM reviews", "SELECT * FROM reviews WHERE id = :unknown"])
def test_the_database_s_own_refusal_is_shown(shop, query):
    with pytest.raises(InputError, match="refuses"):
        go(shop, query=query)


def test_a_password_belongs_in_a_secret():
    with pytest.raises(ValidationError) as caught:
        Config(url="postgresql://ann:hunter22@host/db", query="SELECT 1")
    assert caught.value.errors()[0]["type"] == "password_in_url"
    assert Config(url="postgresql://ann@host/db", query="SELECT 1").url == "postgresql://ann@host/db"
    assert Config(url=SecretName("CRM"), query="SELECT 1").url == SecretName("CRM")


def test_no_message_shows_the_password(shop):
    context = FakeContext(shop, secrets={"CRM": "postgresql://ann:hunter22@127.0.0.1:1/db"})
    with pytest.raises(InputError) as caught:
        run(Config(url=SecretName("CRM"), query="SELECT 1 AS body ORDER BY 1"), context)
    assert "hunter22" not in str(caught.value)
    assert "hunter22" not in "".join(context.said)
    assert "ann:***@127.0.0.1" in str(caught.value)


def test_the_source_is_fetched_by_its_refresh_setting():
    assert STAGE.refresh == "refresh"
    assert STAGE.extra == "sql"


@pytest.fixture
def postgres(postgres_url):  # noqa: F811
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            """CREATE TABLE events (id bigint PRIMARY KEY, body text, ok boolean, price numeric(12, 2), at timestamptz,
            day date, tags text[], extra jsonb, raw bytea, uid uuid, span interval)"""
        )
        connection.execute(
            """INSERT INTO events SELECT i, 'event ' || i, i % 2 = 0, i + 0.25, '2024-05-06 08:00:00+08',
            '2024-05-06', ARRAY['a', 'b'], '{"k": {"n": 1}}', '\\x00ff', '00000000-0000-0000-0000-000000000001',
            '90 minutes' FROM generate_series(1, 12000) i"""
        )
    return postgres_url


def test_postgresql_types_arrive(tmp_path, postgres):
    context = FakeContext(tmp_path)
    run(Config(url=postgres, query="SELECT * FROM events WHERE id <= :n", parameters={"n": 3}, key="id"), context)
    data = Dataset.open(tmp_path / "outputs" / "data")
    types = {column.name: column.type for column in data.columns}
    assert types["id"] == "int64"
    assert types["ok"] == "bool"
    assert types["price"] == "double"
    assert (types["at"], types["day"]) == ("timestamp[us]", "timestamp[us]")
    row = data.table("all").to_pylist()[2]
    assert (row["price"], row["tags"], row["extra.k.n"]) == (3.25, '["a", "b"]', 1)
    assert row["at"].isoformat() == "2024-05-06T00:00:00"
    assert row["raw"] == b"\x00\xff"
    assert row["uid"].endswith("01")


def test_postgresql_streams_from_the_server_and_goes_on_after_a_key(tmp_path, postgres):
    database = Database(postgres, tmp_path, 60, lambda _: None)
    rows = database.rows(Query("SELECT id, body FROM events", key="id"), 11_000)
    first = next(rows)
    rows.close()
    assert first == ({"id": 11_001, "body": "event 11001"}, 11_001)
    assert sum(1 for _ in database.rows(Query("SELECT id, body FROM events", key="id"))) == 12_000
    database.close()


def test_postgresql_refuses_to_write_and_stops_what_takes_too_long(tmp_path, postgres):
    database = Database(postgres, tmp_path, 1, lambda _: None)
    with pytest.raises(Exception, match="read-only"), database._connected() as connection:
        connection.exec_driver_sql("DELETE FROM events")
    with pytest.raises(InputError, match="statement timeout"):
        list(database.rows(Query("SELECT pg_sleep(30)")))
    database.close()
