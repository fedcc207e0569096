"""data.read holds a batch of rows and no more, however long the file or its lines are."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import resource, sys
from pathlib import Path
from modelyard.methods.data.reading import Reading, read
from modelyard.methods.data.sources import resolve
base = Path(sys.argv[1])
reading = Reading(roles={"text": "text", "label": "label"}, max_bad_fraction=1.0)
outcome = read(resolve("data.csv", base), reading, base / "good", base / "bad", lambda done, total: None)
print(outcome.num_rows, outcome.num_rejected, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
ROW = b"word " * 80 + b",x\n"


@pytest.mark.proof
@pytest.mark.parametrize("shape", ["many rows", "one endless line", "many bad rows"])
def test_reading_three_hundred_megabytes_takes_less_than_two_hundred_and_fifty(tmp_path: Path, shape: str) -> None:
    parts = {"many rows": ROW, "one endless line": b"x" * 400, "many bad rows": b"word " * 80 + b"\n"}
    with gzip.open(tmp_path / "data.csv", "wb", compresslevel=1) as stream:
        stream.write(b"text,label\nfirst,x\n")
        for _ in range(750):
            stream.write(parts[shape] * 1_000)
    for name in ("good", "bad"):
        (tmp_path / name).mkdir()
    done = subprocess.run([sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=True)
    good, bad, megabytes = map(int, done.stdout.split())
    expected = {"many rows": (750_001, 0), "one endless line": (1, 1), "many bad rows": (1, 750_000)}
    assert (good, bad) == expected[shape]
    assert megabytes < 250
