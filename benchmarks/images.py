"""Images: train.image_classification on Fashion-MNIST, asked about the 10,000 test images.

    python benchmarks/images.py --data DIR [--size cnn] [--epochs N] [--rows N] [--mnist-dir DIR]

DIR holds `fashion_mnist` with the first 20,000 training images (train20k-*.gz) and the whole test set. --mnist-dir
names a folder with all 60,000 (train-*.gz), as Debian's dataset-fashion-mnist installs them. A tenth of the training
images is validation, which chooses the best epoch.
"""

from __future__ import annotations

import argparse
import gzip
import io
import shutil
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import WORK, markdown, write_result
from PIL import Image

import modelyard

NAMES = ("top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
PROJECT = """version: 1
project: fashion
seed: {seed}
steps:
  rows:
    uses: data.read
    with: {{path: {{train: train.parquet, test: test.parquet}}, image: image, label: label}}
  split: {{uses: data.split, with: {{validation: 0.1, overlap: keep}}}}
  model:
    uses: train.image_classification
    with: {{size: {size}, epochs: {epochs}, augment: {augment}}}
"""
AUGMENT = "{crop: 0.15, flip: 0.5, rotate: 0, colour: 0, erase: 0.3}"


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def write(images: Path, labels: Path, target: Path, rows: int | None) -> None:
    """An IDX pair (LeCun's format: 16 and 8 bytes of header) as a Parquet file of PNGs."""
    pixels = np.frombuffer(gzip.decompress(images.read_bytes()), np.uint8, offset=16).reshape(-1, 28, 28)[:rows]
    classes = np.frombuffer(gzip.decompress(labels.read_bytes()), np.uint8, offset=8)[:rows]
    pq.write_table(pa.table({"image": [png(one) for one in pixels], "label": [NAMES[one] for one in classes]}), target)


def ask(model: Path, test: Path) -> float:
    """Share of the test images answered rightly, through the predictor."""
    from modelyard.methods import runtimes

    table = pq.read_table(test)
    predictor = runtimes.load(model)
    answers = predictor.predict([{"image": image} for image in table.column("image").to_pylist()])
    truth = table.column("label").to_pylist()
    return float(np.mean([answer.label == label for answer, label in zip(answers, truth, strict=True)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--mnist-dir", type=Path)
    parser.add_argument("--size", default="cnn")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    given = options.data / "fashion_mnist"
    sources = [(given, "train20k")]
    if options.mnist_dir:
        sources.append((options.mnist_dir, "train"))
    rows = [measure(options, source, start) for source, start in sources]
    head = ["data", "model", "train and validation rows", "epochs", "test accuracy", "CPU seconds", "seconds"]
    body = f"10,000 test images that chose nothing; all steps of the run are in the seconds.\n\n{markdown(head, rows)}"
    write_result("images", "Images", body, [f"{name} {version(name)}" for name in ("modelyard", "torch")])


def measure(options: argparse.Namespace, source: Path, start: str) -> list[str]:
    """Train on the images of a folder; one row of the table."""
    folder = WORK / "images" / f"{start}-{options.size}-{options.seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    given = options.data / "fashion_mnist"
    write(source / f"{start}-images-idx3-ubyte.gz", source / f"{start}-labels-idx1-ubyte.gz",
          folder / "train.parquet", options.rows)  # fmt: skip
    write(given / "t10k-images-idx3-ubyte.gz", given / "t10k-labels-idx1-ubyte.gz", folder / "test.parquet", None)
    text = PROJECT.format(seed=options.seed, size=options.size, epochs=options.epochs, augment=AUGMENT)
    (folder / "modelyard.yaml").write_text(text, encoding="utf-8")
    began, cpu = time.perf_counter(), time.process_time()
    outcome = modelyard.run(folder)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    digest = next(step.outputs["model"] for step in outcome.steps if step.step == "model")
    model = folder / ".modelyard" / "artifacts" / digest[7:9] / digest[9:]
    train_rows = pq.ParquetFile(folder / "train.parquet").metadata.num_rows
    accuracy = ask(model, folder / "test.parquet")
    return [
        "Fashion-MNIST", options.size, f"{train_rows:,}", str(options.epochs), f"{accuracy:.4f}", f"{cpu:.0f}",
        f"{seconds:.0f}",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
