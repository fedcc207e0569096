"""A set larger than memory through the command line: read, clean, (near duplicates,) split, under a limit of memory.

    python benchmarks/big_data.py --data DIR [--gigabytes 20] [--format jsonl|parquet] [--limit-mb 2048] [--keep]

DIR holds real texts (zip, md, txt, tsv, csv, json). Their sentences are drawn again and mixed: a row is up to 32 of
them from one source, its label the source. One row in fifty repeats an earlier one, one in a hundred is damaged. A
row depends on its number only, so that the set is the same every time. Then each step runs by the real command line, in
a process of its own that may not have more than the limit of writable memory (RLIMIT_DATA); its peak of resident memory
is reported. Results go to benchmarks/results/big_data.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from common import WORK, markdown, write_result

SHARD_BYTES = 256 << 20
MOST_SENTENCES = 100_000
STOPS = "。！？!?\n"
STAGES = {"clean": "data.clean", "near": "data.deduplicate", "split": "data.split"}


def texts_of(path: Path) -> Iterator[str]:
    """Texts of a file, of whatever kind it is."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith((".md", ".txt")):
                    yield archive.read(name).decode("utf-8", "replace")
    elif path.suffix in (".md", ".txt"):
        yield path.read_text(encoding="utf-8", errors="replace")
    elif path.suffix in (".tsv", ".csv"):
        with path.open(encoding="utf-8", errors="replace", newline="") as stream:
            for row in csv.reader(stream, delimiter="\t" if path.suffix == ".tsv" else ",", quoting=csv.QUOTE_NONE):
                yield max(row, key=len, default="")
    elif path.suffix == ".json":
        try:
            yield from strings(json.loads(path.read_text(encoding="utf-8")))
        except json.JSONDecodeError:
            return  # one value a line: label names and the like


def strings(value: object) -> Iterator[str]:
    """All strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def sentences(folder: Path) -> dict[str, list[str]]:
    """Sentences by source: the folder's own files, or one source for each folder in it."""
    sources: dict[str, list[str]] = {}
    for path in sorted(Path(base, name) for base, _, names in os.walk(folder, followlinks=True) for name in names):
        if path.is_file() and path.name not in ("README.md", "LICENSE"):
            found = sources.setdefault(path.relative_to(folder).parts[0], [])
            for text in texts_of(path):
                if len(found) >= MOST_SENTENCES:
                    break
                for stop in STOPS:
                    text = text.replace(stop, stop + "\n")
                found += [line.strip() for line in text.split("\n") if 4 <= len(line.strip()) <= 400]
    return {name: found for name, found in sources.items() if len(found) > 100}


class Rows:
    """Row number to row."""

    def __init__(self, sources: dict[str, list[str]]) -> None:
        self.sources = list(sources.items())

    def __call__(self, number: int) -> tuple[str, str]:
        rng = random.Random(number)
        if number and rng.random() < 0.02:
            return self(rng.randrange(number))
        name, found = self.sources[rng.randrange(len(self.sources))]
        text = " ".join(found[rng.randrange(len(found))] for _ in range(rng.randint(1, 32)))
        if rng.random() < 0.01:
            text = text.encode().decode("cp1252", "ignore")
        return text, name


def generate(rows: Rows, target: Path, num_bytes: int, form: str) -> tuple[int, int]:
    """Write shards of about SHARD_BYTES of text; rows and bytes of text."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    number = written = 0
    while written < num_bytes:
        path = target / f"{written // SHARD_BYTES:05d}.{'jsonl.zst' if form == 'jsonl' else 'parquet'}"
        write = write_jsonl if form == "jsonl" else write_parquet
        number, size = write(path, rows, number, min(SHARD_BYTES, num_bytes - written))
        written += size
        print(f"\r{written / 1e9:.2f} GB, {number:,} rows", end="", file=sys.stderr)
    print(file=sys.stderr)
    return number, written


def batches(rows: Rows, number: int, num_bytes: int) -> Iterator[list[tuple[str, str]]]:
    size = 0
    while size < num_bytes:
        batch = [rows(number + offset) for offset in range(4_096)]
        size += sum(len(text.encode()) for text, _ in batch)
        number += len(batch)
        yield batch


def write_jsonl(path: Path, rows: Rows, number: int, num_bytes: int) -> tuple[int, int]:
    size = 0
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        for batch in batches(rows, number, num_bytes):
            lines = [json.dumps({"text": text, "label": label}, ensure_ascii=False) for text, label in batch]
            stream.write(("\n".join(lines) + "\n").encode())
            number += len(batch)
            size += sum(len(text.encode()) for text, _ in batch)
    return number, size


def write_parquet(path: Path, rows: Rows, number: int, num_bytes: int) -> tuple[int, int]:
    size = 0
    schema = pa.schema([("text", pa.string()), ("label", pa.string())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches(rows, number, num_bytes):
            writer.write_table(pa.table([list(column) for column in zip(*batch, strict=True)], schema))
            number += len(batch)
            size += sum(len(text.encode()) for text, _ in batch)
    return number, size


def run_step(project: Path, step: str, limit_mb: int) -> dict[str, float]:
    """One more step of the project, under the limit: seconds and the peak of resident memory of any process in it."""
    limit = limit_mb << 20
    command = [sys.executable, "-m", "modelyard", "run", "modelyard.yaml", "--until", step, "--quiet"]
    began = time.perf_counter()
    child = subprocess.Popen(
        command, cwd=project, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"step {step} failed with exit code {child.returncode}")
    return {"seconds": time.perf_counter() - began, "megabytes": usage.ru_maxrss / 1024}


def write_project(project: Path, pattern: str) -> list[str]:
    """The project file, with near duplicates where that stage is there; the names of its steps."""
    from modelyard.engine.catalog import names

    there = set(names())
    chosen = {step: stage for step, stage in STAGES.items() if stage in there}
    steps = [f"  read: {{uses: data.read, with: {{path: '{pattern}', text: text, label: label}}}}"]
    steps += [f"  {step}: {{uses: {stage}}}" for step, stage in chosen.items()]
    (project / "modelyard.yaml").write_text("version: 1\nproject: big\nsteps:\n" + "\n".join(steps) + "\n")
    return ["read", *chosen]


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of real texts")
    parser.add_argument("--gigabytes", type=float, default=20)
    parser.add_argument("--format", choices=("jsonl", "parquet"), default="jsonl")
    parser.add_argument("--limit-mb", type=int, default=2_048)
    parser.add_argument("--work", type=Path, default=WORK / "big_data")
    parser.add_argument("--keep", action="store_true", help="keep the set and the project")
    given = parser.parse_args()
    project = given.work / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir(parents=True)
    sources = sentences(given.data)
    num_rows, num_bytes = generate(Rows(sources), project / "shards", int(given.gigabytes * 1e9), given.format)
    pattern = "shards/*.jsonl.zst" if given.format == "jsonl" else "shards/*.parquet"
    table = []
    for step in write_project(project, pattern):
        done = run_step(project, step, given.limit_mb)
        rate = num_bytes / 1e6 / done["seconds"]
        table.append((step, f"{done['seconds']:,.0f}", f"{rate:.1f}", f"{done['megabytes']:,.0f}"))
    body = (
        f"{num_bytes / 1e9:.2f} GB of text in {num_rows:,} rows ({given.format} in zstd, "
        f"{folder_bytes(project / 'shards') / 1e9:.2f} GB), mixed from {len(sources)} real sources; each step in a "
        f"process that may hold {given.limit_mb:,} MB of writable memory.\n\n"
        + markdown(["step", "seconds", "MB of text a second", "peak resident MB"], table)
    )
    write_result("big_data", "A set larger than memory", body, [f"{n} {version(n)}" for n in ("modelyard", "pyarrow")])
    if not given.keep:
        shutil.rmtree(given.work)


if __name__ == "__main__":
    main()
