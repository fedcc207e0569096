"""Made-up ratings and clicks: users and items of two tastes, a column of the item's and one of the moment's."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.dataset import Column, write_schema, write_split

USERS, ITEMS = 30, 20


def ratings(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with `user`, `item`, `genre` (the item's), `hour`, `stars` and `label`; taste decides, with noise."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        user, item = draw.randrange(USERS), draw.randrange(ITEMS)
        like = 1.0 if user % 2 == item % 2 else -1.0
        stars = min(5.0, max(1.0, 3 + like + 0.5 * (item % 3 - 1) + draw.gauss(0, 0.3)))
        rows.append(
            {
                "user": f"u{user}",
                "item": item,
                "genre": ["drama", "comedy"][item % 2],
                "hour": float(draw.randrange(24)),
                "stars": stars,
                "label": "yes" if stars > 3 else "no",
            }
        )
    return rows


def write_ratings(folder: Path, splits: dict[str, list[dict[str, Any]]], target: str = "stars") -> Path:
    """A data set of these rows; the user has the role `subject`, `target` is `stars` or `label`."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = "double" if target == "stars" else "string"
    columns = [
        Column("row_id", "other", "string"),
        Column("user", "subject", "string"),
        Column("item", "feature", "int64"),
        Column("genre", "feature", "string"),
        Column("hour", "feature", "double"),
        Column(target, "label", kind),
    ]
    types = {"string": pa.string(), "double": pa.float64(), "int64": pa.int64()}
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
    write_schema(folder, columns)
    for split, rows in splits.items():
        ids = {"row_id": [f"{split}-{place}" for place in range(len(rows))]}
        found = {column.name: [row[column.name] for row in rows] for column in columns[1:]}
        write_split(folder, split, [pa.table({**ids, **found}, schema=schema)], schema)
    return folder
