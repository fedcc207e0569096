"""Language models and images beside Hugging Face Trainer and TRL: the same weights, rows and tokens a step.

    python benchmarks/training_tasks.py --data DIR [--only language instruct images] [--rounds 3] [--threads 2]

- language: a Llama-like model of 6 layers, 256 wide, pretrained on packed lines of 256 tokens, 8 lines a step, of the
  texts of examples/reviews-zh. Ours keeps documents apart (no attention across them); the peer cuts them end to end.
- instruct: the same network taught to answer with LoRA (rank 16, every matrix), one epoch over instructions
  (DIR/instruct_demo_zh_en), beside TRL's SFTTrainer.
- images: a small ViT on Fashion-MNIST (DIR/fashion_mnist). Ours begins with PNGs, the peer with arrays in memory.

Every run is a process of its own, the ways take turns, medians count. `late`: the second half of the steps, when
compiling and warming up are over. `whole`: the call from beginning to end. Memory is the peak of the process.
Writes benchmarks/results/training_tasks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, WORK, markdown, peer_python, version_in, write_result

PEERS = HERE / "training_peers"
FOLDER = WORK / "training_tasks"
CONTEXT, LINES, VOCABULARY = 256, 8, 4000
OURS, TRAINER, TRL = "ours.py", "trainer_run.py", "trl_run.py"
UNITS = {"language": "tokens/s", "instruct": "chats/s", "images": "images/s"}


def prepare_language(options: argparse.Namespace) -> dict[str, Any]:
    """Weights, tokenizer and token ids, made once."""
    from training import read_texts

    from modelyard.methods.preprocessing import lossless
    from modelyard.methods.training.language import chats, models
    from modelyard.methods.training.language.settings import Architecture

    folder = FOLDER / "language"
    folder.mkdir(parents=True, exist_ok=True)
    texts, _ = read_texts(HERE.parent / "examples" / "reviews-zh")
    tokenizer = models.fresh_tokenizer(lossless.learn_bytes(texts, VOCABULARY), CONTEXT)
    model = models.fresh(models.configuration(Architecture(size="mini"), tokenizer, CONTEXT), 0, options.threads)
    # With its chat template and the marks of turns, both sides teach the same network.
    chats.learn_to_chat(model, tokenizer)
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    parts = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]]
    wanted = options.steps * LINES * CONTEXT
    while sum(map(len, parts)) < wanted * 1.1:
        parts += parts
    np.save(folder / "ids.npy", np.array([one for part in parts for one in part], np.int64))
    np.save(folder / "ends.npy", np.cumsum([len(part) for part in parts]))
    return {
        "model": str(folder / "model"),
        "ids": str(folder / "ids.npy"),
        "ends": str(folder / "ends.npy"),
        "steps": options.steps,
        "context": CONTEXT,
        "lines": LINES,
    }


def prepare_instruct(options: argparse.Namespace) -> dict[str, Any]:
    made = prepare_language(options)
    rows = json.loads((options.data / "instruct_demo_zh_en" / "alpaca_zh_demo.json").read_text(encoding="utf-8"))
    chats = []
    for row in rows[: options.chats]:
        question = "\n".join(one for one in (row["instruction"], row.get("input", "")) if one)
        chats.append([{"role": "user", "content": question}, {"role": "assistant", "content": row["output"]}])
    target = FOLDER / "chats.json"
    target.write_text(json.dumps(chats), encoding="utf-8")
    return {**made, "chats": str(target), "batch": 16}


def prepare_images(options: argparse.Namespace) -> dict[str, Any]:
    """The same pixels as a data set and as arrays; the network's configuration."""
    import pyarrow as pa
    from images import write

    from modelyard.methods.data.dataset import Column, Dataset, write_schema, write_split
    from modelyard.methods.preprocessing.image import Image
    from modelyard.methods.training.vision import models, rows

    folder = FOLDER / "images"
    folder.mkdir(parents=True, exist_ok=True)
    given = options.data / "fashion_mnist"
    source = folder / "rows.parquet"
    write(
        given / "train20k-images-idx3-ubyte.gz", given / "train20k-labels-idx1-ubyte.gz", source, options.images + 100
    )
    import pyarrow.parquet as pq

    table = pq.read_table(source)
    names = sorted(set(table.column("label").to_pylist()))
    table = pa.table(
        {
            "row_id": [str(place) for place in range(table.num_rows)],
            "image": table.column("image"),
            "label": [str(names.index(one)) for one in table.column("label").to_pylist()],
        }
    )
    data = folder / "data"
    data.mkdir(exist_ok=True)
    write_schema(
        data,
        [Column("row_id", "other", "string"), Column("image", "image", "binary"), Column("label", "label", "string")],
    )
    write_split(data, "train", [table.slice(0, options.images)], table.schema)
    write_split(data, "validation", [table.slice(options.images)], table.schema)
    opened = Dataset.open(data)
    reading: Image = rows.reading_of(opened, None, "crop")
    from modelyard.methods.training.hooks import Hooks

    labels = tuple(str(one) for one in range(10))
    read = rows.read(opened, "train", reading, labels, folder, Hooks())
    reading = rows.normalised(reading, read.pixels)
    pixels = np.concatenate([rows.reader(read, reading, None, 0)(np.arange(s, min(s + 500, options.images)), 0)
                             ["pixel_values"].numpy() for s in range(0, options.images, 500)])  # fmt: skip
    np.save(folder / "pixels.npy", pixels.astype(np.float32))
    np.save(folder / "labels.npy", read.labels)
    models.from_config("vit", reading, 10, None).config.save_pretrained(folder / "config")
    return {
        "images": str(data),
        "pixels": str(folder / "pixels.npy"),
        "labels": str(folder / "labels.npy"),
        "config": str(folder / "config"),
        "rows": options.images,
        "epochs": 2,
        "batch": 128,
        "size": "vit",
    }


def ways(kind: str, python: dict[str, str], bf16: bool) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Name of a way -> interpreter, script, its own settings."""
    best = {"best": True, "bf16": bf16}
    own = str(sys.executable)
    if kind == "language":
        return {
            "Modelyard, defaults (short run: not compiled)": (own, OURS, {}),
            "Modelyard, compiled (as long runs are)": (own, OURS, {"compile": "on"}),
            "Trainer, best flags (bf16, fused, compiled)": (own, TRAINER, {**best, "compile": True}),
            "Trainer, best flags, not compiled": (own, TRAINER, best),
            "Trainer, defaults": (own, TRAINER, {"best": False}),
        }
    if kind == "instruct":
        return {
            "Modelyard, defaults": (own, OURS, {}),
            "TRL, best flags, packing": (python["trl"], TRL, {**best, "packing": True}),
            "TRL, best flags, grouped by length": (python["trl"], TRL, {**best, "packing": False}),
            "TRL, defaults": (python["trl"], TRL, {"best": False}),
        }
    return {
        "Modelyard, defaults": (own, OURS, {}),
        "Trainer, best flags (bf16, fused)": (own, TRAINER, best),
        "Trainer, defaults": (own, TRAINER, {"best": False}),
    }


def run(kind: str, given: dict[str, Any], way: tuple[str, str, dict[str, Any]]) -> dict[str, float]:
    python, script, own = way
    job = json.dumps({**given, **own, "kind": kind})
    environment = {**os.environ, "PYTHONPATH": str(PEERS), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run([python, PEERS / script, job], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(kind: str, options: argparse.Namespace) -> str:
    """The table of a kind."""
    import torch

    from modelyard.methods.training import devices

    prepared = {"language": prepare_language, "instruct": prepare_instruct, "images": prepare_images}[kind](options)
    python = {"trl": str(trl_python())} if kind == "instruct" else {}
    chosen = ways(kind, python, devices.supports_bf16(torch.device("cpu")))
    given = {**prepared, "threads": options.threads}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    for number in range(options.rounds):
        for name, way in chosen.items():
            found[name].append(run(kind, given, way))
            print(f"{kind}, round {number + 1}, {name}: {found[name][-1]}", flush=True)

    def middle(name: str, what: str) -> float:
        return statistics.median(one[what] for one in found[name])

    first = next(iter(chosen))
    rows = []
    for name in chosen:
        late, whole = middle(name, "late_rate"), middle(name, "rate")
        rows.append((
            name, f"{late:,.1f}", f"{middle(first, 'late_rate') / late:.2f} ×", f"{whole:,.1f}",
            f"{middle(first, 'rate') / whole:.2f} ×", f"{middle(name, 'peak_mib'):,.0f}",
        ))  # fmt: skip
    unit = UNITS[kind]
    head = ["way", f"late {unit}", "first row is", f"whole {unit}", "first row is", "peak MiB"]
    return f"## {kind.capitalize()}\n\n{markdown(head, rows)}\n\n{options.rounds} rounds, {options.threads} threads.\n"


def trl_python() -> Path:
    torch_version = version("torch").split("+")[0]
    return peer_python("trl", [f"torch=={torch_version}", f"transformers=={version('transformers')}", "trl", "peft"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", nargs="+", default=list(UNITS), choices=list(UNITS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--chats", type=int, default=300)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--dry", action="store_true", help="print, write nothing")
    options = parser.parse_args()
    body = "\n".join(measure(kind, options) for kind in options.only)
    versions = [f"{name} {version(name)}" for name in ("torch", "transformers", "peft")]
    if "instruct" in options.only:
        versions.append(f"trl {version_in(trl_python(), 'trl')}")
    if options.dry:
        print(body)
    else:
        write_result("training_tasks", "Training beside Trainer and TRL", body, versions)


if __name__ == "__main__":
    main()
