"""Runs data.read without an engine and gives back what it made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.fake_context import FakeContext

from modelyard.methods.data.dataset import Dataset
from modelyard.stages.data import read

Made = tuple[list[dict[str, Any]], list[dict[str, Any]], FakeContext]


def load(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = Dataset.open(folder).table("all").to_pylist()
    return rows


def run(base: Path, secrets: dict[str, str] | None = None, **config: Any) -> Made:
    """Good rows, rejected rows and the context of data.read; roles text and label unless given."""
    return run_as(base, secrets, **{"path": "data.csv", "text": "text", "label": "label", **config})


def run_as(base: Path, secrets: dict[str, str] | None = None, **config: Any) -> Made:
    """As `run`, with no role but those given."""
    context = FakeContext(base / f"out{len(list(base.glob('out*')))}", base=base, secrets=secrets)
    read.run(read.Config(**config), context)
    return load(context.output("data")), load(context.output("rejected")), context


def read_bytes(base: Path, content: bytes, name: str = "data.csv", **config: Any) -> Made:
    (base / name).write_bytes(content)
    return run(base, path=name, **config)


def pairs(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["text"], row["label"]) for row in rows]
