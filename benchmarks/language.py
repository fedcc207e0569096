"""A character language model of tinyshakespeare at nanoGPT's CPU setting: the loss over the whole validation split.

    python benchmarks/language.py --data input.txt [--optimizer muon] [--rate 0.004] [--steps 2000] [--threads 1]

4 layers, 4 heads, 128 wide, lines of 64 characters, 12 lines a step, 2,000 steps: 1.54 million characters are read. The
first nine tenths of the file are for training, the rest is validation, all of it scored in lines of 64 (a character at
the beginning of a line is predicted from nothing but itself). nanoGPT's README gives 1.88 for this setting. Writes
benchmarks/results/language.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import torch
from common import markdown, write_result

from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
from modelyard.methods.training.hooks import Hooks
from modelyard.methods.training.language import fitting, models, texts
from modelyard.methods.training.language.learning import Job, Learning
from modelyard.methods.training.language.settings import Architecture, Tokens
from modelyard.methods.training.settings import Compute, Optimizer, Schedule

CONTEXT, LINES = 64, 12
NANOGPT = 1.88
SHAPE = Architecture(family="llama", size="tiny", layers=4, width=128, heads=4, key_value_heads=4)


def write_data(folder: Path, text: str) -> Dataset:
    """The text as two documents, one a split."""
    cut = int(len(text) * 0.9)
    write_schema(folder, [Column("text", "text", "string"), Column("row_id", "other", "string")])
    schema = pa.schema([("text", pa.string()), ("row_id", pa.string())])
    for split, part in (("train", text[:cut]), ("validation", text[cut:])):
        write_split(folder, split, [pa.table({"text": [part], "row_id": [split]}, schema)], schema)
    return Dataset.open(folder)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--optimizer", default="muon")
    arguments.add_argument("--rate", type=float, default=0.004)
    arguments.add_argument("--decay", type=float, default=0.1)
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--compile", default="off", choices=["off", "auto", "on"])
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--no-result", action="store_true", help="print only")
    arguments.add_argument("--scratch", type=Path, help="keeps checkpoints: a run that was stopped goes on from there")
    chosen = arguments.parse_args()
    if chosen.scratch is not None:
        train(chosen, chosen.scratch)
        return
    with tempfile.TemporaryDirectory() as folder:
        train(chosen, Path(folder))


def train(chosen: argparse.Namespace, folder: Path) -> None:
    (folder / "data").mkdir(parents=True, exist_ok=True)
    data = write_data(folder / "data", chosen.data.read_text(encoding="utf-8"))
    tokenizer = texts.learn(Tokens(kind="characters"), data, "text", CONTEXT)
    model = models.fresh(models.configuration(SHAPE, tokenizer, CONTEXT), chosen.seed, chosen.threads)
    hooks = Hooks(
        say=lambda message: print(message, flush=True),
        log=lambda step, **values: print(step, values, flush=True) if "validation_loss" in values else None,
    )
    job = Job(
        torch.device("cpu"),
        "fp32",
        chosen.threads,
        Compute(compile=chosen.compile),
        chosen.seed,
        folder / "scratch",
        hooks,
    )
    optimizer = Optimizer(
        name=chosen.optimizer,
        learning_rate=chosen.rate,
        weight_decay=chosen.decay,
        beta2=0.95 if chosen.optimizer != "lion" else None,
    )
    learning = Learning(max_steps=chosen.steps, optimizer=optimizer, schedule=Schedule(warmup=0.05))
    documents = [
        texts.documents(data, split, "text", tokenizer, folder / "tokens") for split in ("train", "validation")
    ]
    began = time.perf_counter()
    trained = fitting.fit(model, documents[0], documents[1], fitting.Settings(CONTEXT, LINES, learning=learning), job)
    seconds = time.perf_counter() - began
    loss = trained.metrics["loss"]
    sys.stdout.write(
        f"{chosen.optimizer} {chosen.rate}: {loss:.4f} over {trained.num_targets:,} characters, {seconds:.0f} s\n"
    )
    if chosen.no_result:
        return
    rows = [
        (
            f"ours: {chosen.optimizer}, peak rate {chosen.rate:g}, decay {chosen.decay:g}, seed {chosen.seed}",
            f"{fitting.num_weights(trained.model):,}",
            f"{chosen.steps * LINES * CONTEXT:,}",
            f"**{loss:.3f}**",
        ),
        ("nanoGPT, its README (random lines of validation)", "0.80 M", f"{2000 * LINES * CONTEXT:,}", f"{NANOGPT}"),
    ]
    body = markdown(["", "weights", "characters read", "validation loss"], rows)
    body += f"\n\nScored: all {trained.num_targets:,} characters of validation that have one before them."
    write_result(
        "language",
        "Character language model of tinyshakespeare",
        body,
        [f"torch {version('torch')}", f"transformers {version('transformers')}"],
    )


if __name__ == "__main__":
    main()
