"""A small made-up table with numbers, categories, missing values and something to learn."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from modelyard.methods.data.dataset import Column, write_schema, write_split

FEATURES = (("age", "string"), ("city", "string"), ("income", "double"), ("code", "string"))


def people(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Rows with `age` (a number as text, some missing), `city`, `income`, `code` (leading zeros), `label`, `value`."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        age, city, income = draw.randint(18, 80), draw.choice(["Ulm", "Bonn", "重庆"]), round(draw.gauss(30, 10), 2)
        score = (age - 45) / 20 + {"Ulm": 1.0, "Bonn": -1.0, "重庆": 0.0}[city] + (income - 30) / 15
        rows.append(
            {
                "age": draw.choice(["", "?"]) if draw.random() < 0.1 else f" {age}",
                "city": city,
                "income": None if draw.random() < 0.05 else income,
                "code": f"0{draw.randint(1, 4)}",
                "label": "yes" if score + draw.gauss(0, 0.4) > 0 else "no",
                "value": 100 * score + draw.gauss(0, 20) + 5000,
            }
        )
    return rows


def write_table(folder: Path, splits: dict[str, list[dict[str, Any]]], target: str = "class") -> Path:
    """A data set of these rows; `target` is `class` (label), `number` (value as a double) or `text` (value as text)."""
    folder.mkdir(parents=True, exist_ok=True)
    name, kind = {"class": ("label", "string"), "number": ("value", "double"), "text": ("value", "string")}[target]
    columns = [Column("row_id", "other", "string"), *(Column(each, "feature", of) for each, of in FEATURES)]
    columns.append(Column(name, "label", kind))
    types = {"string": pa.string(), "double": pa.float64()}
    schema = pa.schema([(column.name, types[column.type]) for column in columns])
    write_schema(folder, columns)
    for split, rows in splits.items():
        found = {each: [row[each] for row in rows] for each, _ in FEATURES}
        goal = [row[name] if row[name] is None or kind == "double" else str(row[name]) for row in rows]
        ids = [f"{split}-{place}" for place in range(len(rows))]
        write_split(folder, split, [pa.table({"row_id": ids, **found, name: goal}, schema=schema)], schema)
    return folder
