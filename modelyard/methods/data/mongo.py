"""Documents of one MongoDB collection, in the order of `_id`, streamed, and from an `_id` onwards.

The server compares `_id` with `$gt` within one type only, so a collection whose ids are of several types cannot be gone
on with: its cursor says so, and an interrupted fetch begins anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from modelyard.base.lookup import require
from modelyard.base.messages import t
from modelyard.errors import InputError
from modelyard.methods.data.egress.reply import masked, masked_url

BATCH = 1_000
CONNECT_MS = 15_000

Row = tuple[Mapping[str, Any], dict[str, Any]]
"""A document as plain values, and the cursor after it."""


@dataclass(frozen=True)
class Selection:
    """Which documents, and what of them.

    Attributes:
        query: a filter as MongoDB's extended JSON (`{"at": {"$gte": {"$date": "2024-01-01T00:00:00Z"}}}`).
        projection: name to 1 (only these) or 0 (without these).
        timeout_s: of the whole find.
    """

    database: str
    collection: str
    query: Mapping[str, Any] = field(default_factory=dict)
    projection: Mapping[str, int] = field(default_factory=dict)
    timeout_s: int = 3_600


def connect(url: str) -> Any:
    """A client of pymongo for a URL; nothing is sent yet."""
    pymongo = require("pymongo", "mongodb")
    options = {"serverSelectionTimeoutMS": CONNECT_MS, "connectTimeoutMS": CONNECT_MS, "appname": "modelyard"}
    return pymongo.MongoClient(url, datetime_conversion="DATETIME_AUTO", **options)


def documents(client: Any, selection: Selection, after: Mapping[str, Any] | None) -> Iterator[Row]:
    """Documents in the order of `_id`, in constant memory.

    Args:
        after: a cursor that came with a document; only what follows it is asked for.
    """
    from bson import json_util

    query = json_util.loads(json.dumps(selection.query))
    if after is not None:
        query = {"$and": [query, {"_id": {"$gt": json_util.loads(after["id"])}}]}
    projection = {**selection.projection, "_id": 1} if selection.projection else None
    found = client[selection.database][selection.collection].find(query, projection)
    found = found.sort("_id", 1).batch_size(BATCH).max_time_ms(selection.timeout_s * 1_000)
    kind, mixed = (after["kind"], False) if after else ("", False)
    for document in found:
        mine = _kind(document["_id"])
        mixed, kind = mixed or kind not in ("", mine), mine
        yield plain(document), {"id": json_util.dumps(document["_id"]), "kind": kind, "mixed": mixed}


@contextmanager
def errors(url: str, password: str) -> Iterator[None]:
    """MongoDB's errors as ours, without credentials."""
    from bson.errors import BSONError
    from pymongo.errors import PyMongoError

    try:
        yield
    except (PyMongoError, BSONError) as error:
        said = masked(" ".join(str(error).split())[:300], [password])
        found = t("the database refuses: {reason}", reason=said)
        raise InputError(found, where=masked_url(url, [password])) from None


def plain(value: Any) -> Any:
    """BSON's own types as Python's: ids and patterns as text, Decimal128 as Decimal, timestamps as times."""
    from bson import Binary, Decimal128, Timestamp

    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Decimal128):
        return value.to_decimal()
    if isinstance(value, Timestamp):
        return value.as_datetime()
    if isinstance(value, Binary) and value.subtype == UUID_SUBTYPE:
        return str(value.as_uuid())
    return value


UUID_SUBTYPE = 4


def _kind(value: Any) -> str:
    """The type within which MongoDB compares."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return "number" if number or type(value).__name__ == "Decimal128" else type(value).__name__
