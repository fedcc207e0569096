"""A folder in memory where there is one: interrupting a process needs no real disk, and syncs cost nothing there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@pytest.fixture
def quick_disk(tmp_path: Path) -> Iterator[Path]:
    with _in_memory(tmp_path) as folder:
        yield folder


@pytest.fixture(scope="module")
def quick_disk_of_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for all tests of a file."""
    with _in_memory(tmp_path_factory.mktemp("quick")) as folder:
        yield folder


@contextmanager
def _in_memory(otherwise: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not (memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 64 << 20):
        yield otherwise
        return
    folder = Path(tempfile.mkdtemp(prefix="modelyard-", dir=memory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
