"""A few made-up reviews with a label that can be learned, for tests that train."""

from __future__ import annotations

import random
from pathlib import Path

import pyarrow as pa

from modelyard.methods.data.dataset import Column, write_schema, write_split

GOOD = ["great value", "很好吃", "喜欢", "works well", "质量不错", "love it", "推荐"]
BAD = ["broke at once", "太差了", "失望", "waste of money", "不新鲜", "hate it", "退货"]
FILL = ["the box", "送货", "one", "today", "两个", "it", "手机", "and", "酒店", "!", "。"]


def reviews(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(text, `good` or `bad`), of 3 to 14 parts each; one in ten labels is wrong."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        label = draw.choice(["good", "bad"])
        parts = [*draw.choices(FILL, k=draw.randint(2, 12)), draw.choice(GOOD if label == "good" else BAD)]
        draw.shuffle(parts)
        rows.append((" ".join(parts), label if draw.random() > 0.1 else draw.choice(["good", "bad"])))
    return rows


def write_dataset(folder: Path, splits: dict[str, list[tuple[str | None, str | None]]]) -> Path:
    """A data set folder with columns text, label, row_id."""
    folder.mkdir(parents=True, exist_ok=True)
    write_schema(
        folder,
        [Column("text", "text", "string"), Column("label", "label", "string"), Column("row_id", "other", "string")],
    )
    schema = pa.schema([("text", pa.string()), ("label", pa.string()), ("row_id", pa.string())])
    for split, rows in splits.items():
        table = pa.table(
            {
                "text": [text for text, _ in rows],
                "label": [label for _, label in rows],
                "row_id": [f"{split}-{position}" for position in range(len(rows))],
            },
            schema=schema,
        )
        write_split(folder, split, [table], schema)
    return folder
