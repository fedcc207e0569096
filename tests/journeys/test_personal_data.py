"""Hide personal data and measure it, through the command line; nothing the platform writes holds a value in clear."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq

KEY = "c19e7d5b2f0468ac13579bdf02468ace13579bdf2468ace0f1e28f3a8f3a8f3a"
VALUES = ("王小明", "13800138000", "11010519491231002X", "John Smith")
PROJECT = """
version: 1
project: tickets
steps:
  tickets: {uses: data.read, with: {path: tickets.csv, text: text}}
  hidden:  {uses: data.deidentify, with: {actions: {phone: pseudonym, person_name: hash}, key: {secret: TICKETS_KEY}}}
  marked:  {uses: data.read, with: {path: marked.jsonl, text: text}}
  recall:  {uses: evaluate.privacy_recall, in: {data: marked}}
"""
ROWS = (
    "text",
    "联系人：王小明，电话13800138000",
    "身份证11010519491231002X",
    '"My name is John Smith, call 13800138000"',
    "很好",
)
MARKS = [{"start": 2, "end": 4, "type": "person_name"}, {"start": 7, "end": 18, "type": "PHONE"}]


def command(folder: Path, *words: str) -> str:
    environment = {**os.environ, "TICKETS_KEY": KEY, "MODELYARD_LANG": "en"}
    done = subprocess.run([sys.executable, "-m", "modelyard", *words], cwd=folder, env=environment, capture_output=True)
    output = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, output
    return output


def test_values_are_hidden_measured_and_written_nowhere(tmp_path: Path) -> None:
    (tmp_path / "modelyard.yaml").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "tickets.csv").write_text("\n".join(ROWS) + "\n", encoding="utf-8")
    row = {"text": "我叫李雷，手机13900139000", "spans": json.dumps(MARKS)}
    (tmp_path / "marked.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    said = command(tmp_path, "run")
    said += command(tmp_path, "data", "rows", "hidden", "--format", "jsonl") + command(
        tmp_path, "data", "removed", "hidden"
    )
    assert "[RESIDENT_ID]" in said
    assert [value for value in (*VALUES, KEY) if value in said] == []
    evidence = command(tmp_path, "show", "evidence", "marked")
    assert "privacy.recall" in evidence
    assert "privacy.precision" in evidence
    store = tmp_path / ".modelyard"
    raw = b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file() and path.suffix != ".parquet")
    assert [value for value in (*VALUES, KEY) if value.encode() in raw] == []
    tables = [str(pq.read_table(path).to_pylist()) for path in sorted(store.rglob("*.parquet"))]
    assert [table for table in tables if "_NAME:" in table or "resident_id" in table]
    assert not [
        value for table in tables if "_NAME:" in table or "resident_id" in table for value in VALUES if value in table
    ]
