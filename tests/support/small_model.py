"""A labelled data set and a real model folder, both made in milliseconds: stages are tested on what they will meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelyard.methods.data.dataset import Column, write_schema, write_split
from modelyard.methods.runtimes.model_folder import ModelCard

Rows = Sequence[tuple[str | None, str | None]]
COLUMNS = (Column("row_id", "other", "string"), Column("review", "text", "string"), Column("y", "label", "string"))
GOOD = ("很好吃", "送餐很快", "味道不错", "非常满意", "还会再来")
BAD = ("太难吃了", "送餐太慢", "味道很差", "非常失望", "不会再来")


def write_dataset(folder: Path, splits: Mapping[str, Rows]) -> Path:
    """A data set of (text, label) rows; row ids are `split-number`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_schema(folder, COLUMNS)
    schema = pa.schema([(column.name, pa.string()) for column in COLUMNS])
    for split, rows in splits.items():
        ids = [f"{split}-{number}" for number in range(len(rows))]
        columns = [ids, [text for text, _ in rows], [label for _, label in rows]]
        write_split(folder, split, [pa.table(columns, schema=schema)], schema)
    return folder


def reviews(count: int, seed: int, noise: float = 0.1, mark: str = "") -> list[tuple[str, str]]:
    """Reviews whose label follows from their words, but for a share `noise`; `mark` keeps splits apart."""
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        good = generator.random() < 0.5
        words = generator.choice(GOOD if good else BAD, size=3)
        text = "，".join(words) + f"{mark}{number}"
        rows.append((text, "good" if good != (generator.random() < noise) else "bad"))
    return rows


def write_linear_model(folder: Path, rows: Sequence[tuple[str, str]], labels: Sequence[str] = ("bad", "good")) -> Path:
    """A linear model over character n-grams whose weights are class means: crude, and right more often than not."""
    import torch

    from modelyard.methods import networks
    from modelyard.methods.preprocessing import ngrams
    from modelyard.methods.runtimes.golden import write_golden

    folder.mkdir(parents=True, exist_ok=True)
    texts = [text for text, _ in rows]
    fitted = ngrams.fit(texts)
    spec = {"kind": "linear", "num_features": fitted.num_features, "num_labels": len(labels)}
    module = networks.build(spec)
    arrays = fitted.encode(texts)
    with torch.no_grad():
        for ids, weights, (_, label) in zip(arrays["ngram_ids"], arrays["ngram_weights"], rows, strict=True):
            module.weight[torch.from_numpy(ids), labels.index(label)] += torch.from_numpy(weights) / len(rows) * 40
    networks.save(module, folder)
    card = ModelCard("text-classification", "modelyard", tuple(labels), fitted.save(folder), network=spec)
    card.write(folder)
    write_golden(folder, [{"text": text} for text in texts[:2]])
    return folder
