"""Training speed beside the Hugging Face Trainer: tokens a second of a 4-layer, 256-wide encoder on real lengths.

    python benchmarks/training.py [--rows 3000] [--rounds 5] [--threads 2]

Three ways to train the same network on the same rows of examples/reviews-zh for one epoch, in turn, several rounds:
our loop; the Trainer at its best flags (bf16, grouped by length, fused AdamW, the same batch size); the Trainer at its
defaults (fp32, random order, batches of 8). Counted are real tokens, not padding, over the whole call. Medians and the
ratios go to benchmarks/results/training.md.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from modelyard.methods import networks
from modelyard.methods.preprocessing import bpe, tokens
from modelyard.methods.training import batching, classification, devices, loop, neural, precision
from modelyard.methods.training.settings import EarlyStopping

ROOT = Path(__file__).parents[1]
BATCH = 32
RATE = 5e-4


def read_texts(folder: Path) -> tuple[list[str], list[int]]:
    """Texts and classes of the example's first table."""
    path = next(path for path in sorted(folder.iterdir()) if path.suffix in (".csv", ".tsv"))
    delimiter = "\t" if path.suffix == ".tsv" else ","
    quoting = csv.QUOTE_NONE if path.suffix == ".tsv" else csv.QUOTE_MINIMAL
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, delimiter=delimiter, quoting=quoting))
    place = rows[0].index("label")
    classes = sorted({row[place] for row in rows[1:]})
    return [row[1 - place] for row in rows[1:]], [classes.index(row[place]) for row in rows[1:]]


class Work:
    """The rows, read once, and a fresh network for each run."""

    def __init__(self, num_rows: int, threads: int) -> None:
        texts, labels = read_texts(ROOT / "examples" / "reviews-zh")
        texts, labels = texts[:num_rows], labels[:num_rows]
        self.threads = threads
        self.reader = tokens.wrap(bpe.learn(texts, 8000), 256, 0)
        self.ids = self.reader.ids(texts)
        self.labels = labels
        self.num_tokens = sum(map(len, self.ids))
        size = self.reader.tokenizer.get_vocab_size()
        self.spec = neural.network_spec("encoder-small", size, 256, 2, 0.1)

    def network(self) -> Any:
        torch.manual_seed(0)
        return networks.build(self.spec)


def ours(work: Work) -> float:
    """Seconds of one epoch in our loop, its checkpoint and a validation of 32 rows included."""
    names = [str(row) for row in range(len(work.ids))]
    labels = np.array(work.labels, np.int64)
    rows = batching.token_rows(work.ids, 0, labels, names)
    few = batching.token_rows(work.ids[:BATCH], 0, labels[:BATCH], names[:BATCH])
    cpu = torch.device("cpu")
    plan = loop.Plan(
        epochs=1,
        batch_size=BATCH,
        learning_rate=RATE,
        precision=precision.resolve("auto", cpu),
        threads=work.threads,
        early_stopping=EarlyStopping(patience=0),
    )
    module = work.network()
    with tempfile.TemporaryDirectory() as scratch:
        began = time.perf_counter()
        classification.train(module, rows, few, plan, cpu, Path(scratch))
        return time.perf_counter() - began


def trainer(work: Work, **flags: Any) -> float:
    """Seconds of one epoch in the Trainer."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=work.reader.tokenizer, pad_token=bpe.PAD)
    data = [{"input_ids": ids, "labels": label} for ids, label in zip(work.ids, work.labels, strict=True)]
    model = work.network().model
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            learning_rate=RATE,
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            logging_strategy="no",
            disable_tqdm=True,
            **flags,
        )
        peer = transformers.Trainer(
            model, arguments, train_dataset=data, data_collator=transformers.DataCollatorWithPadding(tokenizer)
        )
        began = time.perf_counter()
        peer.train()
        return time.perf_counter() - began


def best_flags(work: Work) -> float:
    return trainer(
        work,
        bf16=devices.supports_bf16(torch.device("cpu")),
        train_sampling_strategy="group_by_length",
        per_device_train_batch_size=BATCH,
        optim="adamw_torch_fused",
    )


def measure(work: Work, rounds: int) -> dict[str, list[float]]:
    """Tokens a second of each way, one value a round; the ways take turns."""
    ways: dict[str, Callable[[Work], float]] = {
        "Modelyard": ours,
        "Trainer, best flags": best_flags,
        "Trainer, defaults": trainer,
    }
    torch.set_num_threads(work.threads)
    ours(work)
    found: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(rounds):
        for name, way in ways.items():
            found[name].append(work.num_tokens / way(work))
            print(f"round {round_number + 1}: {name}: {found[name][-1]:,.0f} tokens/s", flush=True)
    return found


def report(work: Work, found: dict[str, list[float]]) -> str:
    """The table and what it was measured on, in Markdown."""
    middle = {name: statistics.median(values) for name, values in found.items()}
    lines = [
        "# Training speed",
        "",
        f"A 4-layer, 256-wide encoder, {len(work.ids):,} Chinese reviews, {work.num_tokens:,} tokens, one epoch.",
        f"{len(found['Modelyard'])} rounds in turn, medians; batches of {BATCH} (Trainer's defaults: 8).",
        "",
        "| way | tokens/s | least to most | Modelyard is |",
        "|---|---:|---:|---:|",
    ]
    for name, values in found.items():
        ratio = middle["Modelyard"] / middle[name]
        lines.append(f"| {name} | {middle[name]:,.0f} | {min(values):,.0f} to {max(values):,.0f} | {ratio:.2f} × |")
    number = precision.resolve("auto", torch.device("cpu"))
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}, Python {platform.python_version()}"
    lines += [
        "",
        f"Machine: {processor()}, {work.threads} threads, {number}; {versions}; {datetime.date.today().isoformat()}.",
        "",
        "Run again with `python benchmarks/training.py`.",
        "",
    ]
    return "\n".join(lines)


def processor() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=devices.usable_cores())
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    options = parser.parse_args()
    transformers.utils.logging.set_verbosity_error()
    work = Work(options.rows, options.threads)
    text = report(work, measure(work, options.rounds))
    print(text)
    if not options.dry:
        target = ROOT / "benchmarks" / "results" / "training.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
