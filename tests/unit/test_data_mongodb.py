"""data.mongodb. The server is mongomock, an imitation in memory: no real MongoDB was at hand for these tests."""

from __future__ import annotations

import datetime
import uuid

import pytest
from pydantic import ValidationError
from support.fake_context import FakeContext

from modelyard.core.project import SecretName
from modelyard.errors import InputError
from modelyard.methods.data import mongo
from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data.mongodb import Config, run

mongomock = pytest.importorskip("mongomock")
bson = pytest.importorskip("bson")

AT = datetime.datetime.fromisoformat("2024-05-06T07:08:09")


@pytest.fixture
def shop(monkeypatch):
    """The collection shop.reviews with 25 documents, inserted in no order."""
    client = mongomock.MongoClient()
    documents = [
        {
            "_id": bson.ObjectId(f"{i:024x}"), "body": f"review {i}", "stars": i % 5,
            "price": bson.Decimal128(f"{i}.50"), "at": AT,
            "user": {"name": f"u{i}", "roles": ["a", bson.ObjectId("0" * 24)]},
            "raw": b"\x00\xff", "big": bson.Int64(2**40), "uid": bson.Binary.from_uuid(uuid.UUID(int=i)),
        }
        for i in range(25, 0, -1)
    ]  # fmt: skip
    client["shop"]["reviews"].insert_many(documents)
    monkeypatch.setattr(mongo, "connect", lambda url: client)
    return client["shop"]["reviews"]


def go(folder, **settings):
    context = FakeContext(folder)
    defaults = {"url": "mongodb://h/", "database": "shop", "collection": "reviews", "text": "body", "label": "stars"}
    run(Config(**{**defaults, **settings}), context)
    return context, Dataset.open(folder / "outputs" / "data")


def test_documents_come_typed_in_the_order_of_their_ids(tmp_path, shop):
    context, data = go(tmp_path)
    types = {column.name: column.type for column in data.columns}
    assert data.column("all", "body") == [f"review {i}" for i in range(1, 26)]
    assert (types["_id"], types["price"], types["at"], types["big"]) == ("string", "double", "timestamp[us]", "int64")
    row = data.table("all").to_pylist()[6]
    assert (row["_id"], row["price"], row["at"], row["big"]) == (f"{7:024x}", 7.5, AT, 2**40)
    assert (row["user.name"], row["user.roles"]) == ("u7", '["a", "000000000000000000000000"]')
    assert (row["raw"], row["uid"]) == (b"\x00\xff", str(uuid.UUID(int=7)))
    assert context.value("data.rows") == 25


def test_query_and_projection_are_mongodb_s_own(tmp_path, shop):
    query = {"_id": {"$gt": {"$oid": f"{10:024x}"}}, "at": {"$lte": {"$date": "2024-05-06T08:00:00Z"}}}
    _, data = go(tmp_path, query=query, projection={"body": 1, "stars": 1})
    assert data.column("all", "body") == [f"review {i}" for i in range(11, 26)]
    assert {column.name for column in data.columns} == {"row_id", "_id", "body", "stars"}


def test_a_killed_fetch_goes_on_after_the_last_id_it_had(tmp_path, shop, monkeypatch):
    monkeypatch.setattr("modelyard.methods.data.arrival.PAGE_ROWS", 10)
    original, asked = mongo.documents, []

    def dies_once(client, selection, after):
        asked.append(after and after["id"])
        for number, row in enumerate(original(client, selection, after)):
            if number == 15 and len(asked) == 1:
                raise KeyboardInterrupt
            yield row

    _, calm = go(tmp_path / "calm")
    monkeypatch.setattr(mongo, "documents", dies_once)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "rough")
    context, rough = go(tmp_path / "rough")
    assert asked == [None, f'{{"$oid": "{10:024x}"}}']
    assert any("10 rows" in line for line in context.said)
    assert rough.shards("all")[0].read_bytes() == calm.shards("all")[0].read_bytes()


def test_ids_of_several_types_are_all_read_and_never_gone_on_with(tmp_path, monkeypatch):
    """`$gt` compares within one type: going on after a number would lose every id that is text."""
    monkeypatch.setattr("modelyard.methods.data.arrival.PAGE_ROWS", 4)
    documents = [{"_id": i, "body": f"n{i}"} for i in range(3)] + [{"_id": f"s{i}", "body": f"s{i}"} for i in range(3)]
    rows = [({**item}, item["_id"]) for item in documents]
    cursors = []

    class Collection(dict):
        def find(self, query, projection):
            return self

        def sort(self, *_):
            return self

        batch_size = max_time_ms = sort

        def __iter__(self):
            return iter([item for item, _ in rows])

    class Client(dict):
        def __getitem__(self, name):
            return {"reviews": Collection()}

        def close(self):
            pass

    cursors = [cursor for _, cursor in mongo.documents(Client(), mongo.Selection("shop", "reviews"), None)]
    assert [cursor["mixed"] for cursor in cursors] == [False, False, False, True, True, True]
    calls = []

    def dies_once(client, selection, after):
        calls.append(after)
        for number, item in enumerate(documents):
            if number == 5 and len(calls) == 1:
                raise KeyboardInterrupt
            yield item, cursors[number]

    monkeypatch.setattr(mongo, "connect", lambda url: Client())
    monkeypatch.setattr(mongo, "documents", dies_once)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path, label=None)
    context, data = go(tmp_path, label=None)
    assert calls == [None, None]
    assert data.column("all", "body") == ["n0", "n1", "n2", "s0", "s1", "s2"]
    assert any("anew" in line for line in context.said)


def test_max_rows_is_kept_and_said(tmp_path, shop):
    context, data = go(tmp_path, max_rows=7)
    assert data.num_rows("all") == 7
    assert any("max_rows" in line for line in context.said)


@pytest.mark.parametrize(
    "settings",
    [
        {"query": {"$where": "sleep(1e9)"}},
        {"query": {"$or": [{"a": 1}, {"$expr": {"$function": {"body": "f"}}}]}},
        {"url": "http://h/"},
        {"projection": {"a": {"$slice": 1}}},
    ],
)
def test_scripts_and_other_urls_are_refused(settings):
    with pytest.raises(ValidationError):
        Config(**{"url": "mongodb://h/", "database": "d", "collection": "c", **settings})


def test_a_password_belongs_in_a_secret():
    with pytest.raises(ValidationError) as caught:
        Config(url="mongodb+srv://ann:hunter22@h/", database="d", collection="c")
    assert caught.value.errors()[0]["type"] == "password_in_url"


def test_a_server_that_is_not_there_is_an_input_error_without_the_password(tmp_path, monkeypatch):
    monkeypatch.setattr(mongo, "CONNECT_MS", 50)
    context = FakeContext(tmp_path, secrets={"M": "mongodb://ann:hunter22@127.0.0.1:1/?replicaSet=x"})
    with pytest.raises(InputError, match="refuses") as caught:
        run(Config(url=SecretName("M"), database="d", collection="c"), context)
    assert "hunter22" not in str(caught.value)
    assert "127.0.0.1:1" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (bson.Timestamp(1_700_000_000, 1), datetime.datetime.fromtimestamp(1_700_000_000, datetime.UTC)),
        (bson.Decimal128("NaN"), None),
        ([{"a": bson.Decimal128("1.10")}], None),
    ],
)
def test_bson_s_own_types(value, kept):
    found = mongo.plain(value)
    if kept is None:
        assert "Decimal128" not in repr(found)
    else:
        assert found == kept
