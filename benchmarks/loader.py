"""How long an accelerator waits for batches: our loader beside torch's DataLoader and Hugging Face datasets.

The accelerator is simulated: it computes so many tokens a second, padding included, and sleeps meanwhile, so that the
cores are the loaders' alone. Its rate is set to 0.7 of what tokenizing alone reaches on the same cores, so a perfect
loader never lets it wait, from the first epoch on, with nothing tokenized before. The same texts, tokenizer, number of
processes and tokens a batch for all. Each run starts cold; rounds alternate, the median counts.

    python benchmarks/loader.py --data FOLDER [--rounds 3] [--rows 200000] [--workers 2]

FOLDER holds the real texts, as for deduplication.py; about half an hour on two cores.
Goal: idle less than 2 %, start included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import HERE, WORK, markdown, peer_python, version_in, write_result

PEERS = HERE / "loader_peers"
FOLDER = WORK / "loader"
BUDGET, LENGTH = 16_384, 256
SHARE, GOAL = 0.7, 0.02
NAMES = ("modelyard, buckets", "modelyard, packs", "torch DataLoader", "datasets + DataLoader")

sys.path[:0] = [str(HERE.parent), str(HERE), str(HERE / "deduplication_peers")]


def prepare(data: Path, num_rows: int) -> tuple[Path, Path]:
    """(data set folder, tokenizer file), made once."""
    import pyarrow as pa
    from deduplication import chinese, with_edits

    from modelyard.methods.data.dataset import Column, write_schema, write_split
    from modelyard.methods.preprocessing import bpe

    folder, tokenizer = FOLDER / f"rows-{num_rows}", FOLDER / "tokenizer.json"
    if not (folder / "ready").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        once = with_edits(list(chinese(data)), 100_000)
        texts = [once[row % len(once)] for row in range(num_rows)]
        table = pa.table({"row_id": [str(row) for row in range(num_rows)], "text": texts})
        write_schema(folder, [Column("row_id", "other", "string"), Column("text", "text", "string")])
        write_split(folder, "all", [table], table.schema)
        bpe.learn(once[:20_000], 8_000).save(str(tokenizer))
        (folder / "ready").touch()
    return folder, tokenizer


def tokenizing_rate(source: Path, tokenizer: Path, workers: int) -> tuple[float, float]:
    """(tokens a second of tokenizing alone in that many processes, tokens of a row on average)."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    import numpy as np

    from modelyard.methods.data.dataset import Dataset
    from modelyard.methods.training.loader import store as stores

    target = FOLDER / "alone"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    reading = stores.Reading(tokenizer.read_text(), LENGTH)
    pieces = stores.pieces_of(Dataset.open(source), "all")
    with ProcessPoolExecutor(workers, get_context("spawn"), stores._one_thread) as pool:
        orders = [(str(target / f"{number:06d}"), one, "text", reading, "<u2") for number, one in enumerate(pieces)]
        list(pool.map(stores.make_piece, *zip(*orders[:workers], strict=True)))  # the processes have started
        start = time.perf_counter()
        list(pool.map(stores.make_piece, *zip(*orders, strict=True)))
        seconds = time.perf_counter() - start
    lengths = np.concatenate([np.fromfile(file, np.int32) for file in target.glob("*.lengths")])
    return float(lengths.sum()) / seconds, float(lengths.mean())


def contenders(rows: int) -> dict[str, tuple[list[str], str]]:
    """Name to (command, last argument)."""
    datasets = str(peer_python("datasets", ("datasets",)))
    return {
        NAMES[0]: ([sys.executable, str(PEERS / "ours.py")], "buckets"),
        NAMES[1]: ([sys.executable, str(PEERS / "ours.py")], "packs"),
        NAMES[2]: ([sys.executable, str(PEERS / "torch_run.py")], str(rows)),
        NAMES[3]: ([datasets, str(PEERS / "hf_run.py")], str(rows)),
    }


def once(command: Sequence[str], source: Path, tokenizer: Path, rate: float, workers: int, last: str) -> list[Any]:
    """Both epochs of one cold run."""
    import torch

    scratch = FOLDER / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    # The peer's environment holds datasets alone and sees our torch and transformers.
    site = Path(torch.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parent), str(site)]), "OMP_NUM_THREADS": "1"}
    arguments = [str(source), str(scratch), str(tokenizer), f"{rate}", str(BUDGET), str(workers), str(LENGTH), last]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join([*command, *arguments])}\n{done.stderr[-3000:]}")
    epochs: list[Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return epochs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the real texts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2, help="processes of every loader")
    arguments = parser.parse_args()
    source, tokenizer = prepare(arguments.data, arguments.rows)
    alone, mean = tokenizing_rate(source, tokenizer, arguments.workers)
    rate = SHARE * alone
    every = contenders(max(1, round(BUDGET / mean)))
    runs: dict[str, list[list[Any]]] = {name: [] for name in every}
    for number in range(arguments.rounds):
        names = [*every][number % len(every) :] + [*every][: number % len(every)]
        for name in names:
            command, last = every[name]
            runs[name].append(once(command, source, tokenizer, rate, arguments.workers, last))

    def middle(name: str, epoch: int, what: str) -> float:
        return statistics.median(run[epoch][what] for run in runs[name])

    rows = [
        [
            name,
            *(f"{middle(name, epoch, 'idle'):.2%}" for epoch in (0, 1)),
            f"{middle(name, 0, 'first'):.2f}",
            f"{middle(name, 1, 'padding'):.1%}",
            *(f"{middle(name, epoch, 'tokens_per_second') / 1e3:,.0f}" for epoch in (0, 1)),
        ]
        for name in NAMES
    ]
    head = ["", "idle, first epoch", "later", "s to first batch", "padding", "thousand tokens/s, first epoch", "later"]
    worst = max(middle(name, epoch, "idle") for name in NAMES[:2] for epoch in (0, 1))
    body = (
        f"{arguments.rows:,} Chinese texts of {mean:.0f} tokens on average, {arguments.workers} processes, "
        f"{BUDGET:,} tokens a batch, lines of at most {LENGTH}.\nTokenizing alone: {alone / 1e3:,.0f} thousand a "
        f"second; the accelerator computes {rate / 1e3:,.0f} thousand a second, padding included.\n"
        f"datasets tokenizes everything before the first batch, which counts as waiting; the DataLoader in each "
        f"epoch. Padding counts as busy: look at tokens/s too.\n\n{markdown(head, rows)}\n\n"
        f"- {'met' if worst < GOAL else 'MISSED'}: idle {worst:.2%} at most, start included (goal {GOAL:.0%})\n"
        f"- medians of {arguments.rounds} alternating rounds, each from an empty cache"
    )
    versions = [
        f"{name} {version_in(sys.executable, name)}" for name in ("modelyard", "torch", "tokenizers", "transformers")
    ]
    write_result(
        "loader",
        "Loader",
        body,
        [*versions, f"datasets {version_in(peer_python('datasets', ('datasets',)), 'datasets')}"],
    )


if __name__ == "__main__":
    main()
