"""The data set folder: bytes depend on rows alone, shards are cut, other versions are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.errors import InputError
from modelyard.methods.data.dataset import FILE, SHARD_ROWS, Column, Dataset, write_schema, write_split

COLUMNS = [Column("row_id", "other", "string"), Column("text", "text", "string")]
SCHEMA = pa.schema([("row_id", pa.string()), ("text", pa.string())])


def rows(count: int) -> pa.Table:
    return pa.table({"row_id": [str(n) for n in range(count)], "text": [f"text {n % 97}" for n in range(count)]})


@pytest.mark.parametrize("cut", [1_000, 8_191, 30_000])
def test_how_rows_are_cut_into_batches_does_not_show_in_the_bytes(tmp_path: Path, cut: int) -> None:
    table = rows(30_000)
    write_split(tmp_path / "whole", "all", [table], SCHEMA)
    write_split(tmp_path / "cut", "all", [table.slice(start, cut) for start in range(0, 30_000, cut)], SCHEMA)
    name = "all/00000.parquet"
    assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_many_rows_are_cut_into_shards_and_come_back_in_order(tmp_path: Path) -> None:
    count = SHARD_ROWS + 5
    assert write_split(tmp_path, "all", [rows(count)], SCHEMA) == count
    write_schema(tmp_path, COLUMNS)
    data = Dataset.open(tmp_path)
    assert [shard.name for shard in data.shards("all")] == ["00000.parquet", "00001.parquet"]
    assert data.num_rows("all") == count
    assert data.column("all", "row_id") == [str(n) for n in range(count)]


def test_a_split_without_rows_can_be_read(tmp_path: Path) -> None:
    write_split(tmp_path, "test", [], SCHEMA)
    write_schema(tmp_path, COLUMNS)
    assert Dataset.open(tmp_path).column("test", "text") == []


def test_a_folder_of_another_version_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=FILE):
        Dataset.open(tmp_path)
    (tmp_path / FILE).write_text(json.dumps({"version": 99, "columns": []}))
    with pytest.raises(InputError, match="version 99"):
        Dataset.open(tmp_path)


def test_long_texts_make_short_row_groups_the_same_however_rows_arrive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelyard.methods.data.dataset.GROUP_BYTES", 1_000)
    texts = ["x" * (n % 7) * 100 if n % 5 else None for n in range(200)]
    table = pa.table({"row_id": [str(n) for n in range(200)], "text": pa.array(texts, pa.string())})
    write_split(tmp_path / "whole", "all", [table], SCHEMA)
    write_split(tmp_path / "cut", "all", [table.slice(start, 3) for start in range(0, 200, 3)], SCHEMA)
    files = [tmp_path / name / "all/00000.parquet" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    about = pq.ParquetFile(files[0])
    assert about.metadata.num_row_groups > 20
    assert about.read().column("text").to_pylist() == texts
